UPDATE alerts SET current = 0 WHERE id = $1
