UPDATE inbox_claims SET lease_until = $4 WHERE inbox_id = $1 AND owner = $2 AND fence = $3
