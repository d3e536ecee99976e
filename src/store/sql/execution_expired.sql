-- Time to undo them; those that wait for their incident's end only once it is resolved. The undo's key says whether it was
-- asked for already: then it has an execution of its own, which waits for its turn, or has said why it cannot be.
SELECT id FROM executions
 WHERE undo_at <= $1 AND undone_by IS NULL AND state = 'completed' AND inverse IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM executions AS undo WHERE undo.idempotency_key = 'expiry:' || executions.id)
   AND NOT (action = 'cordon_node' AND EXISTS (SELECT 1 FROM incidents WHERE incidents.id = executions.incident_id AND incidents.status = 'open'))
 ORDER BY undo_at LIMIT 20
