SELECT created_at, id, execution_id, verdict, rule, reason, policy_sha256
  FROM verdicts WHERE created_at > $1 AND created_at <= $2 ORDER BY created_at, id LIMIT 500
