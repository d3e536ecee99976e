UPDATE incidents
   SET status = $2, node = $3, title = $4, severity = $5, severity_rank = $6, root_alert_id = $7, parent_id = $8,
       alerts = $9, firing = $10, flapping = $11, work = $12, updated_at = $13, resolved_at = $14, rule = $15
 WHERE id = $1
