-- From nobody, or from a worker whose lease has run out.
UPDATE executions SET owner = $2, lease_until = $3, fence = fence + 1
 WHERE id = $1 AND lease_until < $4 AND state IN ('pending', 'approved', 'executing')
