UPDATE alerts
   SET status = $2, description = $3, annotations = $4, generator_url = $5, receiver = $6, group_key = $7, starts_at = $8,
       ends_at = $9, last_seen_at = $10, deliveries = $11, changes = $12, flapping = $13, filtered = $14,
       incident_id = $15, trace_id = $16
 WHERE id = $1
