-- The most urgent rows that no one holds, passing over those that another replica is about to claim.
SELECT i.id, i.received_at, i.alerts, i.trace_id, i.payload
  FROM inbox i
 WHERE NOT EXISTS (SELECT 1 FROM inbox_claims c WHERE c.inbox_id = i.id AND c.lease_until > $1)
 ORDER BY i.rank LIMIT $2
   FOR UPDATE OF i SKIP LOCKED
