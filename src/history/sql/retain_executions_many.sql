SELECT id FROM executions
 WHERE cluster = $1 AND namespace = $2 AND kind = $3 AND name = $4 AND state NOT IN ('pending', 'approved', 'executing')
 ORDER BY created_at DESC LIMIT 1000000 OFFSET $5
