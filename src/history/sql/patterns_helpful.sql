SELECT alert_name, action, helped, tried, cases, as_of FROM success_rates
 WHERE alert_name <> '' AND kind = '' AND ($1 = '' OR alert_name = $1) AND ($2 = '' OR action = $2)
 ORDER BY alert_name, helped / CASE WHEN tried > 0 THEN tried ELSE 1 END DESC, action
 LIMIT 2000
