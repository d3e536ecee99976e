/* The processor's threads: one takes payloads in, one keeps the house (silent alerts, leases), the others work on
 * incidents. */
#include "processor/processor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "processor/processor_internal.h"

enum {
    ARENA_BLOCK = 256 * 1024,
    POLL_MS = 1000,
    TIDY_MS = 5000,
    ERROR_WAIT_MS = 500,
    CLOCK_JUMP_MS = 60 * 1000
};

struct worker {
    struct processor *processor;
    pthread_t thread;
    char owner[OWNER_MAX + 16];
};

bool processor_is_stopping(struct processor *processor)
{
    pthread_mutex_lock(&processor->lock);
    bool stopping = processor->stopping;
    pthread_mutex_unlock(&processor->lock);
    return stopping;
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

void bell_wait(struct processor *processor, struct bell *bell, uint64_t *seen, int64_t ms)
{
    struct timespec until = in_ms(ms);
    pthread_mutex_lock(&processor->lock);
    while (!processor->stopping && bell->rings == *seen)
        if (pthread_cond_timedwait(&bell->wake, &processor->lock, &until) == ETIMEDOUT)
            break;
    *seen = bell->rings;
    pthread_mutex_unlock(&processor->lock);
}

void bell_ring(struct processor *processor, struct bell *bell)
{
    pthread_mutex_lock(&processor->lock);
    bell->rings++;
    pthread_cond_broadcast(&bell->wake);
    pthread_mutex_unlock(&processor->lock);
}

void bell_ring_workers(struct processor *processor)
{
    pthread_mutex_lock(&processor->lock);
    processor->work_bell.rings++;
    pthread_cond_signal(&processor->work_bell.wake);
    pthread_cond_signal(&processor->work_bell.wake);
    pthread_mutex_unlock(&processor->lock);
}

void processor_wake(struct processor *processor)
{
    bell_ring(processor, &processor->intake_bell);
    store_news_tell(processor->news, NEWS_INBOX);
}

/* What another replica committed. */
static void heard(void *context, unsigned kinds)
{
    struct processor *processor = context;
    if (kinds & NEWS_INBOX)
        bell_ring(processor, &processor->intake_bell);
    if (kinds & NEWS_WORK)
        bell_ring_workers(processor);
}

static void tell_of_work(struct processor *processor)
{
    bell_ring_workers(processor);
    bell_ring(processor, &processor->rest_bell);
    store_news_tell(processor->news, NEWS_WORK);
}

/* Said once for as long as it lasts, not at every turn. */
static void tell(const struct error *error, const char *what, bool *told)
{
    if (error && !*told)
        log_error(what, KV("error", error_message(error)));
    *told = error != NULL;
}

static void *run_intake(void *context)
{
    struct processor *processor = context;
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    uint64_t seen = 0;
    bool told = false;
    while (!processor_is_stopping(processor)) {
        AUTO(error) struct error *error = NULL;
        bool did = false;
        bool ok = intake_once(processor, arena, &did, &error);
        arena_reset(arena);
        tell(error, "alerts are accepted but not worked in", &told);
        if (did)
            tell_of_work(processor);
        if (!ok)
            clock_sleep_ms(ERROR_WAIT_MS);
        else if (!did)
            bell_wait(processor, &processor->intake_bell, &seen, POLL_MS);
    }
    return NULL;
}

static void *run_rest(void *context)
{
    struct processor *processor = context;
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    uint64_t seen = 0;
    bool told = false;
    while (!processor_is_stopping(processor)) {
        AUTO(error) struct error *error = NULL;
        bool did = false;
        bool ok = rest_once(processor, arena, &did, &error);
        arena_reset(arena);
        tell(error, "truncated groups are not completed", &told);
        if (!ok || !did)
            bell_wait(processor, &processor->rest_bell, &seen, POLL_MS);
    }
    return NULL;
}

static void *run_worker(void *context)
{
    struct worker *worker = context;
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    uint64_t seen = 0;
    bool told = false;
    while (!processor_is_stopping(worker->processor)) {
        AUTO(error) struct error *error = NULL;
        bool did = false;
        bool ok = work_once(worker->processor, arena, worker->owner, &did, &error);
        arena_reset(arena);
        tell(error, "incidents are not worked on", &told);
        if (!ok)
            clock_sleep_ms(ERROR_WAIT_MS);
        else if (!did)
            bell_wait(worker->processor, &worker->processor->work_bell, &seen, POLL_MS);
    }
    return NULL;
}

/* By how much the wall clock ran ahead of the monotonic one since the last turn, in leaps: silence is not measured by
 * them, for else every alert would end when the clock is put forward. */
static int64_t leap_of(int64_t *offset)
{
    int64_t now = clock_utc_ms() - clock_mono_ms(), leap = *offset ? now - *offset : 0;
    *offset = now;
    if (leap > -CLOCK_JUMP_MS && leap < CLOCK_JUMP_MS)
        return 0;
    metric_inc(METRIC_CLOCK_STEPS);
    log_warn("the clock was set", KV_INT("by_ms", leap));
    return leap;
}

static void end_silent(struct processor *processor, struct arena *arena, int64_t now, bool *told)
{
    AUTO(error) struct error *error = NULL;
    bool more = true;
    while (more && !processor_is_stopping(processor)) {
        expire_once(processor, arena, now, &more, &error);
        arena_reset(arena);
    }
    tell(error, "silent alerts cannot be ended", told);
}

static void *run_tidy(void *context)
{
    struct processor *processor = context;
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    int64_t offset = 0, ahead = 0;
    uint64_t seen = 0;
    bool told = false;
    while (!processor_is_stopping(processor)) {
        ahead = MAX(0, ahead + leap_of(&offset));
        end_silent(processor, arena, clock_utc_ms() - ahead, &told);
        work_renew_leases(processor);
        bell_wait(processor, &processor->stop_bell, &seen, TIDY_MS);
    }
    return NULL;
}

static void name_owner(char owner[OWNER_MAX])
{
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    snprintf(owner, OWNER_MAX, "%s/%d/%08x", host, (int)getpid(), (unsigned)rand_u64());
}

static void start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    int failed = pthread_create(thread, NULL, run, context);
    if (failed) {
        log_error("cannot start a thread", KV_INT("errno", failed));
        abort();
    }
}

