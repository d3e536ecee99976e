-- inbox_claim.sql for several at once: those come back that nobody has claimed between our look and now.
INSERT INTO inbox_claims (inbox_id, owner, lease_until, fence)
SELECT id, $2, $3, 1 FROM unnest(CAST($1 AS BIGINT[])) AS wanted (id)
    ON CONFLICT (inbox_id) DO UPDATE SET owner = $2, lease_until = $3, fence = inbox_claims.fence + 1
 WHERE inbox_claims.lease_until <= $4
RETURNING inbox_id, fence
