-- What limits are counted by, and when an execution undoes itself.
ALTER TABLE executions ADD COLUMN affected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN undo_at BIGINT;
ALTER TABLE executions ADD COLUMN severity TEXT;
ALTER TABLE executions ADD COLUMN confidence DOUBLE PRECISION;
CREATE INDEX executions_started ON executions (started_at);
CREATE INDEX executions_expiry ON executions (undo_at) WHERE undo_at IS NOT NULL AND undone_by IS NULL;
CREATE UNIQUE INDEX approvals_one_open ON approvals (execution_id) WHERE state = 'pending';
