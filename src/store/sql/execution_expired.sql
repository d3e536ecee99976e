-- Time to undo them; those that wait for their incident's end only once it is resolved.
SELECT id FROM executions
 WHERE undo_at <= $1 AND undone_by IS NULL AND state = 'completed'
   AND NOT (action = 'cordon_node' AND EXISTS (SELECT 1 FROM incidents WHERE incidents.id = executions.incident_id AND incidents.status = 'open'))
 ORDER BY undo_at LIMIT 20
