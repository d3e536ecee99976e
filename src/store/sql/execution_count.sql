-- Executions since, and the replicas they touched; '' stands for any.
SELECT count(*), coalesce(sum(affected), 0) FROM executions
 WHERE started_at > $1 AND dry_run = 'off' AND undo_of IS NULL AND id <> $6
   AND ($2 = '' OR action = $2) AND ($3 = '' OR namespace = $3) AND ($4 = '' OR kind = $4) AND ($5 = '' OR name = $5)
