DELETE FROM audit_checkpoints WHERE replica = $1 AND seq < $2