static void init_locks(struct processor *processor)
{
    struct bell *const bells[] = { &processor->intake_bell, &processor->rest_bell, &processor->work_bell,
                                   &processor->stop_bell };
    pthread_condattr_t monotonic;
    pthread_mutex_init(&processor->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    for (size_t i = 0; i < ARRAY_LEN(bells); i++)
        pthread_cond_init(&bells[i]->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void start_workers(struct processor *processor)
{
    const struct config *config = config_live_hold(processor->config);
    processor->worker_count = (size_t)config->intake.workers;
    config_live_release(processor->config, config);
    processor->workers = xcalloc(processor->worker_count, sizeof *processor->workers);
    for (unsigned i = 0; i < processor->worker_count; i++) {
        struct worker *worker = &processor->workers[i];
        worker->processor = processor;
        snprintf(worker->owner, sizeof worker->owner, "%s/%u", processor->owner, i);
        start_thread(&worker->thread, run_worker, worker);
    }
}

struct processor *processor_new(struct store *store, struct config_live *live,
                                const struct processor_steps *steps)
{
    struct processor *processor = xcalloc(1, sizeof *processor);
    processor->store = store;
    processor->config = live;
    if (steps)
        processor->steps = *steps;
    processor->leases = lease_list_new();
    name_owner(processor->owner);
    init_locks(processor);
    return processor;
}

void processor_free(struct processor *processor)
{
    pthread_mutex_destroy(&processor->lock);
    pthread_cond_destroy(&processor->intake_bell.wake);
    pthread_cond_destroy(&processor->rest_bell.wake);
    pthread_cond_destroy(&processor->work_bell.wake);
    pthread_cond_destroy(&processor->stop_bell.wake);
    free(processor->leases);
    free(processor->workers);
    free(processor);
}

struct processor *processor_start(struct store *store, struct config_live *live,
                                  const struct processor_steps *steps)
{
    struct processor *processor = processor_new(store, live, steps);
    processor->news = store_news_start(store, heard, processor);
    start_thread(&processor->intake_thread, run_intake, processor);
    start_thread(&processor->rest_thread, run_rest, processor);
    start_thread(&processor->tidy_thread, run_tidy, processor);
    start_workers(processor);
    return processor;
}

void processor_stop(struct processor *processor)
{
    if (!processor)
        return;
    pthread_mutex_lock(&processor->lock);
    processor->stopping = true;
    pthread_cond_broadcast(&processor->intake_bell.wake);
    pthread_cond_broadcast(&processor->rest_bell.wake);
    pthread_cond_broadcast(&processor->work_bell.wake);
    pthread_cond_broadcast(&processor->stop_bell.wake);
    pthread_mutex_unlock(&processor->lock);
    pthread_join(processor->intake_thread, NULL);
    pthread_join(processor->tidy_thread, NULL);
    pthread_join(processor->rest_thread, NULL);
    for (size_t i = 0; i < processor->worker_count; i++)
        pthread_join(processor->workers[i].thread, NULL);
    store_news_stop(processor->news);
    processor_free(processor);
}

void processor_stats(struct processor *processor, struct processor_stats *stats)
{
    *stats = (struct processor_stats){
        .inbox_waiting = inbox_waiting(processor->store),
        .payloads = __atomic_load_n(&processor->payloads, __ATOMIC_RELAXED),
        .alerts = __atomic_load_n(&processor->alerts, __ATOMIC_RELAXED),
        .filtered = __atomic_load_n(&processor->filtered, __ATOMIC_RELAXED),
        .incidents_worked = __atomic_load_n(&processor->worked, __ATOMIC_RELAXED),
        .failed = __atomic_load_n(&processor->failed, __ATOMIC_RELAXED),
        .workers = (unsigned)processor->worker_count,
        .workers_busy = __atomic_load_n(&processor->busy, __ATOMIC_RELAXED),
    };
}
