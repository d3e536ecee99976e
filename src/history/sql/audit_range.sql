SELECT replica, seq, at, actor, event, subject_kind, subject_id, details, previous_hash, hash FROM audit_log
 WHERE at >= $1 AND at <= $2 ORDER BY at, replica, seq
