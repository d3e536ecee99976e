-- Alerts that began since, nearby: with their incident, to tell the resource's own from its neighbours'.
SELECT name, incident_id, target_kind, target_name FROM alerts
 WHERE received_at > $1 AND received_at <= $2 AND (namespace = $3 OR target_namespace = $3)
 ORDER BY received_at LIMIT 1000
