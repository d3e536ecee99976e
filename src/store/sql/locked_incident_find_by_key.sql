-- As incident_find_by_key.sql, and nobody else changes the row until we are done.
-- The open incident that was last joined under this key.
SELECT i.id, i.status, i.target_key, i.cluster, i.namespace, i.kind, i.name, i.node, i.rule, i.title,
       i.severity, i.severity_rank, i.root_alert_id, i.parent_id, i.alerts, i.firing, i.flapping, i.work,
       i.opened_at, i.updated_at, i.resolved_at, i.trace_id
  FROM incident_keys k JOIN incidents i ON i.id = k.incident_id
 WHERE k.correlation_key = $1 AND k.last_at >= $2 AND i.status = 'open'
 ORDER BY k.last_at DESC LIMIT 1
   FOR UPDATE OF i
