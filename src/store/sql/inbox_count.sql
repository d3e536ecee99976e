SELECT coalesce(sum(alerts), 0) FROM inbox
