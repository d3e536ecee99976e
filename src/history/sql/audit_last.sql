-- The head of a chain: its newest entry, or the checkpoint that retention left.
SELECT seq, hash FROM (SELECT seq, hash FROM (SELECT seq, hash FROM audit_log WHERE replica = $1 ORDER BY seq DESC LIMIT 1) a
                       UNION ALL
                       SELECT seq, hash FROM (SELECT seq, hash FROM audit_checkpoints WHERE replica = $1
                                               ORDER BY seq DESC LIMIT 1) b) c
 ORDER BY seq DESC LIMIT 1
