SELECT execution_id FROM approvals WHERE state = 'pending' AND expires_at <= $1 ORDER BY expires_at LIMIT 20
