SELECT replica, seq, at, actor, event, subject_kind, subject_id, details, previous_hash, hash FROM audit_log
 ORDER BY replica, seq
