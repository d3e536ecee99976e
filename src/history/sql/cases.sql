SELECT e.id, a.score, e.created_at FROM executions e JOIN assessments a ON a.execution_id = e.id
 WHERE e.alert_name = $1 AND e.action = $2 AND a.state = 'done' AND a.score IS NOT NULL
 ORDER BY e.created_at DESC LIMIT $3
