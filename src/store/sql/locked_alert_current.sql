-- As alert_current.sql, and nobody else changes the row until we are done.
SELECT id, fingerprint, status, name, severity, namespace, resource, description, cluster, target_namespace,
       target_kind, target_name, labels, annotations, generator_url, receiver, group_key, starts_at,
       ends_at, received_at, last_seen_at, deliveries, changes, flapping, filtered, incident_id,
       trace_id, current
  FROM alerts WHERE fingerprint = $1 AND current = 1 FOR UPDATE
