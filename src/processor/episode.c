/* A delivery and what is known of its fingerprint: the same said again, an end, a new beginning?
 *
 * Alertmanager repeats a firing alert every repeat_interval, two of them in a cluster say everything twice, nothing
 * orders their deliveries, and either lowers startsAt when it merges two Prometheus servers' word. So startsAt is no
 * key: it is a new alert only if it started after the recorded end of the last one; and an end closes only what had
 * started by then. A source that fell silent is resolved by Alertmanager and may come back as the same alert. */
#include "processor/processor_internal.h"

bool episode_is_flapping(const struct config_intake *config, const struct alert_record *record, int64_t now)
{
    int64_t changes = 0;
    for (size_t i = 0; i < record->change_count; i++)
        changes += record->changes[i] > now - config->flap_window_ms;
    return changes >= config->flap_changes;
}

/* Between firing and resolved, in either direction. The oldest is forgotten when there are too many. */
static void note_change(const struct config_intake *config, struct alert_record *record, int64_t now)
{
    if (record->change_count == ALERT_CHANGES_MAX)
        memmove(record->changes, record->changes + 1, --record->change_count * sizeof *record->changes);
    record->changes[record->change_count++] = now;
    record->flapping = episode_is_flapping(config, record, now);
}

static struct alert_record begin(const struct delivery *delivery, const struct alert_record *known)
{
    struct alert_record record = {
        .alert = *delivery->alert,
        .receiver = delivery->receiver,
        .group_key = delivery->group_key,
        .received_at = delivery->now,
        .last_seen_at = delivery->now,
        .deliveries = 1,
        .current = true,
        .trace_id = delivery->trace_id,
    };
    /* Nothing that fires begins in the future; amtool says so of an alert that was given an end only. */
    if (record.alert.starts_at == 0 || record.alert.starts_at > delivery->now)
        record.alert.starts_at = delivery->now;
    if (record.alert.status == ALERT_RESOLVED && record.alert.ends_at == 0)
        record.alert.ends_at = delivery->now;
    if (!known)
        return record;
    memcpy(record.changes, known->changes, sizeof record.changes); /* flapping outlives an episode */
    record.change_count = known->change_count;
    return record;
}

static void say_again(const struct delivery *delivery, struct alert_record *record)
{
    const struct alert *alert = delivery->alert;
    record->last_seen_at = delivery->now;
    record->deliveries++;
    if (alert->starts_at && alert->starts_at < record->alert.starts_at)
        record->alert.starts_at = alert->starts_at;
    if (alert->status != ALERT_FIRING)
        return;
    record->alert.annotations = alert->annotations;
    record->alert.description = alert->description;
    record->alert.generator_url = alert->generator_url;
    record->receiver = delivery->receiver;
    record->group_key = delivery->group_key;
}

static enum episode when_open(const struct config_intake *config, const struct delivery *delivery,
                              const struct alert_record *known, struct alert_record *record)
{
    const struct alert *alert = delivery->alert;
    int64_t end = alert->ends_at ? alert->ends_at : delivery->now;
    int64_t started = known->alert.starts_at;
    say_again(delivery, record);
    if (alert->status == ALERT_FIRING)
        return EPISODE_SAME;
    if (end < started) { /* the end of an earlier one, delivered late */
        record->alert.starts_at = started;
        return EPISODE_SAME;
    }
    record->alert.status = ALERT_RESOLVED;
    record->alert.ends_at = end;
    note_change(config, record, delivery->now);
    return EPISODE_ENDED;
}

static enum episode when_ended(const struct config_intake *config, const struct delivery *delivery,
                               const struct alert_record *known, struct alert_record *record)
{
    const struct alert *alert = delivery->alert;
    int64_t start = alert->starts_at ? alert->starts_at : delivery->now;
    if (start > known->alert.ends_at) {
        *record = begin(delivery, known);
        if (alert->status == ALERT_RESOLVED)
            return EPISODE_PAST;
        note_change(config, record, delivery->now);
        return EPISODE_NEW;
    }
    say_again(delivery, record);
    if (alert->status == ALERT_RESOLVED) {
        record->alert.ends_at = MAX(record->alert.ends_at, alert->ends_at);
        return EPISODE_SAME;
    }
    record->alert.status = ALERT_FIRING;
    record->alert.ends_at = 0;
    note_change(config, record, delivery->now);
    return EPISODE_REOPENED;
}

enum episode episode_of(const struct config_intake *config, const struct delivery *delivery,
                        const struct alert_record *known, struct alert_record *record)
{
    if (!known) {
        *record = begin(delivery, NULL);
        return delivery->alert->status == ALERT_FIRING ? EPISODE_NEW : EPISODE_PAST;
    }
    *record =
        *known; /* its trace too: one from its first delivery to the assessment of what was done for it */
    return known->alert.status == ALERT_FIRING ? when_open(config, delivery, known, record)
                                               : when_ended(config, delivery, known, record);
}
