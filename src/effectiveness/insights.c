/* Alert rates: counts of an hour are compared with the same hour of the past days and the hours beside it, where there
 * are enough, as Poisson counts; the band is as wide as one hour in a thousand would leave it. */
#include "effectiveness/insights.h"

#include <math.h>
#include <stdio.h>

#include "effectiveness/fit.h"
#include "effectiveness/peers.h"
#include "effectiveness_sql.h"
#include "http/client.h"

enum { WEEK_HOURS = 168, DAY_HOURS = 24, INSIGHTS_MAX = 500, HOURS_MIN = 48 };
#define HOUR_MS INT64_C(3600000)
#define BAND 3.1             /* standard deviations: one hour in a thousand */
#define FULL_WITHIN_S 604800 /* a week: farther away is no hint */

const char *const insight_kind_names[INSIGHT_KIND_COUNT] = { "alert_rate", "volume_fills", "memory_limit" };

struct finding_insights {
    struct store *store;
    struct arena *arena;
    const struct config *config;
    struct insights *out;
};

static struct insight *add(struct finding_insights *f, enum insight_kind kind)
{
    if (f->out->count == INSIGHTS_MAX)
        return NULL;
    struct insight *insight = &f->out->items[f->out->count++];
    *insight = (struct insight){ .kind = kind, .namespace = "", .name = "" };
    return insight;
}

/* The mean of the same hour of other days and its neighbours; of all hours where those are few. */
static double usual_of(const double hours[WEEK_HOURS], int oldest, bool *seasonal)
{
    double near = 0, all = 0;
    int near_count = 0;
    for (int h = 1; h <= oldest; h++) { /* since it first came */
        int away = h % DAY_HOURS;
        all += hours[h];
        if (h >= DAY_HOURS - 1 && (away <= 1 || away == DAY_HOURS - 1)) {
            near += hours[h];
            near_count++;
        }
    }
    *seasonal = near >= 10;
    return *seasonal ? near / near_count : all / MAX(oldest, 1);
}

static void judge_rate(struct finding_insights *f, const char *name, const double hours[WEEK_HOURS],
                       int oldest)
{
    bool seasonal;
    double usual = usual_of(hours, oldest, &seasonal), width = BAND * sqrt(usual + 0.25);
    double high = usual + width + 1, low = usual - width - 1;
    if (oldest < HOURS_MIN || (hours[0] <= high && hours[0] >= low))
        return; /* too new to have a usual rate, or within it */
    struct insight *insight = add(f, INSIGHT_ALERT_RATE);
    if (!insight)
        return;
    insight->name = name;
    insight->now = hours[0];
    insight->expected = usual;
    insight->low = MAX(low, 0);
    insight->high = high;
    insight->seasonal = seasonal;
    insight->text =
        arena_printf(f->arena, "%s came %.0f times in the last hour, usual are %.1f (%.0f to %.0f)", name,
                     hours[0], usual, insight->low, high);
}

static bool find_rates(struct finding_insights *f, struct error **err)
{
    int64_t now = clock_utc_ms();
    double hours[WEEK_HOURS] = { 0 };
    const char *name = NULL;
    int oldest = 0;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_READ, err);
    AUTO(rows)
    struct rows *rows =
        tx ? tx_query(tx, &alert_hours_sql, VALUES(V_INT(now - WEEK_HOURS * HOUR_MS), V_INT(now)), err)
           : NULL;
    bool more = rows != NULL;
    while (more) {
        if (!rows_next(rows, &more, err))
            return false;
        if (name && (!more || !str_eq(rows_text(rows, 0), str_of(name)))) {
            judge_rate(f, name, hours, oldest);
            memset(hours, 0, sizeof hours);
            oldest = 0;
            name = NULL;
        }
        if (!more)
            break;
        if (!name)
            name = arena_text(f->arena, rows_text(rows, 0));
        int64_t hour = rows_int(rows, 1);
        if (hour >= 0 && hour < WEEK_HOURS) {
            hours[hour] = (double)rows_int(rows, 2);
            oldest = MAX(oldest, (int)hour);
        }
    }
    return rows != NULL;
}

/* --- capacity */

struct capacity {
    enum insight_kind kind;
    const char *query, *name_label, *noun;
};
static const struct capacity capacities[] = {
    { INSIGHT_VOLUME,
      "max by (namespace, persistentvolumeclaim) (kubelet_volume_stats_used_bytes / "
      "kubelet_volume_stats_capacity_bytes)",
      "persistentvolumeclaim", "volume" },
    { INSIGHT_MEMORY,
      "max by (namespace, pod, container) (container_memory_working_set_bytes{container!=\"\"}) / on (namespace, pod, "
      "container) max by (namespace, pod, container) (kube_pod_container_resource_limits{resource=\"memory\"})",
      "pod", "memory of pod" },
};

static const char *hours_text(struct arena *arena, double seconds)
{
    if (!isfinite(seconds) || seconds > 100.0 * 24 * 3600)
        return "later than 100 days";
    return seconds < 48 * 3600 ? arena_printf(arena, "%.0f h", seconds / 3600)
                               : arena_printf(arena, "%.0f days", seconds / 86400);
}

