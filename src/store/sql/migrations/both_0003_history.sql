-- What was decided, judged, done, assessed and told. `details` holds as JSON what has no column of its own.

CREATE TABLE resources (
    id TEXT PRIMARY KEY,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    api_version TEXT,
    uid TEXT,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    last_seen_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX resources_name ON resources (cluster, namespace, kind, name);

CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    incident_id TEXT,
    alert_id TEXT,
    trace_id TEXT,
    created_at BIGINT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    model_sha256 TEXT,
    prompt_version TEXT,
    prompt_sha256 TEXT,
    prompt_tokens INTEGER,
    seed BIGINT,
    route TEXT,
    action TEXT NOT NULL,
    parameters TEXT NOT NULL,
    confidence DOUBLE PRECISION,
    reasoning TEXT NOT NULL,
    feasible TEXT,
    distribution TEXT,
    factors TEXT,
    context TEXT,
    duration_ms DOUBLE PRECISION,
    details TEXT
);
CREATE INDEX decisions_incident ON decisions (incident_id, id);
CREATE INDEX decisions_time ON decisions (created_at);

CREATE TABLE verdicts (
    id TEXT PRIMARY KEY,
    decision_id TEXT,
    execution_id TEXT,
    incident_id TEXT,
    created_at BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    rule TEXT,
    reason TEXT NOT NULL,
    policy_sha256 TEXT,
    details TEXT
);
CREATE INDEX verdicts_incident ON verdicts (incident_id, id);
CREATE INDEX verdicts_decision ON verdicts (decision_id);

CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    incident_id TEXT,
    decision_id TEXT,
    alert_id TEXT,
    alert_name TEXT,
    trace_id TEXT,
    state TEXT NOT NULL,
    action TEXT NOT NULL,
    parameters TEXT NOT NULL,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT,
    dry_run TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    duration_ms DOUBLE PRECISION,
    state_before TEXT,
    state_after TEXT,
    inverse TEXT,
    operations TEXT,
    error TEXT,
    undo_of TEXT,
    undone_by TEXT,
    owner TEXT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    fence BIGINT NOT NULL DEFAULT 0,
    updated_at BIGINT NOT NULL,
    details TEXT
);
CREATE UNIQUE INDEX executions_idempotency ON executions (idempotency_key);
CREATE INDEX executions_incident ON executions (incident_id, id);
CREATE INDEX executions_resource ON executions (namespace, kind, name, created_at);
CREATE INDEX executions_time ON executions (created_at);
CREATE INDEX executions_unfinished ON executions (state, created_at) WHERE state IN ('pending', 'approved', 'executing');

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    state TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    expires_at BIGINT,
    decided_at BIGINT,
    decided_by TEXT,
    reason TEXT,
    details TEXT
);
CREATE INDEX approvals_execution ON approvals (execution_id);
CREATE INDEX approvals_open ON approvals (expires_at) WHERE state = 'pending';

CREATE TABLE assessments (
    id TEXT PRIMARY KEY,
    execution_id TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    assessed_at BIGINT,
    score DOUBLE PRECISION,
    confidence DOUBLE PRECISION,
    method TEXT,
    criteria TEXT,
    factors TEXT,
    improvements TEXT,
    cost TEXT,
    notes TEXT,
    details TEXT
);
CREATE UNIQUE INDEX assessments_execution ON assessments (execution_id);
CREATE INDEX assessments_due ON assessments (due_at) WHERE state <> 'done';

CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    incident_id TEXT,
    execution_id TEXT,
    channel TEXT NOT NULL,
    level TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    sent_at BIGINT,
    error TEXT,
    details TEXT
);
CREATE INDEX notifications_incident ON notifications (incident_id);
CREATE INDEX notifications_due ON notifications (due_at) WHERE state = 'pending';

CREATE TABLE cooldowns (
    subject TEXT PRIMARY KEY,
    until BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    execution_id TEXT,
    reason TEXT
);

CREATE TABLE detections (
    id TEXT PRIMARY KEY,
    pattern TEXT NOT NULL,
    severity TEXT NOT NULL,
    confidence DOUBLE PRECISION,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    detected_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    prevention TEXT NOT NULL,
    enforced INTEGER NOT NULL DEFAULT 0,
    evidence TEXT NOT NULL,
    incident_id TEXT,
    execution_id TEXT,
    resolved_at BIGINT,
    resolution TEXT,
    details TEXT
);
CREATE INDEX detections_resource ON detections (namespace, kind, name, detected_at);
CREATE INDEX detections_open ON detections (detected_at) WHERE resolved_at IS NULL;

-- Append-only, a hash chain for each replica.
CREATE TABLE audit_log (
    replica TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    event TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    details TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (replica, seq)
);
CREATE INDEX audit_log_time ON audit_log (at);
CREATE INDEX audit_log_subject ON audit_log (subject_id);

CREATE TABLE audit_checkpoints (
    replica TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    key_id TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (replica, seq)
);

CREATE TABLE models (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    alias TEXT,
    source TEXT NOT NULL,
    path TEXT,
    sha256 TEXT NOT NULL,
    size BIGINT,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    details TEXT
);
CREATE UNIQUE INDEX models_version ON models (name, version);
