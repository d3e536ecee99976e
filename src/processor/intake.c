/* From the inbox to alerts and incidents. A batch of payloads is claimed, parsed, and worked in: what a transaction
 * writes, and the deletion of the payloads it finishes, are one commit, so that each alert is in the store once whenever
 * the process dies. A payload too large for one transaction is worked in by several; saying its first alerts again after
 * a crash between them changes nothing. */
#include <stdlib.h>

#include "metrics/metrics.h"
#include "processor/processor_internal.h"

enum {
    BATCH_PAYLOADS = 64,
    BATCH_ALERTS = 256,
    SLICE_US = 4000,
    AGAIN_MAX = 4,
    AGAIN_MS = 20,
    PRESSED_WAIT_MS = 2,
    SETTLE_MS = 5000,
    TRIES_MAX = 5
};

struct intake {
    struct processor *processor;
    struct arena *arena;
    const struct config *config;
    struct inbox_claim *claims;
    struct alert_payload *payloads;
    size_t count;
    int64_t now;
};

static double seconds_since(int64_t *us)
{
    int64_t before = *us;
    *us = clock_mono_us();
    return (double)(*us - before) / 1e6;
}

/* --- one alert */

/* Flapping starts work once enough of its changes are old; a reopened alert, once the grace is over. */
static int64_t when_due(const struct config_intake *config, const struct alert_record *record,
                        enum episode episode, int64_t now)
{
    size_t n = record->change_count;
    int64_t due_at = now;
    if (episode == EPISODE_REOPENED)
        due_at = (n >= 2 ? record->changes[n - 2] : now) + config->reopen_grace_ms;
    if (record->flapping && n >= (size_t)config->flap_changes)
        due_at = MAX(due_at, record->changes[n - (size_t)config->flap_changes] + config->flap_window_ms);
    return MAX(due_at, now);
}

static bool request_work(const struct intake *in, struct incident_set *set, struct entry *entry,
                         const struct alert_record *record, enum episode episode, struct error **err)
{
    struct job_request request;
    struct incident *incident = &entry->incident;
    int64_t due_at = when_due(&in->config->intake, record, episode, in->now);
    bool is_worse =
        record->alert.severity == incident->severity_rank && strcmp(incident->root_alert_id, record->id) == 0;
    if (!entry->is_new && !str_eq(incident->work, STR("none")) && !str_eq(incident->work, STR("waiting")) &&
        !is_worse)
        due_at = MAX(due_at,
                     in->now + SETTLE_MS); /* worked on already: its further alerts are looked at together */
    work_request(incident, due_at, &request);
    entry->incident.work = STR("waiting");
    return job_request(set->tx, &request, err);
}

static bool join(const struct intake *in, struct incident_set *set, struct alert_record *record,
                 enum episode episode, struct error **err)
{
    struct entry *entry = NULL;
    if (record->filtered)
        return true;
    bool joined = episode == EPISODE_REOPENED ? correlate_rejoin(set, record, &entry, err)
                                              : correlate_join(set, record, &entry, err);
    return joined && request_work(in, set, entry, record, episode, err);
}

static bool begin_record(const struct intake *in, struct incident_set *set, struct alert_record *record,
                         enum episode episode, struct error **err)
{
    ulid_new(record->id);
    return (episode == EPISODE_PAST || join(in, set, record, episode, err)) &&
           alert_record_insert(set->tx, record, err);
}

/* A repeat whose text is the same needs no new text written. */
static bool write_same(struct incident_set *set, const struct alert_record *known,
                       const struct alert_record *record, struct error **err)
{
    bool touched = known->alert.starts_at == record->alert.starts_at &&
                   known->alert.ends_at == record->alert.ends_at &&
                   str_eq(known->alert.description, record->alert.description) &&
                   str_eq(known->group_key, record->group_key);
    return touched ? alert_record_touch(set->tx, record->id, record->last_seen_at, err)
                   : alert_record_update(set->tx, record, err);
}

static bool write_episode(const struct intake *in, struct incident_set *set, const struct alert_record *known,
                          struct alert_record *record, enum episode episode, struct error **err)
{
    switch (episode) {
    case EPISODE_NEW:
    case EPISODE_PAST:
        return (!known || alert_record_retire(set->tx, known->id, err)) &&
               begin_record(in, set, record, episode, err);
    case EPISODE_ENDED:
        return correlate_leave(set, record, in->now, err) && alert_record_update(set->tx, record, err);
    case EPISODE_REOPENED:
        return join(in, set, record, episode, err) && alert_record_update(set->tx, record, err);
    case EPISODE_SAME:
        break;
    }
    if (!known->filtered || record->filtered || record->alert.status != ALERT_FIRING)
        return write_same(set, known, record, err);
    return join(in, set, record, EPISODE_NEW, err) &&
           alert_record_update(set->tx, record, err); /* the filters changed */
}

