UPDATE detections
   SET severity = $2, confidence = $3, last_at = $4, prevention = $5, enforced = $6, evidence = $7, resolved_at = $8,
       resolution = $9, execution_id = COALESCE($10, execution_id)
 WHERE id = $1