static void judge_series(struct finding_insights *f, const struct capacity *capacity,
                         const struct prometheus_series *series)
{
    struct trend trend;
    if (!trend_fit(series->times, series->values, series->count, &trend))
        return;
    struct crossing crossing = trend_crossing(&trend, 1);
    bool rises = trend.slope > 2 * trend.slope_error;
    if (!rises || !(crossing.likely <= FULL_WITHIN_S))
        return;
    struct insight *insight = add(f, capacity->kind);
    if (!insight)
        return;
    insight->namespace = arena_text(f->arena, label_get(&series->labels, STR("namespace")));
    insight->name = arena_text(f->arena, label_get(&series->labels, str_of(capacity->name_label)));
    insight->now = series->values[series->count - 1];
    insight->expected = crossing.likely;
    insight->low = crossing.soonest;
    insight->high = crossing.latest;
    insight->seasonal = trend.seasonal;
    insight->text = arena_printf(
        f->arena, "%s %s/%s is at %.0f %%, full in %s (%s to %s)", capacity->noun, insight->namespace,
        insight->name, insight->now * 100, hours_text(f->arena, crossing.likely),
        hours_text(f->arena, crossing.soonest), hours_text(f->arena, crossing.latest));
}

static void find_capacity(struct finding_insights *f)
{
    enum { STEP_MS = 30 * 60 * 1000, BACK_HOURS = 72 };
    AUTO(http_client)
    struct http_client *client =
        peer_client(&f->config->prometheus, f->config->effectiveness.query_timeout_ms);
    AUTO(error) struct error *err = NULL;
    int64_t now = clock_utc_ms();
    f->out->missing = client ? "" : "prometheus.url is not set: nothing is known about capacity";
    for (size_t i = 0; i < ARRAY_LEN(capacities) && client; i++) {
        struct prometheus_series *series;
        size_t count;
        if (!prometheus_range(client, f->arena, capacities[i].query, now - BACK_HOURS * HOUR_MS, now, STEP_MS,
                              &series, &count, &err)) {
            f->out->missing = arena_strdup(f->arena, error_message(err));
            return;
        }
        for (size_t s = 0; s < count; s++)
            judge_series(f, &capacities[i], &series[s]);
    }
}

bool insights_find(struct store *store, struct arena *arena, const struct config *config,
                   struct insights *found, struct error **err)
{
    struct finding_insights f = { store, arena, config, found };
    *found = (struct insights){ .items = ARENA_ARRAY(arena, struct insight, INSIGHTS_MAX), .missing = "" };
    if (!find_rates(&f, err))
        return error_wrap(err, "insights");
    find_capacity(&f);
    return true;
}

static void add_number(struct strbuf *out, const char *name, double value)
{
    if (isfinite(value))
        strbuf_addf(out, ",\"%s\":%.6g", name, value);
    else
        strbuf_addf(out, ",\"%s\":null", name);
}

void insights_write(const struct insights *insights, struct strbuf *out)
{
    strbuf_add_text(out, "{\"insights\":[");
    for (size_t i = 0; i < insights->count; i++) {
        const struct insight *one = &insights->items[i];
        bool rate = one->kind == INSIGHT_ALERT_RATE;
        strbuf_addf(out, "%s{\"kind\":\"%s\",\"namespace\":", i ? "," : "", insight_kind_names[one->kind]);
        strbuf_add_json(out, str_of(one->namespace));
        strbuf_add_text(out, ",\"name\":");
        strbuf_add_json(out, str_of(one->name));
        add_number(out, rate ? "count" : "used_share", one->now);
        add_number(out, rate ? "expected" : "full_in_seconds", one->expected);
        add_number(out, rate ? "low" : "full_in_seconds_soonest", one->low);
        add_number(out, rate ? "high" : "full_in_seconds_latest", one->high);
        strbuf_addf(out, ",\"seasonal\":%s,\"text\":", one->seasonal ? "true" : "false");
        strbuf_add_json(out, str_of(one->text));
        strbuf_add_char(out, '}');
    }
    strbuf_add_text(out, "],\"missing\":");
    strbuf_add_json(out, str_of(insights->missing));
    strbuf_add_text(out, ",\"next_cursor\":null}");
}

/* A pod belongs to a target by name: its own, or a workload's whose name it begins with. */
static bool concerns(const struct insight *insight, const char *namespace, const char *name,
                     const char *alert_name)
{
    if (insight->kind == INSIGHT_ALERT_RATE)
        return strcmp(insight->name, alert_name) == 0;
    return *name && strcmp(insight->namespace, namespace) == 0 &&
           strncmp(insight->name, name, strlen(name)) == 0;
}

const char *insights_context(struct arena *arena, const struct insights *insights, const char *namespace,
                             const char *name, const char *alert_name)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    for (size_t i = 0; i < insights->count; i++)
        if (concerns(&insights->items[i], namespace, name, alert_name))
            strbuf_addf(&out, "%s\n", insights->items[i].text);
    return arena_text(arena, strbuf_str(&out));
}
