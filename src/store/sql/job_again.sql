-- Asked for while it was worked on: free for the next.
UPDATE jobs SET owner = NULL, lease_until = 0, attempts = 0 WHERE kind = $1 AND subject = $2 AND owner = $3 AND fence = $4
