SELECT count(*) FROM incidents WHERE status = 'open'
