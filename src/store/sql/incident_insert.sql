INSERT INTO incidents (id, status, target_key, cluster, namespace, kind, name, node, rule, title, severity, severity_rank,
    root_alert_id, parent_id, alerts, firing, flapping, work, opened_at, updated_at, resolved_at,
    trace_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
