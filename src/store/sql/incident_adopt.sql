-- What was seen on a node since $3 is thought to come from the node's own trouble.
UPDATE incidents SET parent_id = $2
 WHERE node = $1 AND status = 'open' AND node <> '' AND parent_id IS NULL AND id <> $2 AND opened_at >= $3
