SELECT seq FROM audit_checkpoints WHERE replica = $1 ORDER BY seq DESC LIMIT 1
