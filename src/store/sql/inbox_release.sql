DELETE FROM inbox_claims WHERE inbox_id = $1 AND owner = $2 AND fence = $3
