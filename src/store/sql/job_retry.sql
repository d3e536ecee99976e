UPDATE jobs SET owner = NULL, lease_until = 0, due_at = $5, rank = rank + $6, last_error = $7
 WHERE kind = $1 AND subject = $2 AND owner = $3 AND fence = $4
