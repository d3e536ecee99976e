SELECT replica, seq, at, hash, key_id, signature FROM audit_checkpoints ORDER BY replica, seq
