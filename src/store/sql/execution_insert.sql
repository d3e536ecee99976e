INSERT INTO executions (id, incident_id, decision_id, alert_id, alert_name, trace_id, state, action, parameters, cluster,
    namespace, kind, name, dry_run, idempotency_key, requested_by, created_at, undo_of, owner, lease_until,
    fence, updated_at, details, severity, confidence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, 1, $17, $21, $22, $23)
    ON CONFLICT (idempotency_key) DO NOTHING
