SELECT e.action, count(*), sum(CASE WHEN e.state = 'completed' THEN 1 ELSE 0 END),
       sum(CASE WHEN e.state = 'rolled-back' THEN 1 ELSE 0 END), count(a.score), avg(a.score), min(a.score),
       max(a.score), sum(a.score * a.score), avg(a.confidence)
  FROM executions e LEFT JOIN assessments a ON a.execution_id = e.id
 WHERE e.created_at > $1 AND e.created_at <= $2 AND ($3 = '' OR e.namespace = $3) AND ($4 = '' OR e.kind = $4)
   AND ($5 = '' OR e.name = $5) AND ($6 = '' OR e.alert_name = $6) AND ($7 = '' OR e.action = $7)
   AND e.dry_run = 'off' AND e.undo_of IS NULL
   AND e.state IN ('executing', 'completed', 'failed', 'unknown', 'rolled-back')
 GROUP BY e.action ORDER BY count(*) DESC, e.action
