-- The beginnings of alerts on a resource, by the incidents that it had.
SELECT l.name, l.received_at FROM incidents i JOIN alerts l ON l.incident_id = i.id
 WHERE i.namespace = $1 AND i.kind = $2 AND i.name = $3 AND i.updated_at > $4 AND l.received_at > $4
   AND ($5 = '' OR i.cluster = $5)
 ORDER BY l.received_at DESC LIMIT 500
