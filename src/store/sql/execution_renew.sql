UPDATE executions SET lease_until = $3 WHERE id = $1 AND fence = $2
