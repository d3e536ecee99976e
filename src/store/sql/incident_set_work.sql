UPDATE incidents SET work = $2 WHERE id = $1
