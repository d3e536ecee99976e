DELETE FROM jobs WHERE kind = $1 AND subject = $2 AND owner = $3 AND fence = $4 AND generation = $5
