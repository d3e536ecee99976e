INSERT INTO alerts (id, fingerprint, status, name, severity, severity_rank, namespace, resource, description, cluster,
    target_namespace, target_kind, target_name, labels, annotations, generator_url, receiver, group_key,
    starts_at, ends_at, received_at, last_seen_at, filtered, incident_id, trace_id, changes, flapping)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
