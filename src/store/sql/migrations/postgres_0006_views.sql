-- The resource of every execution is known, whoever wrote the execution.
CREATE FUNCTION note_resource() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO resources (id, cluster, namespace, kind, name, uid, created_at, last_seen_at)
    VALUES (NEW.id, NEW.cluster, NEW.namespace, NEW.kind, NEW.name, NEW.uid, NEW.created_at, NEW.created_at)
    ON CONFLICT (cluster, namespace, kind, name) DO UPDATE
       SET last_seen_at = greatest(resources.last_seen_at, excluded.last_seen_at),
           uid = COALESCE(excluded.uid, resources.uid);
    RETURN NULL;
END
$body$;
CREATE TRIGGER executions_resource AFTER INSERT ON executions FOR EACH ROW EXECUTE FUNCTION note_resource();

-- The predecessor's tables, under its names, as views.
CREATE VIEW resource_references AS
SELECT id, uid AS resource_uid, api_version, kind, name, namespace, to_timestamp(created_at / 1000.0) AS created_at,
       to_timestamp(deleted_at / 1000.0) AS deleted_at, to_timestamp(last_seen_at / 1000.0) AS last_seen, cluster
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
       (SELECT to_timestamp(max(e.created_at) / 1000.0) FROM executions e WHERE e.cluster = r.cluster AND e.namespace = r.namespace AND e.kind = r.kind AND e.name = r.name) AS last_action_at,
       (SELECT to_timestamp(max(d.last_at) / 1000.0) FROM detections d WHERE d.cluster = r.cluster AND d.namespace = r.namespace AND d.kind = r.kind AND d.name = r.name) AS last_analysis_at,
       to_timestamp(r.created_at / 1000.0) AS created_at, to_timestamp(r.last_seen_at / 1000.0) AS updated_at
  FROM resources r;

CREATE VIEW resource_action_traces AS
SELECT e.id, r.id AS action_history_id, e.id AS action_id, e.incident_id AS correlation_id,
       to_timestamp(e.created_at / 1000.0) AS action_timestamp, to_timestamp(e.started_at / 1000.0) AS execution_start_time,
       to_timestamp(e.finished_at / 1000.0) AS execution_end_time, e.duration_ms AS execution_duration_ms,
       COALESCE(e.alert_name, l.name) AS alert_name, l.severity AS alert_severity, CAST(NULLIF(l.labels, '') AS jsonb) AS alert_labels,
       CAST(NULLIF(l.annotations, '') AS jsonb) AS alert_annotations, to_timestamp(l.starts_at / 1000.0) AS alert_firing_time,
       d.model AS model_used, d.route AS routing_tier, d.confidence AS model_confidence, d.reasoning AS model_reasoning,
       CAST(NULLIF(d.alternatives, '') AS jsonb) AS alternative_actions, e.action AS action_type, CAST(NULLIF(e.parameters, '') AS jsonb) AS action_parameters,
       CAST(NULLIF(e.state_before, '') AS jsonb) AS resource_state_before, CAST(NULLIF(e.state_after, '') AS jsonb) AS resource_state_after,
       CASE e.state WHEN 'approved' THEN 'pending' WHEN 'refused' THEN 'failed' WHEN 'unsupported' THEN 'failed' WHEN 'unknown' THEN 'failed'
         WHEN 'cancelled' THEN 'failed' ELSE e.state END AS execution_status,
       e.error AS execution_error, CAST(NULLIF(e.operations, '') AS jsonb) AS kubernetes_operations, a.score AS effectiveness_score,
       CAST(NULLIF(a.criteria, '') AS jsonb) AS effectiveness_criteria, to_timestamp(a.assessed_at / 1000.0) AS effectiveness_assessed_at,
       a.method AS effectiveness_assessment_method, a.notes AS effectiveness_notes,
       CAST(NULLIF(a.improvements, '') AS jsonb) AS follow_up_actions, to_timestamp(e.created_at / 1000.0) AS created_at,
       to_timestamp(e.updated_at / 1000.0) AS updated_at
  FROM executions e
  LEFT JOIN resources r ON r.cluster = e.cluster AND r.namespace = e.namespace AND r.kind = e.kind AND r.name = e.name
  LEFT JOIN decisions d ON d.id = e.decision_id
  LEFT JOIN alerts l ON l.id = e.alert_id
  LEFT JOIN assessments a ON a.execution_id = e.id;

