-- What has ended and is not yet to be assessed. A dry run changed nothing, an undo is judged by what it undid.
SELECT e.id, e.action, e.finished_at, e.updated_at FROM executions e LEFT JOIN assessments a ON a.execution_id = e.id
 WHERE e.created_at > $1 AND e.state IN ('completed', 'failed') AND e.dry_run = 'off' AND e.undo_of IS NULL
   AND e.action <> 'notify_only' AND a.id IS NULL
 LIMIT 100
