-- Only by who holds it: a late write of a worker whose lease was lost finds another fence.
UPDATE executions SET parameters = $3, cluster = $4, namespace = $5, kind = $6, name = $7, uid = $8, started_at = $9,
       finished_at = $10, duration_ms = $11, state_before = $12, state_after = $13, inverse = $14, operations = $15,
       error = $16, undone_by = $17, details = $18, affected = $19, undo_at = $20, state = $21, updated_at = $22,
       lease_until = $23
 WHERE id = $1 AND fence = $2 AND state = $24
