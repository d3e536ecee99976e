INSERT INTO audit_log (replica, seq, at, actor, event, subject_kind, subject_id, details, previous_hash, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
