-- Another time to be undone by itself.
UPDATE executions SET undo_at = $2 WHERE id = $1 AND state = 'completed' AND undone_by IS NULL
