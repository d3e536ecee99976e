-- The most urgent rows that no one holds; an expired lease counts as not held. SQLite has one writer at a time.
SELECT i.id, i.received_at, i.alerts, i.trace_id, i.payload
  FROM inbox i LEFT JOIN inbox_claims c ON c.inbox_id = i.id
 WHERE coalesce(c.lease_until, 0) <= $1
 ORDER BY i.rank LIMIT $2
