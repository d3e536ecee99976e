DELETE FROM jobs WHERE kind = $1 AND subject = $2
