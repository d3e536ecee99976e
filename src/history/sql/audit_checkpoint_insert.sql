INSERT INTO audit_checkpoints (replica, seq, at, hash, key_id, signature) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (replica, seq) DO NOTHING
