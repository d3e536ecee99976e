/* Work that is due: one row for a subject (an incident, an execution to assess, a task), so that one worker at a time
 * has it. Asking again while somebody works on it makes it due once more after that. */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H

#include "alert/alert.h"
#include "store/store.h"

#define JOB_INCIDENT "incident"     /* subject: an incident's id */
#define JOB_FETCH_REST "fetch_rest" /* subject: receiver and group; payload: what to ask Alertmanager for */

struct job_request {
    const char *kind, *subject;
    enum severity severity;         /* how soon, among those that are due */
    int64_t due_at;                 /* UTC ms; 0: now */
    const char *payload, *trace_id; /* may be NULL */
};
bool job_request(struct tx *tx, const struct job_request *request, struct error **err);

struct job {
    const char *kind, *subject, *payload, *trace_id, *owner;
    int64_t generation, attempts, fence, created_at;
};

/* The most urgent job of a kind that is due and that nobody holds; *found says whether there is one. */
bool job_claim(struct store *store, struct arena *arena, const char *kind, const char *owner,
               int64_t lease_ms, struct job *job, bool *found, struct error **err);

/* Each of these: ERROR_CONFLICT if the lease was lost to another. */
bool job_renew(struct tx *tx, const struct job *job, int64_t lease_ms, struct error **err);
bool job_finish(struct tx *tx, const struct job *job,
                struct error **err); /* gone, or due again if it was asked for since */
bool job_retry(struct tx *tx, const struct job *job, int64_t after_ms, const char *why, struct error **err);

/* No longer wanted, whoever holds it. */
bool job_cancel(struct tx *tx, const char *kind, const char *subject, struct error **err);

#endif
