INSERT INTO calibration (execution_id, decision_id, at, provider, model, action, alert_name, confidence, predicted, score,
    weight)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (execution_id) DO NOTHING
