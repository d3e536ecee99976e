INSERT INTO inbox_refused (id, received_at, refused_at, trace_id, payload, error) VALUES ($1, $2, $3, $4, $5, $6)
