-- Nothing comes back where another has claimed it between our look and now.
INSERT INTO inbox_claims (inbox_id, owner, lease_until, fence) VALUES ($1, $2, $3, 1)
    ON CONFLICT (inbox_id) DO UPDATE SET owner = $2, lease_until = $3, fence = inbox_claims.fence + 1
 WHERE inbox_claims.lease_until <= $4
RETURNING fence
