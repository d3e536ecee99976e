UPDATE assessments
   SET state = 'done', assessed_at = $2, score = $3, confidence = $4, method = $5, criteria = $6, factors = $7,
       improvements = $8, cost = $9, notes = $10
 WHERE id = $1 AND state <> 'done'
