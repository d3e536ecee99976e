SELECT until, execution_id FROM cooldowns WHERE subject = $1 AND until > $2
