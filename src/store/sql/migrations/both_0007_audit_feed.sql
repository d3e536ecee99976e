-- What is new since the audit log last looked.
CREATE INDEX executions_updated ON executions (updated_at);
CREATE INDEX verdicts_created ON verdicts (created_at);
CREATE INDEX approvals_decided ON approvals (decided_at) WHERE decided_at IS NOT NULL;
