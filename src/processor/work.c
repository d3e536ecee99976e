/* Workers: an incident that needs work is a job; the lease on it makes the worker the only one, and is renewed for as
 * long as the worker lives. */
#include "metrics/metrics.h"
#include "processor/processor_internal.h"

#include <stdio.h>

enum { DEADLINE_MS = 5 * 60 * 1000, RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 5 * 60 * 1000, ATTEMPTS_MAX = 20 };

struct processor_lease {
    struct processor_lease *next;
    const struct job *job;
};

struct lease_list {
    struct processor_lease *first;
};

void work_request(const struct incident *incident, int64_t due_at, struct job_request *request)
{
    *request = (struct job_request){ .kind = JOB_INCIDENT,
                                     .subject = incident->id,
                                     .severity = incident->severity_rank,
                                     .due_at = due_at,
                                     .trace_id = incident->trace_id };
}

bool processor_work_check(struct tx *tx, const struct processor_work *work, struct error **err)
{
    const struct config_intake *config = &work->config->intake;
    return job_renew(tx, work->lease->job, config->lease_ms, err);
}

/* --- leases of this process */

static void hold(struct processor *processor, struct processor_lease *lease)
{
    pthread_mutex_lock(&processor->lock);
    lease->next = processor->leases->first;
    processor->leases->first = lease;
    pthread_mutex_unlock(&processor->lock);
}

static void let_go(struct processor *processor, struct processor_lease *lease)
{
    pthread_mutex_lock(&processor->lock);
    struct processor_lease **at = &processor->leases->first;
    while (*at != lease)
        at = &(*at)->next;
    *at = lease->next;
    pthread_mutex_unlock(&processor->lock);
}

/* A copy under the lock, for a worker may end while we write. */
static size_t copy_leases(struct processor *processor, struct arena *arena, struct job **jobs)
{
    size_t count = 0, i = 0;
    pthread_mutex_lock(&processor->lock);
    for (struct processor_lease *l = processor->leases->first; l; l = l->next)
        count++;
    *jobs = ARENA_ARRAY(arena, struct job, count);
    for (struct processor_lease *l = processor->leases->first; l; l = l->next, i++)
        (*jobs)[i] = (struct job){ .kind = l->job->kind,
                                   .owner = arena_strdup(arena, l->job->owner),
                                   .subject = arena_strdup(arena, l->job->subject),
                                   .fence = l->job->fence };
    pthread_mutex_unlock(&processor->lock);
    return count;
}

void work_renew_leases(struct processor *processor)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct job *jobs;
    size_t count = copy_leases(processor, arena, &jobs);
    if (count == 0)
        return;
    const struct config *config = config_live_hold(processor->config);
    int64_t lease_ms = config->intake.lease_ms;
    config_live_release(processor->config, config);
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_WRITE, NULL);
    for (size_t i = 0; tx && i < count; i++)
        job_renew(tx, &jobs[i], lease_ms, NULL); /* one that is lost already is no news to the others */
    if (tx)
        tx_commit(STEAL(tx), NULL);
}

/* --- one incident */

static void root_first(struct processor_work *work)
{
    for (size_t i = 1; i < work->alerts.count; i++) {
        if (strcmp(work->alerts.items[i].id, work->incident.root_alert_id) != 0)
            continue;
        struct alert_record root = work->alerts.items[i];
        memmove(work->alerts.items + 1, work->alerts.items, i * sizeof root);
        work->alerts.items[0] = root;
        return;
    }
}

/* Why there is nothing to do after all; NULL if there is. */
static const char *why_not(const struct processor_work *work, struct tx *tx, int64_t now)
{
    if (work->incident.status != INCIDENT_OPEN || work->alerts.count == 0)
        return "resolved";
    bool all_flap = true;
    for (size_t i = 0; i < work->alerts.count; i++)
        all_flap = all_flap && episode_is_flapping(&work->config->intake, &work->alerts.items[i], now);
    if (all_flap)
        return "flapping";
    struct incident parent;
    if (work->incident.parent_id[0] &&
        incident_get(tx, work->arena, work->incident.parent_id, &parent, NULL) &&
        parent.status == INCIDENT_OPEN)
        return "parent";
    return NULL;
}

static bool read_work(struct processor *processor, const struct job *job, struct processor_work *work,
                      const char **reason, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_READ, err);
    const struct alert_query firing = { .incident_id = job->subject, .status = "firing", .limit = 1000 };
    if (!tx || !incident_get(tx, work->arena, job->subject, &work->incident, err) ||
        !alert_record_list(tx, work->arena, &firing, &work->alerts, err))
        return false;
    for (size_t i = 0; i < work->alerts.count; i++)
        work->received_at = MAX(work->received_at, work->alerts.items[i].received_at);
    root_first(work);
    *reason = why_not(work, tx, clock_utc_ms());
    return true;
}

