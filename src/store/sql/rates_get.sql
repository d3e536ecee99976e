SELECT action, 0, helped, tried, cases, as_of FROM success_rates
 WHERE alert_name = '' AND kind = '' AND namespace = ''
UNION ALL
SELECT action, 1, helped, tried, cases, as_of FROM success_rates
 WHERE alert_name = $1 AND kind = '' AND namespace = ''
UNION ALL
SELECT action, 2, helped, tried, cases, as_of FROM success_rates
 WHERE alert_name = $1 AND kind = $2 AND kind <> '' AND namespace = ''
UNION ALL
SELECT action, 3, helped, tried, cases, as_of FROM success_rates
 WHERE alert_name = $1 AND kind = $2 AND namespace = $3 AND namespace <> ''
