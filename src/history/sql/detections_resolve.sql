UPDATE detections SET resolved_at = $1, resolution = $2 WHERE resolved_at IS NULL AND last_at < $3
