SELECT cluster, namespace, kind, name FROM executions
 GROUP BY cluster, namespace, kind, name HAVING count(*) > $1 LIMIT 100
