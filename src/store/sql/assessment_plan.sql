INSERT INTO assessments (id, execution_id, state, due_at, details) VALUES ($1, $2, 'due', $3, $4)
ON CONFLICT (execution_id) DO NOTHING
