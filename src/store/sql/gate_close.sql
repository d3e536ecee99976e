-- One at a time through here, whatever the database: what is counted below stays true until the commit.
INSERT INTO settings (name, value, updated_at) VALUES ('executor.gate', '', $1)
    ON CONFLICT (name) DO UPDATE SET updated_at = $1
