UPDATE assessments SET due_at = $2, notes = $3 WHERE id = $1 AND state <> 'done'
