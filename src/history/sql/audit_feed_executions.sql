SELECT updated_at, id, requested_by, state, action, namespace, kind, name, parameters, dry_run, error, undo_of
  FROM executions WHERE updated_at > $1 AND updated_at <= $2 ORDER BY updated_at, id LIMIT 500
