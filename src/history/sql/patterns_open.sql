SELECT pattern, severity, cluster, namespace, kind, name, detected_at, last_at, prevention, enforced FROM detections
 WHERE resolved_at IS NULL AND ($1 = '' OR namespace = $1) ORDER BY last_at DESC LIMIT 200
