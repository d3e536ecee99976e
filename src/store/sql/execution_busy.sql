SELECT id FROM executions WHERE state = 'executing' AND dry_run = 'off' AND namespace = $1 AND kind = $2 AND name = $3 AND id <> $4 LIMIT 1
