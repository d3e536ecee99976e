SELECT count(*) FROM executions WHERE state = 'executing' AND dry_run = 'off' AND id <> $1