static void count_episode(const struct intake *in, const struct alert_record *known,
                          const struct alert_record *record, enum episode episode)
{
    if (episode == EPISODE_SAME)
        metric_inc(METRIC_ALERTS_DEDUPLICATED);
    if (record->flapping && !(known && known->flapping))
        metric_inc(METRIC_ALERTS_FLAPPING);
    if (!record->filtered)
        return;
    __atomic_add_fetch(&in->processor->filtered, 1, __ATOMIC_RELAXED);
    metric_inc(METRIC_ALERTS_FILTERED, "general");
}

static bool work_in(struct intake *in, struct incident_set *set, const struct inbox_claim *claim,
                    const struct alert_payload *payload, const struct alert *alert, struct error **err)
{
    const struct delivery delivery = { .alert = alert,
                                       .receiver = payload->receiver,
                                       .group_key = payload->group_key,
                                       .trace_id = claim->trace_id,
                                       .now = in->now };
    struct alert_record known, record;
    bool found = false;
    int64_t us = clock_mono_us();
    log_set_trace(claim->trace_id);
    if (!alert_record_current(set->tx, in->arena, alert->fingerprint, &known, &found, err))
        return false;
    enum episode episode = episode_of(&in->config->intake, &delivery, found ? &known : NULL, &record);
    metric_observe(METRIC_STAGE_DURATION, seconds_since(&us), "deduplicate");
    if (alert->status == ALERT_FIRING)
        record.filtered = !processor_filters_accept(&in->config->filters, alert);
    metric_observe(METRIC_STAGE_DURATION, seconds_since(&us), "filter");
    count_episode(in, found ? &known : NULL, &record, episode);
    bool ok = write_episode(in, set, found ? &known : NULL, &record, episode, err);
    metric_observe(METRIC_STAGE_DURATION, seconds_since(&us), "correlate");
    return ok;
}

/* --- one transaction */

/* The alerts of some payloads, in the order in which they are worked in. Replicas that lock the same alerts and incidents
 * do so in one order, that of their targets, or they would wait for each other for ever. Of one alert the deliveries
 * stay in order. */
struct item {
    size_t claim, alert, place;
    const char *key;
};

struct list {
    struct item *items;
    size_t count, at;
    size_t begin, end; /* of the claims */
};

static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static const char *key_of(const struct intake *in, const struct alert *alert)
{
    struct alert_target owner = alert_target_owner(&alert->target);
    return arena_printf(in->arena, "%s#%s", alert_target_key(in->arena, &owner), alert->fingerprint);
}

static struct list list_alerts(const struct intake *in, size_t begin, size_t end)
{
    struct list list = { .begin = begin, .end = end };
    bool shared = store_is_postgres(in->processor->store);
    size_t room = 0;
    for (size_t c = begin; c < end; c++)
        room += in->payloads[c].count;
    list.items = ARENA_ARRAY(in->arena, struct item, room);
    for (size_t c = begin; c < end; c++)
        for (size_t a = 0; a < in->payloads[c].count; a++, list.count++)
            list.items[list.count] =
                (struct item){ .claim = c,
                               .alert = a,
                               .place = list.count,
                               .key = shared ? key_of(in, &in->payloads[c].alerts[a]) : "" };
    if (shared)
        qsort(list.items, list.count, sizeof *list.items, by_key);
    return list;
}

/* A worker that was stopped for longer than its lease must not work in what another has worked in since. */
static bool still_ours(const struct intake *in, const struct list *list, struct tx *tx, struct error **err)
{
    int64_t lease_until = tx_lease_now_ms(tx) + in->config->intake.lease_ms;
    for (size_t c = list->begin; c < list->end; c++)
        if (!inbox_renew(tx, &in->claims[c], lease_until, err))
            return false;
    return true;
}

static bool fill(struct intake *in, struct incident_set *set, struct list *list, struct error **err)
{
    int64_t slice_us = clock_mono_us() + SLICE_US;
    if (!still_ours(in, list, set->tx, err))
        return false;
    for (size_t n = 0; list->at < list->count; n++, list->at++) {
        const struct item *item = &list->items[list->at];
        const struct alert_payload *payload = &in->payloads[item->claim];
        if (n == BATCH_ALERTS || (n && clock_mono_us() >= slice_us && tx_is_wanted(set->tx)))
            return true;
        bool ok = work_in(in, set, &in->claims[item->claim], payload, &payload->alerts[item->alert], err);
        log_set_trace("");
        if (!ok)
            return false;
    }
    for (size_t c = list->begin; c < list->end; c++)
        if (!inbox_finish(set->tx, &in->claims[c], err))
            return false;
    return true;
}

static void say_opened(const struct incident *incident)
{
    metric_inc(METRIC_INCIDENTS_OPENED);
    log_info("incident opened", KV("incident", incident->id), KV("trace", incident->trace_id),
             KV_STR("alert", incident->title), KV_STR("namespace", incident->target.namespace),
             KV_STR("kind", incident->target.kind), KV_STR("name", incident->target.name));
}

