DELETE FROM audit_log WHERE replica = $1 AND seq <= $2
