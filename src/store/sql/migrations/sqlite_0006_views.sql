-- The resource of every execution is known, whoever wrote the execution.
CREATE TRIGGER executions_resource AFTER INSERT ON executions
BEGIN
    INSERT INTO resources (id, cluster, namespace, kind, name, uid, created_at, last_seen_at)
    VALUES (NEW.id, NEW.cluster, NEW.namespace, NEW.kind, NEW.name, NEW.uid, NEW.created_at, NEW.created_at)
    ON CONFLICT (cluster, namespace, kind, name) DO UPDATE
       SET last_seen_at = max(resources.last_seen_at, excluded.last_seen_at),
           uid = COALESCE(excluded.uid, resources.uid);
END;

-- The predecessor's tables, under its names, as views.
CREATE VIEW resource_references AS
SELECT id, uid AS resource_uid, api_version, kind, name, namespace, strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', deleted_at / 1000.0, 'unixepoch') AS deleted_at, strftime('%Y-%m-%dT%H:%M:%fZ', last_seen_at / 1000.0, 'unixepoch') AS last_seen, cluster
  FROM resources;

CREATE VIEW action_histories AS
SELECT r.id, r.id AS resource_id,
       (SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'history.max_actions') AS max_actions,
       (SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'history.max_age_days') AS max_age_days,
       'oldest-first' AS compaction_strategy,
       (SELECT window_ms / 60000 FROM oscillation_rules WHERE pattern = 'scale-oscillation') AS oscillation_window_minutes,
       0.70 AS effectiveness_threshold,
       (SELECT minimum FROM oscillation_rules WHERE pattern = 'scale-oscillation') AS pattern_min_occurrences,
       (SELECT count(*) FROM executions e WHERE e.cluster = r.cluster AND e.namespace = r.namespace AND e.kind = r.kind AND e.name = r.name) AS total_actions,
       (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(e.created_at) / 1000.0, 'unixepoch') FROM executions e WHERE e.cluster = r.cluster AND e.namespace = r.namespace AND e.kind = r.kind AND e.name = r.name) AS last_action_at,
       (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(d.last_at) / 1000.0, 'unixepoch') FROM detections d WHERE d.cluster = r.cluster AND d.namespace = r.namespace AND d.kind = r.kind AND d.name = r.name) AS last_analysis_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.created_at / 1000.0, 'unixepoch') AS created_at, strftime('%Y-%m-%dT%H:%M:%fZ', r.last_seen_at / 1000.0, 'unixepoch') AS updated_at
  FROM resources r;

CREATE VIEW resource_action_traces AS
SELECT e.id, r.id AS action_history_id, e.id AS action_id, e.incident_id AS correlation_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.created_at / 1000.0, 'unixepoch') AS action_timestamp, strftime('%Y-%m-%dT%H:%M:%fZ', e.started_at / 1000.0, 'unixepoch') AS execution_start_time,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.finished_at / 1000.0, 'unixepoch') AS execution_end_time, e.duration_ms AS execution_duration_ms,
       COALESCE(e.alert_name, l.name) AS alert_name, l.severity AS alert_severity, NULLIF(l.labels, '') AS alert_labels,
       NULLIF(l.annotations, '') AS alert_annotations, strftime('%Y-%m-%dT%H:%M:%fZ', l.starts_at / 1000.0, 'unixepoch') AS alert_firing_time,
       d.model AS model_used, d.route AS routing_tier, d.confidence AS model_confidence, d.reasoning AS model_reasoning,
       NULLIF(d.alternatives, '') AS alternative_actions, e.action AS action_type, NULLIF(e.parameters, '') AS action_parameters,
       NULLIF(e.state_before, '') AS resource_state_before, NULLIF(e.state_after, '') AS resource_state_after,
       CASE e.state WHEN 'approved' THEN 'pending' WHEN 'refused' THEN 'failed' WHEN 'unsupported' THEN 'failed' WHEN 'unknown' THEN 'failed'
         WHEN 'cancelled' THEN 'failed' ELSE e.state END AS execution_status,
       e.error AS execution_error, NULLIF(e.operations, '') AS kubernetes_operations, a.score AS effectiveness_score,
       NULLIF(a.criteria, '') AS effectiveness_criteria, strftime('%Y-%m-%dT%H:%M:%fZ', a.assessed_at / 1000.0, 'unixepoch') AS effectiveness_assessed_at,
       a.method AS effectiveness_assessment_method, a.notes AS effectiveness_notes,
       NULLIF(a.improvements, '') AS follow_up_actions, strftime('%Y-%m-%dT%H:%M:%fZ', e.created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.updated_at / 1000.0, 'unixepoch') AS updated_at
  FROM executions e
  LEFT JOIN resources r ON r.cluster = e.cluster AND r.namespace = e.namespace AND r.kind = e.kind AND r.name = e.name
  LEFT JOIN decisions d ON d.id = e.decision_id
  LEFT JOIN alerts l ON l.id = e.alert_id
  LEFT JOIN assessments a ON a.execution_id = e.id;

