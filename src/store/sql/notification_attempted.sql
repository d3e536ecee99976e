UPDATE notifications
   SET state = $2, error = $3, due_at = $4, sent_at = $5, attempts = attempts + 1
 WHERE id = $1 AND state = 'pending'
