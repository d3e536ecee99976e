UPDATE alerts SET last_seen_at = $2, deliveries = deliveries + 1 WHERE id = $1
