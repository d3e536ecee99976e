UPDATE jobs SET lease_until = $5 WHERE kind = $1 AND subject = $2 AND owner = $3 AND fence = $4
