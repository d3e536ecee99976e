SELECT decided_at, id, decided_by, state, execution_id, reason
  FROM approvals WHERE decided_at > $1 AND decided_at <= $2 ORDER BY decided_at, id LIMIT 500
