SELECT received_at FROM inbox ORDER BY id LIMIT 1
