INSERT INTO cooldowns (subject, until, started_at, execution_id, reason) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (subject) DO UPDATE SET until = $2, started_at = $3, execution_id = $4, reason = $5
