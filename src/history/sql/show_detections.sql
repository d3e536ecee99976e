SELECT id, pattern, severity, prevention, enforced, detected_at, last_at, resolved_at, resolution, evidence
  FROM detections WHERE namespace = $1 AND kind = $2 AND name = $3 ORDER BY detected_at DESC LIMIT $4
