/* What came of executions: assessments, detections of patterns, and what people were told. */
#ifndef STORE_OUTCOMES_H
#define STORE_OUTCOMES_H

#include "store/table.h"

/* Due, then done, once; the score stays as it was first given. */
struct assessment_record {
    char id[ULID_LEN + 1], execution_id[ULID_LEN + 1];
    const char *state; /* "due", "done" */
    int64_t due_at, assessed_at;
    double score, confidence; /* NAN while unknown */
    const char *method;
    const char *criteria, *factors, *improvements, *cost; /* JSON */
    const char *notes, *details;
};
extern const struct table assessments_table;

/* One for an execution: asking again changes nothing. */
bool assessment_plan(struct tx *tx, const char *execution_id, int64_t due_at, const char *details,
                     struct error **err);
bool assessment_of(struct tx *tx, struct arena *arena, const char *execution_id,
                   struct assessment_record *record, bool *found, struct error **err);
/* ERROR_CONFLICT: another replica has made it since. */
bool assessment_finish(struct tx *tx, const struct assessment_record *record, struct error **err);
bool assessment_postpone(struct tx *tx, const char *id, int64_t due_at, const char *notes,
                         struct error **err);

struct detection_record {
    char id[ULID_LEN + 1];
    const char *pattern, *severity;
    double confidence;
    const char *cluster, *namespace, *kind, *name;
    int64_t detected_at, last_at; /* first and latest finding of it */
    const char *prevention;       /* what it asks for: none, alternative-action, … */
    bool enforced;                /* it did hold an execution back */
    const char *evidence;         /* {"executions": […], …} */
    char incident_id[ULID_LEN + 1], execution_id[ULID_LEN + 1];
    int64_t resolved_at;
    const char *resolution, *details;
};
extern const struct table detections_table;
bool detection_insert(struct tx *tx, const struct detection_record *record, struct error **err);
bool detection_update(struct tx *tx, const struct detection_record *record, struct error **err);

struct notification_record {
    char id[ULID_LEN + 1], incident_id[ULID_LEN + 1], execution_id[ULID_LEN + 1];
    const char *channel, *level, *title, *message;
    const char *state; /* "pending", "sent", "failed" */
    int64_t attempts, created_at, due_at, sent_at;
    const char *error, *details;
};
extern const struct table notifications_table;
bool notification_insert(struct tx *tx, const struct notification_record *record, struct error **err);
/* After an attempt: sent (error NULL), to be tried again at `due_at`, or given up (0). ERROR_CONFLICT: not pending. */
bool notification_attempted(struct tx *tx, const char *id, const char *error, int64_t due_at,
                            struct error **err);

#endif
