/* A silenced, inhibited or muted alert vanishes from Alertmanager's messages without an end, and with
 * send_resolved: false no end ever comes. What fires and has been silent for intake.expire_after is ended by us. */
#include "metrics/metrics.h"
#include "processor/processor_internal.h"

enum { EXPIRE_BATCH = 200 };

static bool end(struct incident_set *set, struct alert_record *record, int64_t now, struct error **err)
{
    record->alert.status = ALERT_RESOLVED;
    record->alert.ends_at = now;
    return correlate_leave(set, record, now, err) && alert_record_update(set->tx, record, err);
}

static bool end_silent(struct processor *processor, struct arena *arena, const struct config *config,
                       int64_t now, size_t *ended, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_WRITE, err);
    struct incident_set set = { .tx = tx, .arena = arena, .config = config };
    const struct alert_query query = { .silent_since = now - config->intake.expire_after_ms,
                                       .limit = EXPIRE_BATCH };
    struct alert_records silent;
    if (!tx || !alert_record_list(tx, arena, &query, &silent, err))
        return false;
    *ended = silent.count;
    for (size_t i = 0; i < silent.count; i++)
        if (!end(&set, &silent.items[i], now, err))
            return false;
    return silent.count == 0 || (correlate_write(&set, err) && tx_commit(STEAL(tx), err));
}

bool expire_once(struct processor *processor, struct arena *arena, int64_t now, bool *more,
                 struct error **err)
{
    const struct config *config = config_live_hold(processor->config);
    size_t ended = 0;
    bool ok = end_silent(processor, arena, config, now, &ended, err);
    config_live_release(processor->config, config);
    *more = ok && ended == EXPIRE_BATCH;
    metric_add(METRIC_ALERTS_EXPIRED, (double)ended);
    if (ok && ended)
        log_info("silent alerts have ended", KV_INT("count", (int64_t)ended));
    return ok;
}
