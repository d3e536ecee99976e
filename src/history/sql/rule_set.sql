INSERT INTO oscillation_rules (pattern, description, minimum, window_ms, actions, thresholds, prevention, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (pattern) DO UPDATE
   SET description = excluded.description, minimum = excluded.minimum, window_ms = excluded.window_ms,
       actions = excluded.actions, thresholds = excluded.thresholds, prevention = excluded.prevention,
       updated_at = excluded.updated_at
