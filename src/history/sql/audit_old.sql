SELECT replica, max(seq) FROM audit_checkpoints WHERE at < $1 GROUP BY replica
