-- Alerts by name and hour of the last week, the newest hour in full: hours are counted back from $2.
SELECT name, ($2 - received_at) / 3600000, count(*) FROM alerts
 WHERE received_at > $1 AND received_at <= $2 GROUP BY name, ($2 - received_at) / 3600000 ORDER BY name, 2
