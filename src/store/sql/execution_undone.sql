UPDATE executions SET state = $3, undone_by = $2, updated_at = $4 WHERE id = $1 AND state IN ('completed', 'failed', 'unknown')
