INSERT INTO incident_keys (incident_id, correlation_key, last_at) VALUES ($1, $2, $3)
    ON CONFLICT (correlation_key, incident_id) DO UPDATE SET last_at = $3
