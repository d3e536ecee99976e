/* The service: what has ended is planned, what is due is assessed, what did not help is undone, what is old goes. Each
 * is a job in the store, so one replica does it, and another takes it over if that one dies. */
#include "effectiveness/effectiveness_internal.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "effectiveness_sql.h"
#include "history/history.h"

enum { ROUND_MS = 1000, JOBS_PER_ROUND = 50 };
#define PLAN_WITHIN_MS (INT64_C(2) * 86400000) /* what ended longer ago cannot be judged any more */

const struct config *service_hold(struct effectiveness_service *service)
{
    return service->options.config ? config_live_hold(service->options.config) : service->options.fixed;
}

void service_release(struct effectiveness_service *service, const struct config *config)
{
    if (service->options.config)
        config_live_release(service->options.config, config);
}

int64_t effectiveness_wait_ms(const struct config_effectiveness *config, const char *action)
{
    int64_t ms;
    for (size_t i = 0; i < config->assess_after_of.count; i++)
        if (strcmp(config->assess_after_of.items[i].name, action) == 0 &&
            duration_parse(str_of(config->assess_after_of.items[i].text), &ms))
            return ms;
    return config->assess_after_ms;
}

/* --- planning */

struct planned {
    const char *id;
    int64_t due_at;
};

static bool read_missing(struct store *store, const struct config *config, struct arena *arena,
                         struct planned *planned, size_t max, size_t *count, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    AUTO(rows)
    struct rows *rows =
        tx ? tx_query(tx, &plan_missing_sql, VALUES(V_INT(clock_utc_ms() - PLAN_WITHIN_MS)), err) : NULL;
    bool more = rows != NULL;
    *count = 0;
    while (more) {
        if (!rows_next(rows, &more, err))
            return false;
        if (!more || *count == max)
            continue;
        const char *action = arena_text(arena, rows_text(rows, 1));
        int64_t ended = rows_is_null(rows, 2) ? rows_int(rows, 3) : rows_int(rows, 2);
        planned[(*count)++] =
            (struct planned){ arena_text(arena, rows_text(rows, 0)),
                              ended + effectiveness_wait_ms(&config->effectiveness, action) };
    }
    return rows != NULL;
}

static bool plan_missing(struct effectiveness_service *service, const struct config *config,
                         struct effectiveness_round *round, struct error **err)
{
    enum { PLANNED_MAX = 100 };
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    struct planned planned[PLANNED_MAX];
    size_t count;
    if (!read_missing(service->options.store, config, arena, planned, PLANNED_MAX, &count, err))
        return false;
    if (!count)
        return true;
    AUTO(tx) struct tx *tx = tx_begin(service->options.store, TX_WRITE, err);
    for (size_t i = 0; i < count; i++) {
        struct job_request job = { .kind = JOB_ASSESS,
                                   .subject = planned[i].id,
                                   .severity = SEVERITY_INFO,
                                   .due_at = planned[i].due_at };
        if (!tx || !assessment_plan(tx, planned[i].id, planned[i].due_at, NULL, err) ||
            !job_request(tx, &job, err))
            return false;
    }
    round->planned += (int64_t)count;
    return tx_commit(STEAL(tx), err);
}

/* --- assessing */

static bool end_job(struct store *store, const struct job *job, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx && job_finish(tx, job, err) && tx_commit(STEAL(tx), err);
}

static bool postpone(struct store *store, const struct config *config, const struct job *job,
                     const struct assessment_record *assessment, const char *why, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx &&
           assessment_postpone(tx, assessment->id, clock_utc_ms() + config->effectiveness.retry_ms, why,
                               err) &&
           job_retry(tx, job, config->effectiveness.retry_ms, why, err) && tx_commit(STEAL(tx), err);
}

static bool load(struct store *store, struct arena *arena, const struct job *job, struct execution *execution,
                 struct assessment_record *assessment, bool *found, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    return tx && execution_get(tx, arena, job->subject, execution, err) &&
           assessment_of(tx, arena, job->subject, assessment, found, err);
}

/* A look that finds nothing at all is made again for a while: the sources may be away, not the evidence. */
static bool assess(struct effectiveness_service *service, const struct config *config, struct arena *arena,
                   const struct job *job, struct effectiveness_round *round, struct error **err)
{
    struct store *store = service->options.store;
    struct execution execution;
    struct assessment_record assessment;
    struct gathered gathered;
    bool found;
    if (!load(store, arena, job, &execution, &assessment, &found, err))
        return false;
    if (!found || strcmp(assessment.state, "done") == 0)
        return end_job(store, job, err);
    log_set_trace(execution.trace_id);
    gather(service, config, arena, &execution, &gathered);
    AUTO(strbuf) struct strbuf unknown = gathered.unknown;
    bool too_late = clock_utc_ms() > job->created_at + config->effectiveness.give_up_ms +
                                         effectiveness_wait_ms(&config->effectiveness, execution.action);
    bool away = unknown.len > 0 && isnan(gathered.evidence.criteria[CRITERION_ALERT_RESOLVED]) &&
                !gathered.evidence.failed;
    if (away && !too_late) {
        round->postponed++;
        return postpone(store, config, job, &assessment, unknown.ptr, err);
    }
    if (!record_assessment(service, config, arena, &execution, &assessment, &gathered, job, err))
        return false;
    round->assessed++;
    log_info("execution assessed", KV("execution", execution.id), KV("action", execution.action),
             KV_NUM("score", assessment.score), KV_NUM("confidence", assessment.confidence));
    return true;
}

