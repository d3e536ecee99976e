-- Both sides are brought to the later of the two times, so that the order in which outcomes arrive does not matter.
INSERT INTO success_rates (alert_name, kind, namespace, action, helped, tried, cases, as_of)
VALUES ($1, $2, $3, $4, $5, $6, 1, $7)
ON CONFLICT (alert_name, kind, namespace, action) DO UPDATE
   SET helped = success_rates.helped * power(0.5, CASE WHEN excluded.as_of > success_rates.as_of
           THEN (excluded.as_of - success_rates.as_of) / CAST($8 AS DOUBLE PRECISION) ELSE 0 END)
         + excluded.helped * power(0.5, CASE WHEN success_rates.as_of > excluded.as_of
           THEN (success_rates.as_of - excluded.as_of) / CAST($8 AS DOUBLE PRECISION) ELSE 0 END),
       tried = success_rates.tried * power(0.5, CASE WHEN excluded.as_of > success_rates.as_of
           THEN (excluded.as_of - success_rates.as_of) / CAST($8 AS DOUBLE PRECISION) ELSE 0 END)
         + excluded.tried * power(0.5, CASE WHEN success_rates.as_of > excluded.as_of
           THEN (success_rates.as_of - excluded.as_of) / CAST($8 AS DOUBLE PRECISION) ELSE 0 END),
       cases = success_rates.cases + 1,
       as_of = CASE WHEN excluded.as_of > success_rates.as_of THEN excluded.as_of ELSE success_rates.as_of END
