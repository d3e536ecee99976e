-- $1 namespace, $2 kind, $3 name, $4 cluster or '', $5 how many, $6 since, $7 and $8 kind and name of the owner,
-- $9 since when its incidents' executions count.
SELECT e.id, e.action, e.state, e.alert_name, e.parameters, e.state_before, e.created_at, a.score, a.confidence
  FROM (
    SELECT id FROM (SELECT id FROM executions WHERE namespace = $1 AND kind = $2 AND name = $3 AND created_at > $6
            AND dry_run = 'off' AND undo_of IS NULL AND state IN ('executing', 'completed', 'failed', 'unknown', 'rolled-back') AND ($4 = '' OR cluster = $4)
          ORDER BY created_at DESC LIMIT $5) x
    UNION
    SELECT id FROM (SELECT id FROM executions WHERE namespace = $1 AND kind = $7 AND name = $8 AND created_at > $6
            AND dry_run = 'off' AND undo_of IS NULL AND state IN ('executing', 'completed', 'failed', 'unknown', 'rolled-back') AND ($4 = '' OR cluster = $4)
          ORDER BY created_at DESC LIMIT $5) y
    UNION
    SELECT id FROM (SELECT b.id FROM incidents i JOIN executions b ON b.incident_id = i.id
          WHERE i.namespace = $1 AND i.kind = $7 AND i.name = $8 AND i.updated_at > $9 AND b.created_at > $9
            AND b.dry_run = 'off' AND b.undo_of IS NULL AND b.state IN ('executing', 'completed', 'failed', 'unknown', 'rolled-back') AND ($4 = '' OR b.cluster = $4)
          ORDER BY b.created_at DESC LIMIT $5) z
  ) ids JOIN executions e ON e.id = ids.id LEFT JOIN assessments a ON a.execution_id = e.id
 ORDER BY e.created_at DESC, e.id DESC LIMIT $5
