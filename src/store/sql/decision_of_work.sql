SELECT id FROM decisions WHERE incident_id = $1 AND work = $2 ORDER BY id LIMIT 1