static bool undo(struct effectiveness_service *service, const struct config *config, struct arena *arena,
                 const struct job *job, struct effectiveness_round *round, struct error **err)
{
    const struct effectiveness_sources *sources = &service->options.sources;
    struct execution execution;
    struct assessment_record assessment = { 0 };
    bool found;
    (void)config;
    if (!load(service->options.store, arena, job, &execution, &assessment, &found, err))
        return false;
    log_set_trace(execution.trace_id);
    if (sources->undo && !execution.undone_by && execution.state == EXECUTION_COMPLETED) {
        const char *why = arena_printf(arena, "it did not help: score %.2f", assessment.score);
        if (sources->undo(sources->context, &execution, why, err)) {
            round->undone++;
            log_info("execution undone", KV("execution", execution.id), KV_NUM("score", assessment.score));
        } else if (err && *err && error_is_retryable(*err) && error_code(*err) != ERROR_CONFLICT) {
            return false;
        } else if (err && *err) {
            log_warn("execution could not be undone", KV("execution", execution.id),
                     KV("error", error_message(*err)));
            error_clear(err);
        }
    }
    return end_job(service->options.store, job, err);
}

/* --- retention, by whoever's turn it is */

static bool retain(struct effectiveness_service *service, const struct config *config, struct arena *arena,
                   const struct job *job, struct effectiveness_round *round, struct error **err)
{
    (void)arena;
    (void)round;
    struct store *store = service->options.store;
    int64_t deleted, resolved;
    if (!history_retain(store, config, &deleted, err) ||
        !history_resolve_detections(store, config, &resolved, err))
        return false;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx && job_retry(tx, job, config->history.retention_period_ms, "", err) &&
           tx_commit(STEAL(tx), err);
}

struct kind_of_work {
    const char *job;
    bool (*run)(struct effectiveness_service *service, const struct config *config, struct arena *arena,
                const struct job *job, struct effectiveness_round *round, struct error **err);
};
static const struct kind_of_work kinds[] = {
    { JOB_ASSESS, assess },
    { JOB_AUTO_UNDO, undo },
    { JOB_RETENTION, retain },
};

/* A job that fails comes back; the others go on. */
static bool run_job(struct effectiveness_service *service, const struct config *config,
                    const struct kind_of_work *kind, struct effectiveness_round *round, bool *found,
                    struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(32 * 1024);
    AUTO(error) struct error *why = NULL;
    struct job job;
    if (!job_claim(service->options.store, arena, kind->job, service->identity, ASSESS_LEASE_MS, &job, found,
                   err))
        return false;
    if (!*found || kind->run(service, config, arena, &job, round, &why))
        return true;
    log_warn("job failed and comes back", KV("job", kind->job), KV("subject", job.subject),
             KV("error", error_message(why)));
    if (error_code(why) == ERROR_NOT_FOUND) /* what it was about is gone, by retention */
        return end_job(service->options.store, &job, err);
    AUTO(tx) struct tx *tx = tx_begin(service->options.store, TX_WRITE, err);
    return tx && job_retry(tx, &job, config->effectiveness.retry_ms, error_message(why), err) &&
           tx_commit(STEAL(tx), err);
}

bool effectiveness_tend(struct effectiveness_service *service, struct effectiveness_round *round,
                        struct error **err)
{
    const struct config *config = service_hold(service);
    bool ok = !config->effectiveness.enabled || plan_missing(service, config, round, err);
    for (size_t i = 0; i < ARRAY_LEN(kinds) && ok; i++) {
        bool found = true;
        for (int n = 0; n < JOBS_PER_ROUND && ok && found; n++) {
            ok = run_job(service, config, &kinds[i], round, &found, err);
            log_set_trace("");
        }
    }
    service_release(service, config);
    return ok;
}

/* --- the thread */

static bool wait_round(struct effectiveness_service *service)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ROUND_MS / 1000;
    pthread_mutex_lock(&service->lock);
    if (!service->stopping)
        pthread_cond_timedwait(&service->wake, &service->lock, &until);
    bool stopping = service->stopping;
    pthread_mutex_unlock(&service->lock);
    return !stopping;
}

static void *work(void *context)
{
    struct effectiveness_service *service = context;
    while (wait_round(service)) {
        AUTO(error) struct error *err = NULL;
        struct effectiveness_round round = { 0 };
        if (!effectiveness_tend(service, &round, &err))
            log_warn("effects could not be looked at", KV("error", error_message(err)));
        if (service->options.also)
            service->options.also(service->options.also_context);
    }
    return NULL;
}

static bool request_retention(struct store *store, struct error **err)
{
    struct job_request job = { .kind = JOB_RETENTION, .subject = "history", .severity = SEVERITY_NONE };
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    return tx && job_request(tx, &job, err) && tx_commit(STEAL(tx), err);
}

struct effectiveness_service *effectiveness_open(const struct effectiveness_options *options,
                                                 struct error **err)
{
    AUTO(effectiveness_service) struct effectiveness_service *service = xcalloc(1, sizeof *service);
    service->options = *options;
    service->identity = xstrdup(options->identity ? options->identity : "effectiveness");
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->wake, NULL);
    const struct config *config = service_hold(service);
    bool ok = history_publish(options->store, config, err) && request_retention(options->store, err);
    service_release(service, config);
    return ok ? STEAL(service) : NULL;
}

void effectiveness_start(struct effectiveness_service *service)
{
    service->started = pthread_create(&service->thread, NULL, work, service) == 0;
    if (!service->started)
        log_error("the thread that looks at effects could not be started");
}

void effectiveness_close(struct effectiveness_service *service)
{
    if (!service)
        return;
    pthread_mutex_lock(&service->lock);
    service->stopping = true;
    pthread_cond_signal(&service->wake);
    pthread_mutex_unlock(&service->lock);
    if (service->started)
        pthread_join(service->thread, NULL);
    pthread_cond_destroy(&service->wake);
    pthread_mutex_destroy(&service->lock);
    free(service->identity);
    free(service);
}
