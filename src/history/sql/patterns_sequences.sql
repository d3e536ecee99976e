-- Which action followed which in one incident, and what came of the second.
SELECT s.earlier, s.action, count(*), avg(a.score)
  FROM (SELECT id, action, lag(action) OVER (PARTITION BY incident_id ORDER BY created_at, id) AS earlier
          FROM executions
         WHERE incident_id IS NOT NULL AND dry_run = 'off' AND undo_of IS NULL AND created_at > $1
           AND created_at <= $2 AND ($3 = '' OR namespace = $3)
           AND state IN ('executing', 'completed', 'failed', 'unknown', 'rolled-back')) s
  LEFT JOIN assessments a ON a.execution_id = s.id
 WHERE s.earlier IS NOT NULL
 GROUP BY s.earlier, s.action ORDER BY count(*) DESC, s.earlier, s.action LIMIT 100
