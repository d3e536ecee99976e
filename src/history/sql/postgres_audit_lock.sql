-- Two threads of one replica append one after the other.
SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtext('audit ' || $1))) x
