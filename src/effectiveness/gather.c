/* Evidence from whoever has it. A source that fails is unknown, and its reason is noted. */
#include "effectiveness/effectiveness_internal.h"

#include <math.h>

#include "effectiveness_sql.h"
#include "http/client.h"
#include "store/incidents.h"

enum { SIDE_EFFECTS_FULL = 3 }; /* so many neighbours in trouble are as bad as it gets */

struct gathering {
    struct effectiveness_service *service;
    const struct config *config;
    struct arena *arena;
    const struct execution *execution;
    struct gathered *out;
    int64_t now, began;
};

static void note(struct gathering *g, struct error **err)
{
    strbuf_addf(&g->out->unknown, "%s%s", g->out->unknown.len ? "; " : "", error_message(*err));
    error_clear(err);
}

/* The alert that it was for: its own, else the one that its incident began with. */
static bool find_alert(struct gathering *g, struct tx *tx, struct error **err)
{
    const char *id = g->execution->alert_id;
    struct incident incident;
    if (!id && g->execution->incident_id) {
        if (!incident_get(tx, g->arena, g->execution->incident_id, &incident, err))
            return false;
        id = arena_strdup(g->arena, incident.root_alert_id);
    }
    if (!id || !*id)
        return true;
    g->out->has_alert = alert_record_get(tx, g->arena, id, &g->out->alert, err);
    return g->out->has_alert;
}

/* What the inbox was told: 1 ended, 0 fires, or began anew. */
static bool ask_inbox(struct gathering *g, struct tx *tx, double *resolved, struct error **err)
{
    struct alert_record latest;
    bool found;
    if (!alert_record_current(tx, g->arena, g->out->alert.alert.fingerprint, &latest, &found, err) || !found)
        return found;
    *resolved = latest.alert.status == ALERT_RESOLVED;
    if (*resolved > 0 && latest.alert.ends_at > g->began && strcmp(latest.id, g->out->alert.id) == 0)
        g->out->resolved_after_ms = latest.alert.ends_at - g->began;
    return true;
}

static void count_nearby(struct gathering *g, const struct rows *rows)
{
    struct str name = rows_text(rows, 0), incident = rows_text(rows, 1);
    if (g->out->has_alert && str_eq(name, g->out->alert.alert.name))
        return;
    bool own = (g->execution->incident_id && str_eq(incident, str_of(g->execution->incident_id))) ||
               (str_eq(rows_text(rows, 2), str_of(g->execution->kind)) &&
                str_eq(rows_text(rows, 3), str_of(g->execution->name)));
    if (own)
        g->out->new_alerts++;
    else
        g->out->side_effects++;
}

static bool ask_nearby(struct gathering *g, struct tx *tx, struct error **err)
{
    AUTO(rows)
    struct rows *rows = tx_query(
        tx, &nearby_sql, VALUES(V_INT(g->began), V_INT(g->now), V_TEXT(g->execution->namespace)), err);
    bool more = rows != NULL;
    while (more) {
        if (!rows_next(rows, &more, err))
            return false;
        if (more)
            count_nearby(g, rows);
    }
    return rows != NULL;
}

static void ask_store(struct gathering *g)
{
    double *criteria = g->out->evidence.criteria;
    AUTO(error) struct error *err = NULL;
    AUTO(tx) struct tx *tx = tx_begin(g->service->options.store, TX_READ, &err);
    if (!tx || !find_alert(g, tx, &err))
        note(g, &err);
    if (tx && g->out->has_alert && !ask_inbox(g, tx, &criteria[CRITERION_ALERT_RESOLVED], &err))
        note(g, &err);
    if (!tx || !ask_nearby(g, tx, &err)) {
        note(g, &err);
        return;
    }
    criteria[CRITERION_NO_NEW_ALERTS] = g->out->new_alerts == 0;
    criteria[CRITERION_SIDE_EFFECTS] =
        1 - (double)MIN(g->out->side_effects, SIDE_EFFECTS_FULL) / SIDE_EFFECTS_FULL;
}