CREATE VIEW oscillation_patterns AS
SELECT p.pattern AS id, p.pattern AS pattern_type, p.pattern AS pattern_name, p.description,
       p.minimum AS min_occurrences, p.window_ms / 60000 AS time_window_minutes, NULLIF(p.actions, '') AS action_sequence,
       NULLIF(p.thresholds, '') AS threshold_config, p.prevention AS prevention_strategy,
       (SELECT count(*) FROM detections d WHERE d.pattern = p.pattern) AS total_detections,
       (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(d.last_at) / 1000.0, 'unixepoch') FROM detections d WHERE d.pattern = p.pattern) AS last_detection_at,
       1 AS active, strftime('%Y-%m-%dT%H:%M:%fZ', p.updated_at / 1000.0, 'unixepoch') AS updated_at
  FROM oscillation_rules p;

CREATE VIEW oscillation_detections AS
SELECT d.id, d.pattern AS pattern_id, r.id AS resource_id, strftime('%Y-%m-%dT%H:%M:%fZ', d.detected_at / 1000.0, 'unixepoch') AS detected_at, d.confidence,
       (SELECT count(*) FROM json_each(d.evidence, '$.executions') x) AS action_count,
       (d.last_at - d.detected_at) / 60000 AS time_span_minutes,
       json_extract(d.evidence, '$.executions') AS matching_actions,
       NULLIF(d.evidence, '') AS pattern_evidence, d.enforced <> 0 AS prevention_applied, d.prevention AS prevention_action,
       NULLIF(d.details, '') AS prevention_details, d.resolved_at IS NOT NULL AS resolved,
       strftime('%Y-%m-%dT%H:%M:%fZ', d.resolved_at / 1000.0, 'unixepoch') AS resolved_at, d.resolution AS resolution_method, d.severity
  FROM detections d LEFT JOIN resources r ON r.cluster = d.cluster AND r.namespace = d.namespace AND r.kind = d.kind AND r.name = d.name;

CREATE VIEW action_effectiveness_metrics AS
SELECT CASE WHEN namespace <> '' THEN 'namespace' WHEN kind <> '' THEN 'resource-type' WHEN alert_name <> '' THEN 'alert-type'
            ELSE 'global' END AS scope_type,
       alert_name || CASE WHEN kind <> '' THEN '/' || kind ELSE '' END || CASE WHEN namespace <> '' THEN '/' || namespace ELSE '' END
           AS scope_value,
       action AS action_type, cases AS sample_size, tried AS effective_sample_size,
       CASE WHEN tried > 0 THEN helped / tried END AS average_score, strftime('%Y-%m-%dT%H:%M:%fZ', as_of / 1000.0, 'unixepoch') AS last_updated
  FROM success_rates;

CREATE VIEW retention_operations AS
SELECT id, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS operation_start, reason AS operation_type, rows_deleted AS records_deleted,
       strftime('%Y-%m-%dT%H:%M:%fZ', oldest_kept / 1000.0, 'unixepoch') AS oldest_kept, duration_ms
  FROM retention_runs;

CREATE VIEW action_history_summary AS
SELECT e.namespace, e.kind, e.name, count(*) AS total_actions, count(a.score) AS assessed_actions,
       avg(a.score) AS avg_effectiveness, CASE WHEN count(a.score) > 1 THEN sqrt(max(0, (sum(a.score * a.score) - count(a.score) * avg(a.score) * avg(a.score))
            / (count(a.score) - 1))) END AS stddev_effectiveness,
       strftime('%Y-%m-%dT%H:%M:%fZ', max(e.created_at) / 1000.0, 'unixepoch') AS last_action_at
  FROM executions e LEFT JOIN assessments a ON a.execution_id = e.id
 GROUP BY e.namespace, e.kind, e.name;

CREATE VIEW oscillation_detection_summary AS
SELECT pattern AS pattern_type, severity, count(*) AS total_detections,
       sum(CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END) AS resolved_detections,
       sum(enforced) AS preventions_applied, strftime('%Y-%m-%dT%H:%M:%fZ', max(last_at) / 1000.0, 'unixepoch') AS last_detection_at
  FROM detections GROUP BY pattern, severity;