static bool transact(struct intake *in, struct list *list, struct error **err)
{
    int64_t us = clock_mono_us();
    AUTO(tx) struct tx *tx = tx_begin(in->processor->store, TX_WRITE, err);
    struct incident_set set = { .tx = tx, .arena = in->arena, .config = in->config };
    if (!tx || !fill(in, &set, list, err) || !correlate_write(&set, err) || !tx_commit(STEAL(tx), err))
        return false;
    metric_observe(METRIC_STAGE_DURATION, seconds_since(&us), "incident");
    for (size_t i = 0; i < set.count; i++)
        if (set.entries[i]->is_new)
            say_opened(&set.entries[i]->incident);
    return true;
}

static bool work_in_all(struct intake *in, size_t begin, size_t end, struct error **err)
{
    struct list list = list_alerts(in, begin, end);
    do {
        if (!transact(in, &list, err))
            return false;
        if (inbox_is_pressed(in->processor->store)) /* accepting goes first; we get on, slice by slice */
            clock_sleep_ms(PRESSED_WAIT_MS);
    } while (list.at < list.count);
    for (size_t c = begin; c < end; c++)
        inbox_finished(in->processor->store, in->claims[c].alerts);
    return true;
}

/* --- a batch */

static bool refuse(struct intake *in, size_t at, const char *why, struct error **err)
{
    const struct inbox_claim *claim = &in->claims[at];
    log_error("payload cannot be worked in; it is kept aside", KV("trace", claim->trace_id),
              KV_INT("inbox_id", claim->id), KV("error", why));
    AUTO(tx) struct tx *tx = tx_begin(in->processor->store, TX_WRITE, err);
    if (!tx || !inbox_refuse(tx, claim, why, err) || !tx_commit(STEAL(tx), err))
        return false;
    inbox_finished(in->processor->store, claim->alerts);
    return true;
}

static bool parse(struct intake *in, struct error **err)
{
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++) {
        AUTO(error) struct error *bad = NULL;
        in->claims[kept] = in->claims[i];
        if (alert_parse(in->arena, in->claims[i].payload, &in->payloads[kept], &bad))
            kept++;
        else if (!refuse(in, kept, error_message(bad), err))
            return false;
    }
    in->count = kept;
    return true;
}

static void free_claim(struct intake *in, size_t at)
{
    AUTO(tx) struct tx *tx = tx_begin(in->processor->store, TX_WRITE, NULL);
    if (tx && inbox_free(tx, &in->claims[at], NULL))
        tx_commit(STEAL(tx), NULL);
}

/* After a failure of the whole batch: one by one, so that one bad payload does not hold up the others. */
static bool one_by_one(struct intake *in, struct error **err)
{
    bool all = true;
    for (size_t i = 0; i < in->count; i++) {
        AUTO(error) struct error *error = NULL;
        if (work_in_all(in, i, i + 1, &error) || error_code(error) == ERROR_CONFLICT)
            continue;
        bool passes =
            error_is_retryable(error) || error_code(error) == ERROR_EXISTS || in->claims[i].fence < TRIES_MAX;
        if (!passes && refuse(in, i, error_message(error), NULL))
            continue;
        free_claim(in, i);
        all = false;
        error_move(err, &error);
    }
    return all;
}

static bool work_in_batch(struct intake *in, struct error **err)
{
    AUTO(error) struct error *error = NULL;
    int64_t us = clock_mono_us();
    if (!parse(in, err))
        return false;
    if (in->count)
        metric_observe(METRIC_STAGE_DURATION, seconds_since(&us), "normalise");
    for (int i = 0; i < AGAIN_MAX; i++) {
        error_clear(&error);
        if (in->count == 0 || work_in_all(in, 0, in->count, &error))
            return true;
        if (error_code(error) != ERROR_EXISTS && error_code(error) != ERROR_UNAVAILABLE)
            break;
        clock_sleep_ms(
            (int64_t)(rand_u64() % AGAIN_MS)); /* another replica had the same alert, or was in the way */
    }
    log_debug("batch failed; each payload alone now", KV("error", error_message(error)));
    return one_by_one(in, err);
}

bool intake_once(struct processor *processor, struct arena *arena, bool *did, struct error **err)
{
    struct intake in = { .processor = processor, .arena = arena, .now = clock_utc_ms() };
    in.claims = ARENA_ARRAY(arena, struct inbox_claim, BATCH_PAYLOADS);
    in.payloads = ARENA_ARRAY(arena, struct alert_payload, BATCH_PAYLOADS);
    in.config = config_live_hold(processor->config);
    int64_t us = clock_mono_us();
    bool ok = inbox_claim(processor->store, arena, processor->owner, in.config->intake.lease_ms,
                          BATCH_PAYLOADS, in.claims, &in.count, err);
    *did = ok && in.count > 0;
    if (*did)
        metric_observe(METRIC_STAGE_DURATION, seconds_since(&us), "claim");
    ok = ok && work_in_batch(&in, err);
    __atomic_add_fetch(&processor->payloads, (int64_t)in.count, __ATOMIC_RELAXED);
    for (size_t i = 0; i < in.count; i++)
        __atomic_add_fetch(&processor->alerts, (int64_t)in.payloads[i].count, __ATOMIC_RELAXED);
    config_live_release(processor->config, in.config);
    return ok;
}
