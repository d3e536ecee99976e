/* How likely an action is to help. Outcomes are fractions (a score) with a weight (how sure it is), decayed by age; a
 * level with few of its own leans on the wider one:
 *
 *     rate(level) = (helped + strength × rate(wider level)) / (tried + strength)
 *
 * from the action alone over the alert's name and the kind to the namespace. The widest leans on what is usual for the
 * action, which is what the predecessor expected of it. The interval is that of the Beta distribution with these two as
 * its parameters, approximated by its moments. */
#include "history/history_internal.h"

#include <math.h>

#include "history_sql.h"
#include "store/memory.h"

#define MIDDLE_80 1.2816 /* standard deviations that hold the middle 80 % of a normal distribution */

double predict_usual(enum action action)
{
    switch (action) {
    case ACTION_SCALE_DEPLOYMENT:
        return 0.7;
    case ACTION_RESTART_POD:
        return 0.6;
    case ACTION_INCREASE_RESOURCES:
        return 0.8;
    case ACTION_ROLLBACK_DEPLOYMENT:
        return 0.75;
    case ACTION_DRAIN_NODE:
        return 0.6;
    case ACTION_NOTIFY_ONLY:
        return 0.3;
    default:
        return 0.5;
    }
}

struct prediction predict(const struct rates *rates, enum action action, const struct config_learning *config,
                          int64_t now)
{
    double rate = predict_usual(action), strength = config->prior_strength, tried = 0;
    struct prediction prediction = { 0 };
    for (int level = 0; level < RATE_LEVEL_COUNT; level++) {
        struct rate own = rate_at(&rates->at[level][action], now, config->half_life_ms);
        rate = (own.helped + strength * rate) / (own.tried + strength);
        if (own.tried > 0) { /* the narrowest level that knows anything says how much is known */
            tried = own.tried;
            prediction.cases = own.cases;
        }
    }
    double spread = MIDDLE_80 * sqrt(rate * (1 - rate) / (tried + strength + 1));
    prediction.rate = rate;
    prediction.low = MAX(rate - spread, 0);
    prediction.high = MIN(rate + spread, 1);
    prediction.samples = tried;
    return prediction;
}

bool cases_read(struct tx *tx, struct arena *arena, const char *alert_name, enum action action, size_t max,
                const char **ids, size_t *count, struct error **err)
{
    AUTO(rows)
    struct rows *rows = tx_query(
        tx, &cases_sql, VALUES(V_TEXT(alert_name), V_TEXT(action_name(action)), V_INT((int64_t)max)), err);
    bool more = rows != NULL;
    *count = 0;
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (*count < max)
            ids[(*count)++] = arena_text(arena, rows_text(rows, 0));
    }
    return false;
}

struct ranked {
    enum action action;
    struct prediction prediction;
};

static void add_prediction(struct strbuf *out, const struct ranked *ranked)
{
    const struct prediction *p = &ranked->prediction;
    strbuf_addf(out,
                "{\"action\":\"%s\",\"rate\":%.4f,\"low\":%.4f,\"high\":%.4f,\"samples\":%.2f,\"cases\":%lld,"
                "\"usual\":%.2f",
                action_name(ranked->action), p->rate, p->low, p->high, p->samples, (long long)p->cases,
                predict_usual(ranked->action));
}

static void sort_by_rate(struct ranked *items, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && items[j].prediction.rate > items[j - 1].prediction.rate; j--) {
            struct ranked swap = items[j];
            items[j] = items[j - 1];
            items[j - 1] = swap;
        }
}

static size_t rank(const struct rates *rates, const struct config *config,
                   const struct history_filter *filter, struct ranked *items, struct error **err)
{
    enum action only = ACTION_COUNT;
    size_t count = 0;
    if (filter->action && !action_parse(str_of(filter->action), &only)) {
        error_set(err, ERROR_INVALID, "there is no action \"%.60s\": `actions list` shows them",
                  filter->action);
        return 0;
    }
    for (int action = 0; action < ACTION_COUNT; action++)
        if (only == ACTION_COUNT || (enum action)action == only)
            items[count++] =
                (struct ranked){ action, predict(rates, action, &config->learning, clock_utc_ms()) };
    sort_by_rate(items, count);
    return count;
}

bool history_predict(struct store *store, const struct config *config, const struct history_filter *filter,
                     struct strbuf *out, struct error **err)
{
    enum { CASES_MAX = 5 };
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    const char *alert = filter->alert_name ? filter->alert_name : "";
    struct rates rates;
    struct ranked items[ACTION_COUNT];
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx || !rates_get(tx, alert, filter->kind ? filter->kind : "",
                          filter->namespace ? filter->namespace : "", &rates, err))
        return false;
    size_t count = rank(&rates, config, filter, items, err);
    if (!count)
        return false;
    strbuf_add_text(out, "{\"predictions\":[");
    for (size_t i = 0; i < count; i++) {
        const char *ids[CASES_MAX];
        size_t id_count;
        if (!cases_read(tx, arena, alert, items[i].action, CASES_MAX, ids, &id_count, err))
            return false;
        strbuf_add_text(out, i ? "," : "");
        add_prediction(out, &items[i]);
        strbuf_add_text(out, ",\"learned_from\":[");
        for (size_t j = 0; j < id_count; j++)
            strbuf_addf(out, "%s\"%s\"", j ? "," : "", ids[j]);
        strbuf_add_text(out, "]}");
    }
    strbuf_add_text(out, "]}");
    return true;
}
