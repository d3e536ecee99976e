SELECT id, execution_id, state, requested_at, expires_at, decided_at, decided_by, reason
  FROM approvals WHERE execution_id = $1 ORDER BY id DESC LIMIT 1
