UPDATE jobs SET owner = $5, lease_until = $6, fence = fence + 1, attempts = attempts + 1
 WHERE kind = $1 AND subject = (SELECT subject FROM jobs
                                 WHERE kind = $1 AND lease_until <= $2 AND due_at <= $3 AND rank <= $4
                                 ORDER BY rank LIMIT 1)
RETURNING subject, payload, trace_id, generation, attempts, fence, created_at
