INSERT INTO approvals (id, execution_id, state, requested_at, expires_at, details) VALUES ($1, $2, 'pending', $3, $4, $5)
