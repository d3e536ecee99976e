SELECT id, pattern, enforced, detected_at FROM detections
 WHERE namespace = $1 AND kind = $2 AND name = $3 AND resolved_at IS NULL AND cluster = $4
