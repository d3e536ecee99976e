SELECT (received_at / 3600000) % 24, count(*) FROM alerts
 WHERE received_at > $1 AND received_at <= $2 AND ($3 = '' OR namespace = $3) AND ($4 = '' OR name = $4)
 GROUP BY (received_at / 3600000) % 24 ORDER BY 1
