-- What is learned from the past, and what finds it fast.

ALTER TABLE decisions ADD COLUMN prompt_token_ids TEXT;
ALTER TABLE decisions ADD COLUMN hashes TEXT;
ALTER TABLE decisions ADD COLUMN evidence TEXT;
ALTER TABLE decisions ADD COLUMN alternatives TEXT;
ALTER TABLE decisions ADD COLUMN learned_from TEXT;
ALTER TABLE decisions ADD COLUMN abstained INTEGER NOT NULL DEFAULT 0;

CREATE INDEX executions_alert ON executions (alert_name, action, created_at);
CREATE INDEX executions_decision ON executions (decision_id);
CREATE INDEX incidents_changed ON incidents (namespace, kind, name, updated_at);
CREATE INDEX detections_pattern ON detections (namespace, kind, name, pattern) WHERE resolved_at IS NULL;
CREATE INDEX alerts_received ON alerts (received_at);

-- How often an action helped, at four depths: any alert; this alert; and kind; and namespace ('' stands for any).
-- `helped` and `tried` are sums of scores and weights as they were worth at `as_of`; they halve with age.
CREATE TABLE success_rates (
    alert_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    action TEXT NOT NULL,
    helped DOUBLE PRECISION NOT NULL,
    tried DOUBLE PRECISION NOT NULL,
    cases BIGINT NOT NULL,
    as_of BIGINT NOT NULL,
    PRIMARY KEY (alert_name, kind, namespace, action)
);

-- What was promised and what came of it: a row an assessed execution that a decision asked for.
CREATE TABLE calibration (
    execution_id TEXT PRIMARY KEY,
    decision_id TEXT,
    at BIGINT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    alert_name TEXT NOT NULL,
    confidence DOUBLE PRECISION,
    predicted DOUBLE PRECISION,
    score DOUBLE PRECISION NOT NULL,
    weight DOUBLE PRECISION NOT NULL
);
CREATE INDEX calibration_time ON calibration (at);

CREATE TABLE retention_runs (
    id TEXT PRIMARY KEY,
    at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    rows_deleted BIGINT NOT NULL,
    oldest_kept BIGINT,
    duration_ms DOUBLE PRECISION NOT NULL
);

-- The detectors with the thresholds that are in force, for those who ask by SQL.
CREATE TABLE oscillation_rules (
    pattern TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    minimum DOUBLE PRECISION NOT NULL,
    window_ms BIGINT NOT NULL,
    actions TEXT NOT NULL,
    thresholds TEXT NOT NULL,
    prevention TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
