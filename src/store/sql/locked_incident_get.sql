-- As incident_get.sql, and nobody else changes the row until we are done.
SELECT id, status, target_key, cluster, namespace, kind, name, node, rule, title, severity, severity_rank,
       root_alert_id, parent_id, alerts, firing, flapping, work, opened_at, updated_at, resolved_at,
       trace_id
  FROM incidents WHERE id = $1 FOR UPDATE
