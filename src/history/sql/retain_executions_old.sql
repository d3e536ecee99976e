SELECT id FROM executions
 WHERE created_at < $1 AND state NOT IN ('pending', 'approved', 'executing') ORDER BY created_at LIMIT $2
