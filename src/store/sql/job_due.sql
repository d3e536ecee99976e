SELECT 1 FROM jobs WHERE kind = $1 AND lease_until <= $2 AND due_at <= $3 AND rank <= $4 LIMIT 1
