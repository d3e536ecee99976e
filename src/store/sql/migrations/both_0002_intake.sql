-- Times are UTC milliseconds, lists and objects JSON text, ids lower-case ULIDs; booleans are 0 and 1.

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What could not be worked in, kept for a person.
CREATE TABLE inbox_refused (
    id TEXT PRIMARY KEY,
    received_at BIGINT NOT NULL,
    refused_at BIGINT NOT NULL,
    trace_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    error TEXT NOT NULL
);

-- Work that is due: one row for a subject, so that one worker at a time has it. `generation` rises with every request;
-- a worker that finishes an older one leaves the row for the next.
CREATE TABLE jobs (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    rank BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    generation BIGINT NOT NULL DEFAULT 1,
    attempts INTEGER NOT NULL DEFAULT 0,
    payload TEXT,
    trace_id TEXT,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    owner TEXT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    fence BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX jobs_rank ON jobs (kind, rank);

-- One row a fingerprint is the current one; it is open while it fires.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    current INTEGER NOT NULL DEFAULT 1,
    status TEXT NOT NULL,
    name TEXT NOT NULL,
    severity TEXT NOT NULL,
    severity_rank INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    resource TEXT NOT NULL,
    description TEXT NOT NULL,
    cluster TEXT NOT NULL,
    target_namespace TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_name TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    generator_url TEXT NOT NULL,
    receiver TEXT NOT NULL,
    group_key TEXT NOT NULL,
    starts_at BIGINT,
    ends_at BIGINT,
    received_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    deliveries BIGINT NOT NULL DEFAULT 1,
    changes TEXT NOT NULL DEFAULT '',
    flapping INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0,
    incident_id TEXT,
    trace_id TEXT
);
CREATE UNIQUE INDEX alerts_current ON alerts (fingerprint) WHERE current = 1;
CREATE INDEX alerts_past ON alerts (fingerprint, id) WHERE current = 0;
CREATE INDEX alerts_incident ON alerts (incident_id);
CREATE INDEX alerts_silent ON alerts (last_seen_at) WHERE status = 'firing';

-- Alerts that share a target, worked on together. One open incident a target.
CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    target_key TEXT NOT NULL,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    node TEXT NOT NULL DEFAULT '',
    rule TEXT NOT NULL,
    title TEXT NOT NULL,
    severity TEXT NOT NULL,
    severity_rank INTEGER NOT NULL,
    root_alert_id TEXT,
    parent_id TEXT,
    alerts INTEGER NOT NULL DEFAULT 0,
    firing INTEGER NOT NULL DEFAULT 0,
    flapping INTEGER NOT NULL DEFAULT 0,
    work TEXT NOT NULL DEFAULT 'none',
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    resolved_at BIGINT,
    trace_id TEXT
);
CREATE UNIQUE INDEX incidents_open ON incidents (target_key) WHERE status = 'open';
CREATE INDEX incidents_past ON incidents (target_key, id) WHERE status <> 'open';
CREATE INDEX incidents_target ON incidents (namespace, kind, name);
CREATE INDEX incidents_parent ON incidents (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX incidents_node ON incidents (node) WHERE status = 'open' AND node <> '';

-- Further names under which an open incident is found: what a correlation rule makes of an alert's labels.
CREATE TABLE incident_keys (
    incident_id TEXT NOT NULL,
    correlation_key TEXT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (correlation_key, incident_id)
);
CREATE INDEX incident_keys_incident ON incident_keys (incident_id);
