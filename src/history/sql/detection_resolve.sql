UPDATE detections SET resolved_at = $2, resolution = $3 WHERE id = $1 AND resolved_at IS NULL
