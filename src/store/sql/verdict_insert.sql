INSERT INTO verdicts (id, decision_id, execution_id, incident_id, created_at, verdict, rule, reason, policy_sha256, details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