/* Alertmanager knows more than the inbox: it also has what it was not to tell us. */
static void ask_alertmanager(struct gathering *g)
{
    AUTO(error) struct error *err = NULL;
    AUTO(http_client)
    struct http_client *client =
        peer_client(&g->config->alertmanager, g->config->effectiveness.query_timeout_ms);
    bool active;
    if (!client || !g->out->has_alert)
        return;
    if (!alertmanager_is_active(client, g->arena, &g->out->alert.alert, &active, &err))
        note(g, &err);
    else
        g->out->evidence.criteria[CRITERION_ALERT_RESOLVED] = !active;
}

static void ask_prometheus(struct gathering *g)
{
    AUTO(error) struct error *err = NULL;
    AUTO(http_client)
    struct http_client *client =
        peer_client(&g->config->prometheus, g->config->effectiveness.query_timeout_ms);
    struct promql_root root;
    bool found;
    if (!client || !g->out->has_alert)
        return;
    const struct alert *alert = &g->out->alert.alert;
    if (!prometheus_find_rule(client, g->arena, alert, &root, &found, &err)) {
        note(g, &err);
        return;
    }
    if (!found)
        return;
    g->out->metric = arena_text(g->arena, root.metric);
    g->out->threshold = root.threshold;
    if (!prometheus_value(client, &root, &alert->labels, g->began, &g->out->metric_before, &err) ||
        !prometheus_value(client, &root, &alert->labels, g->now, &g->out->metric_after, &err))
        note(g, &err);
    else
        g->out->evidence.criteria[CRITERION_METRIC_IMPROVED] =
            promql_improvement(&root, g->out->metric_before, g->out->metric_after);
}

static void ask_workload(struct gathering *g)
{
    const struct effectiveness_sources *sources = &g->service->options.sources;
    struct workload_evidence *workload = &g->out->workload;
    AUTO(error) struct error *err = NULL;
    if (!sources->workload)
        return;
    if (!sources->workload(sources->context, g->execution, workload, &err)) {
        *workload = (struct workload_evidence){ .restarts = -1, .stable_for_ms = -1 };
        note(g, &err);
        return;
    }
    if (!workload->known)
        return;
    bool quiet =
        workload->stable_for_ms < 0 || workload->stable_for_ms >= g->config->effectiveness.stable_for_ms;
    g->out->evidence.criteria[CRITERION_STABILIZED] = !workload->ready ? 0 : quiet ? 1 : 0.5;
}

static void ask_cost(struct gathering *g)
{
    const struct effectiveness_sources *sources = &g->service->options.sources;
    AUTO(error) struct error *err = NULL;
    if (sources->cost && !sources->cost(sources->context, g->execution, &g->out->cost, &err)) {
        g->out->cost = (struct cost_evidence){ NAN, NAN, NAN, NAN };
        note(g, &err);
    }
}

void gather(struct effectiveness_service *service, const struct config *config, struct arena *arena,
            const struct execution *execution, struct gathered *out)
{
    *out = (struct gathered){ .metric_before = NAN,
                              .metric_after = NAN,
                              .threshold = NAN,
                              .resolved_after_ms = -1,
                              .workload = { .restarts = -1, .stable_for_ms = -1 },
                              .cost = { NAN, NAN, NAN, NAN } };
    for (int i = 0; i < CRITERION_COUNT; i++)
        out->evidence.criteria[i] = NAN;
    out->evidence.failed = execution->state == EXECUTION_FAILED;
    struct gathering g = { .service = service,
                           .config = config,
                           .arena = arena,
                           .execution = execution,
                           .out = out,
                           .now = clock_utc_ms(),
                           .began = execution->started_at ? execution->started_at : execution->created_at };
    ask_store(&g);
    if (out->evidence.failed)
        return; /* it did nothing that could be measured */
    ask_alertmanager(&g);
    ask_prometheus(&g);
    ask_workload(&g);
    ask_cost(&g);
}
