-- As incident_find_open.sql, and nobody else changes the row until we are done.
SELECT id, status, target_key, cluster, namespace, kind, name, node, rule, title, severity, severity_rank,
       root_alert_id, parent_id, alerts, firing, flapping, work, opened_at, updated_at, resolved_at,
       trace_id
  FROM incidents WHERE target_key = $1 AND status = 'open' FOR UPDATE