CREATE VIEW oscillation_patterns AS
SELECT p.pattern AS id, p.pattern AS pattern_type, p.pattern AS pattern_name, p.description,
       p.minimum AS min_occurrences, p.window_ms / 60000 AS time_window_minutes, CAST(NULLIF(p.actions, '') AS jsonb) AS action_sequence,
       CAST(NULLIF(p.thresholds, '') AS jsonb) AS threshold_config, p.prevention AS prevention_strategy,
       (SELECT count(*) FROM detections d WHERE d.pattern = p.pattern) AS total_detections,
       (SELECT to_timestamp(max(d.last_at) / 1000.0) FROM detections d WHERE d.pattern = p.pattern) AS last_detection_at,
       TRUE AS active, to_timestamp(p.updated_at / 1000.0) AS updated_at
  FROM oscillation_rules p;

CREATE VIEW oscillation_detections AS
SELECT d.id, d.pattern AS pattern_id, r.id AS resource_id, to_timestamp(d.detected_at / 1000.0) AS detected_at, d.confidence,
       (SELECT count(*) FROM jsonb_array_elements(CAST(d.evidence AS jsonb) -> 'executions') x) AS action_count,
       (d.last_at - d.detected_at) / 60000 AS time_span_minutes,
       CAST(d.evidence AS jsonb) -> 'executions' AS matching_actions,
       CAST(NULLIF(d.evidence, '') AS jsonb) AS pattern_evidence, d.enforced <> 0 AS prevention_applied, d.prevention AS prevention_action,
       CAST(NULLIF(d.details, '') AS jsonb) AS prevention_details, d.resolved_at IS NOT NULL AS resolved,
       to_timestamp(d.resolved_at / 1000.0) AS resolved_at, d.resolution AS resolution_method, d.severity
  FROM detections d LEFT JOIN resources r ON r.cluster = d.cluster AND r.namespace = d.namespace AND r.kind = d.kind AND r.name = d.name;

CREATE VIEW action_effectiveness_metrics AS
SELECT CASE WHEN namespace <> '' THEN 'namespace' WHEN kind <> '' THEN 'resource-type' WHEN alert_name <> '' THEN 'alert-type'
            ELSE 'global' END AS scope_type,
       alert_name || CASE WHEN kind <> '' THEN '/' || kind ELSE '' END || CASE WHEN namespace <> '' THEN '/' || namespace ELSE '' END
           AS scope_value,
       action AS action_type, cases AS sample_size, tried AS effective_sample_size,
       CASE WHEN tried > 0 THEN helped / tried END AS average_score, to_timestamp(as_of / 1000.0) AS last_updated
  FROM success_rates;

CREATE VIEW retention_operations AS
SELECT id, to_timestamp(at / 1000.0) AS operation_start, reason AS operation_type, rows_deleted AS records_deleted,
       to_timestamp(oldest_kept / 1000.0) AS oldest_kept, duration_ms
  FROM retention_runs;

CREATE VIEW action_history_summary AS
SELECT e.namespace, e.kind, e.name, count(*) AS total_actions, count(a.score) AS assessed_actions,
       avg(a.score) AS avg_effectiveness, stddev_samp(a.score) AS stddev_effectiveness,
       to_timestamp(max(e.created_at) / 1000.0) AS last_action_at
  FROM executions e LEFT JOIN assessments a ON a.execution_id = e.id
 GROUP BY e.namespace, e.kind, e.name;

CREATE VIEW oscillation_detection_summary AS
SELECT pattern AS pattern_type, severity, count(*) AS total_detections,
       sum(CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END) AS resolved_detections,
       sum(enforced) AS preventions_applied, to_timestamp(max(last_at) / 1000.0) AS last_detection_at
  FROM detections GROUP BY pattern, severity;
