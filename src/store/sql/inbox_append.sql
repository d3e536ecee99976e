INSERT INTO inbox (rank, alerts, received_at, trace_id, payload) VALUES ($1, $2, $3, $4, $5)
