-- Begun by a worker that is gone, or approved by a person and waiting for one. Pending ones that a person still has to
-- decide about are none of these.
SELECT id FROM executions
 WHERE state IN ('pending', 'approved', 'executing') AND lease_until < $1
   AND NOT (state = 'pending' AND EXISTS (SELECT 1 FROM approvals WHERE execution_id = executions.id AND approvals.state = 'pending'))
 ORDER BY created_at LIMIT 20
