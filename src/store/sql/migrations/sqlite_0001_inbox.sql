-- What was accepted and is not yet worked in. A payload is one row, as it came; it is deleted in the transaction that
-- writes its alerts. Taken in the order of `rank`: time of arrival plus a wait that grows as severity falls.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rank BIGINT NOT NULL,
    alerts INTEGER NOT NULL,
    received_at BIGINT NOT NULL,
    trace_id TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX inbox_rank ON inbox (rank);

-- Who works on it. A row of its own, so that a claim does not write the payload again.
CREATE TABLE inbox_claims (
    inbox_id BIGINT PRIMARY KEY,
    owner TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL
);