static bool set_work(struct processor *processor, const struct job *job, const char *state, bool finish,
                     struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_WRITE, err);
    return tx && incident_set_work(tx, job->subject, state, err) && (!finish || job_finish(tx, job, err)) &&
           tx_commit(STEAL(tx), err);
}

static bool run_steps(struct processor *processor, struct processor_work *work, struct error **err)
{
    const struct processor_step *step = processor->steps.steps;
    for (; step && step->name && !work->done; step++) {
        int64_t began_us = clock_mono_us();
        bool ok = step->run(work, processor->steps.context, err);
        metric_observe(METRIC_STAGE_DURATION, (double)(clock_mono_us() - began_us) / 1e6, step->name);
        if (!ok)
            return error_wrap(err, "%s", step->name);
    }
    return true;
}

static bool retry_later(struct processor *processor, const struct job *job, const struct error *why,
                        struct error **err)
{
    int64_t wait = RETRY_FIRST_MS << MIN(job->attempts, 10);
    wait = MAX(MIN(wait, RETRY_MAX_MS), error_retry_after_ms(why));
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_WRITE, err);
    return tx && incident_set_work(tx, job->subject, "waiting", err) &&
           job_retry(tx, job, wait, error_message(why), err) && tx_commit(STEAL(tx), err);
}

static bool end_work(struct processor *processor, const struct job *job, bool ok, const struct error *why,
                     struct error **err)
{
    if (ok)
        return set_work(processor, job, "done", true, err);
    if (error_is_retryable(why) && job->attempts < ATTEMPTS_MAX) {
        log_info("incident is tried again later", KV("incident", job->subject),
                 KV("error", error_message(why)));
        return retry_later(processor, job, why, err);
    }
    __atomic_add_fetch(&processor->failed, 1, __ATOMIC_RELAXED);
    log_error("incident cannot be worked on", KV("incident", job->subject), KV("error", error_message(why)));
    return set_work(processor, job, "failed", true, err);
}

static bool work_on(struct processor *processor, const struct job *job, struct processor_work *work,
                    struct error **err)
{
    AUTO(error) struct error *error = NULL;
    const char *reason = NULL;
    if (!read_work(processor, job, work, &reason, err))
        return false;
    if (reason)
        return set_work(processor, job, reason, true, err);
    if (!processor->steps.steps)
        return set_work(processor, job, "none", true, err);
    if (!set_work(processor, job, "working", false, err))
        return false;
    bool ok = run_steps(processor, work, &error);
    metric_inc(METRIC_ALERTS_PROCESSED, work->outcome ? work->outcome : "none", ok ? "success" : "error");
    __atomic_add_fetch(&processor->worked, 1, __ATOMIC_RELAXED);
    return end_work(processor, job, ok, error, err);
}

static bool work_leased(struct processor *processor, struct arena *arena, const struct job *job,
                        struct error **err)
{
    struct processor_lease lease = { .job = job };
    int64_t deadline_ms = processor->steps.deadline_ms ? processor->steps.deadline_ms : DEADLINE_MS;
    struct processor_work work = { .store = processor->store,
                                   .arena = arena,
                                   .trace_id = job->trace_id,
                                   .key = arena_printf(arena, "%lld/%lld", (long long)job->created_at,
                                                       (long long)job->generation),
                                   .attempt = job->attempts,
                                   .lease = &lease,
                                   .deadline_us = clock_mono_us() + deadline_ms * 1000 };
    hold(processor, &lease);
    log_set_trace(job->trace_id);
    work.config = config_live_hold(processor->config);
    bool ok = work_on(processor, job, &work, err);
    config_live_release(processor->config, work.config);
    log_set_trace("");
    let_go(processor, &lease);
    return ok;
}

bool work_once(struct processor *processor, struct arena *arena, const char *owner, bool *did,
               struct error **err)
{
    const struct config *config = config_live_hold(processor->config);
    int64_t lease_ms = config->intake.lease_ms;
    config_live_release(processor->config, config);
    struct job job;
    *did = false;
    if (!job_claim(processor->store, arena, JOB_INCIDENT, owner, lease_ms, &job, did, err))
        return false;
    if (!*did)
        return true;
    bell_ring_workers(processor);
    __atomic_add_fetch(&processor->busy, 1, __ATOMIC_RELAXED);
    bool ok = work_leased(processor, arena, &job, err);
    __atomic_sub_fetch(&processor->busy, 1, __ATOMIC_RELAXED);
    return ok;
}

struct lease_list *lease_list_new(void)
{
    return xcalloc(1, sizeof(struct lease_list));
}
