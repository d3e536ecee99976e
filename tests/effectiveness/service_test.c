/* The whole way: an execution ends, falls due, is looked at with a Prometheus and an Alertmanager that answer as the
 * real ones do, and is learned from. */
#include "effectiveness/effectiveness.h"

#include <math.h>
#include <stdlib.h>

#include "http/http.h"
#include "store/memory.h"
#include "store/outcomes.h"
#include "tests/history/scene.h"
#include "tests/test.h"

enum { MIN_MS = 60 * 1000 };

static struct peer { /* what the peers say now */
    struct http_server *server;
    bool active, away;
    double before, after;
    const char *expression;
    int64_t finished_at;
} peer;

static struct cluster { /* what the cluster says now */
    bool ready, known;
    int undone;
    const char *undo_fails;
} cluster;

static void serve_rules(struct http_request *request, void *context)
{
    (void)context;
    AUTO(strbuf) struct strbuf out = { 0 };
    if (peer.away) {
        http_respond_error(request, 503, "away");
        return;
    }
    strbuf_add_text(&out,
                    "{\"status\":\"success\",\"data\":{\"groups\":[{\"name\":\"g\",\"rules\":[{\"name\":"
                    "\"HighMemory\",\"query\":");
    strbuf_add_json(&out, str_of(peer.expression));
    strbuf_add_text(&out, ",\"labels\":{\"severity\":\"critical\"},\"type\":\"alerting\"}]}]}}");
    http_respond_json(request, 200, strbuf_str(&out));
}

static void serve_query(struct http_request *request, void *context)
{
    (void)context;
    AUTO(strbuf) struct strbuf out = { 0 };
    struct str query = { 0 }, time = { 0 };
    double at = 0;
    http_request_query(request, "query", &query);
    http_request_query(request, "time", &time);
    str_to_double(time, &at);
    bool after = (int64_t)(at * 1000) > peer.finished_at;
    strbuf_addf(&out,
                "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":["
                "{\"metric\":{\"pod\":\"other\"},\"value\":[1,\"99\"]},"
                "{\"metric\":{\"pod\":\"web-1\"},\"value\":[1,\"%g\"]}]}}",
                after ? peer.after : peer.before);
    http_respond_json(request, str_eq(query, STR("memory / limit")) ? 200 : 400, strbuf_str(&out));
}

static void serve_alerts(struct http_request *request, void *context)
{
    (void)context;
    if (peer.away)
        http_respond_error(request, 503, "away");
    else
        http_respond_json(request, 200, peer.active ? STR("[{\"fingerprint\":\"f1\"}]") : STR("[]"));
}

static const struct http_route routes[] = {
    { "GET", "/api/v1/rules", HTTP_GROUP_ALL, HTTP_SCOPE_PUBLIC, serve_rules },
    { "GET", "/api/v1/query", HTTP_GROUP_ALL, HTTP_SCOPE_PUBLIC, serve_query },
    { "GET", "/api/v2/alerts", HTTP_GROUP_ALL, HTTP_SCOPE_PUBLIC, serve_alerts },
    { 0 },
};

struct scene {
    struct fixture *f;
    struct config *config;
    struct effectiveness_service *service;
};

static bool look_at_workload(void *context, const struct execution *execution,
                             struct workload_evidence *evidence, struct error **err)
{
    (void)context, (void)execution, (void)err;
    *evidence = (struct workload_evidence){
        .known = cluster.known, .ready = cluster.ready, .restarts = 0, .stable_for_ms = 10 * MIN_MS
    };
    return true;
}

static bool undo(void *context, const struct execution *execution, const char *reason, struct error **err)
{
    (void)context, (void)execution;
    assert_non_null(strstr(reason, "it did not help"));
    if (cluster.undo_fails)
        return error_set(err, ERROR_CONFLICT, "%s", cluster.undo_fails);
    cluster.undone++;
    return true;
}

static void open_service(struct scene *s)
{
    struct effectiveness_options options = { .store = s->f->store,
                                             .fixed = s->config,
                                             .sources = { .workload = look_at_workload, .undo = undo } };
    s->service = effectiveness_open(&options, &s->f->err);
    assert_ok(s->service, s->f->err);
}

static int setup(void **state)
{
    fixture_setup(state);
    static char *const none[] = { NULL };
    struct scene *s = xcalloc(1, sizeof *s);
    s->f = *state;
    *state = s;
    peer = (struct peer){ .before = 0.97, .after = 0.5, .expression = "memory / limit > 0.9" };
    cluster = (struct cluster){ .known = true, .ready = true };
    struct http_listener listener = { "127.0.0.1", 0, HTTP_GROUP_ALL };
    peer.server = http_server_new(
        &(struct http_server_options){ .listeners = &listener, .listeners_len = 1, .threads = 1 });
    http_server_add(peer.server, routes, NULL);
    assert_ok(http_server_start(peer.server, &s->f->err), s->f->err);
    unsigned port = http_server_port(peer.server, HTTP_GROUP_API);
    const char *const set[] = { arena_printf(s->f->arena, "prometheus.url=http://127.0.0.1:%u", port),
                                arena_printf(s->f->arena, "alertmanager.url=http://127.0.0.1:%u", port),
                                "effectiveness.undo_actions=scale_deployment", NULL };
    s->config = config_load(&(struct config_options){ .path = "/dev/null", .environment = none, .set = set },
                            &s->f->err);
    assert_ok(s->config, s->f->err);
    open_service(s);
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    struct fixture *f = s->f;
    effectiveness_close(s->service);
    http_server_free(peer.server);
    config_free(s->config);
    free(s);
    scene_end();
    *state = f;
    return fixture_teardown(state);
}

/* An execution against an alert that fires with labels pod=web-1, severity=critical. */
static const char *an_execution(struct scene *s, const struct scene_execution *as)
{
    const char *incident = scene_incident(s->f, &(struct scene_incident){ .alert_name = "HighMemory" });
    struct scene_execution e = *as;
    e.incident_id = incident;
    e.alert_name = "HighMemory";
    e.score = -1;
    const char *id = scene_execution(s->f, &e);
    scene_run(s->f, arena_printf(
                        s->f->arena,
                        "UPDATE alerts SET current = 0 WHERE fingerprint = 'f1'; "
                        "UPDATE alerts SET fingerprint = 'f1', status = 'firing', labels = '{\"alertname\":"
                        "\"HighMemory\",\"pod\":\"web-1\",\"severity\":\"critical\"}' WHERE incident_id = "
                        "'%s'; UPDATE incidents SET root_alert_id = (SELECT id FROM alerts WHERE incident_id "
                        "= '%s') WHERE id = '%s'; UPDATE executions SET finished_at = created_at, inverse = "
                        "'[]' WHERE id = '%s'",
                        incident, incident, incident, id));
    peer.finished_at = clock_utc_ms();
    return id;
}

static struct effectiveness_round tend(struct scene *s)
{
    struct effectiveness_round round = { 0 };
    assert_ok(effectiveness_tend(s->service, &round, &s->f->err), s->f->err);
    return round;
}

static struct assessment_record assessment(struct scene *s, const char *id)
{
    struct assessment_record record;
    bool found;
    AUTO(tx) struct tx *tx = tx_begin(s->f->store, TX_READ, &s->f->err);
    assert_ok(tx && assessment_of(tx, s->f->arena, id, &record, &found, &s->f->err) && found, s->f->err);
    return record;
}

static void what_helped_is_scored_from_every_source_and_learned_from_once(void **state)
{
    struct scene *s = *state;
    const char *id = an_execution(s, &(struct scene_execution){ .action = "increase_resources" });
    assert_int_equal(tend(s).planned, 1);
    assert_int_equal(tend(s).assessed, 0); /* not yet due */
    fixture_advance(s->f, 10 * MIN_MS);
    assert_int_equal(tend(s).assessed, 1);
    struct assessment_record a = assessment(s, id);
    assert_true(a.score > 0.99 && a.confidence > 0.99);
    assert_non_null(
        strstr(a.factors, "\"metric\":\"memory / limit\",\"metric_before\":0.97,\"metric_after\":0.5"));
    assert_int_equal(scene_count(s->f, "SELECT sum(cases) FROM success_rates"), RATE_LEVEL_COUNT);
    assert_int_equal(tend(s).assessed, 0);
    effectiveness_close(s->service);
    fixture_reopen(s->f);
    open_service(s); /* as after a restart */
    assert_int_equal(tend(s).assessed, 0);
    assert_int_equal(scene_count(s->f, "SELECT sum(cases) FROM success_rates"), RATE_LEVEL_COUNT);
}

static void what_did_not_help_is_undone_once_where_it_may_be(void **state)
{
    struct scene *s = *state;
    peer.active = true;
    peer.after = 0.98;
    const char *id = an_execution(s, &(struct scene_execution){ .action = "scale_deployment" });
    an_execution(s, &(struct scene_execution){ .action = "increase_resources" });
    tend(s);
    fixture_advance(s->f, 10 * MIN_MS);
    tend(s);
    tend(s);
    struct assessment_record a = assessment(s, id);
    assert_true(a.score < 0.01);
    assert_non_null(strstr(a.improvements, "the alert still fires"));
    assert_int_equal(cluster.undone, 1); /* increase_resources is not in effectiveness.undo_actions */
}

static void an_undo_that_is_refused_is_not_tried_for_ever(void **state)
{
    struct scene *s = *state;
    peer.active = true;
    peer.after = 0.98;
    cluster.undo_fails = "changed by somebody else";
    an_execution(s, &(struct scene_execution){ .action = "scale_deployment" });
    tend(s);
    fixture_advance(s->f, 10 * MIN_MS);
    tend(s);
    tend(s);
    assert_int_equal(scene_count(s->f, "SELECT count(*) FROM jobs WHERE kind = 'auto_undo'"), 0);
}

static void sources_that_are_away_are_asked_again_and_then_done_without(void **state)
{
    struct scene *s = *state;
    peer.away = true;
    cluster.known = false;
    const char *id = an_execution(s, &(struct scene_execution){ .action = "increase_resources" });
    scene_run(s->f, "UPDATE executions SET incident_id = NULL");
    tend(s);
    fixture_advance(s->f, 10 * MIN_MS);
    /* Without an alert nobody is asked: it is assessed with what the store knows. */
    assert_int_equal(tend(s).assessed, 1);
    assert_true(assessment(s, id).confidence < 0.2);

    id = an_execution(s, &(struct scene_execution){ .action = "increase_resources" });
    scene_run(s->f, "DELETE FROM alerts");
    scene_run(s->f, "UPDATE incidents SET root_alert_id = 'gone'");
    tend(s);
    fixture_advance(s->f, 10 * MIN_MS);
    assert_int_equal(tend(s).postponed, 1);
    fixture_advance(s->f, 2 * 60 * MIN_MS);
    assert_int_equal(tend(s).assessed, 1);
    assert_non_null(strstr(assessment(s, id).notes, "no alert"));
}

static void alerts_nearby_count_against_it(void **state)
{
    struct scene *s = *state;
    const char *id = an_execution(s, &(struct scene_execution){ .action = "increase_resources" });
    fixture_advance(s->f, MIN_MS);
    scene_incident(s->f, &(struct scene_incident){ .alert_name = "Crash" });
    scene_incident(s->f, &(struct scene_incident){ .alert_name = "Slow", .name = "neighbour" });
    tend(s);
    fixture_advance(s->f, 10 * MIN_MS);
    tend(s);
    struct assessment_record a = assessment(s, id);
    assert_true(a.score < 0.85 && a.score > 0.5);
    assert_non_null(strstr(a.factors, "\"new_alerts\":1,\"side_effects\":1"));
}

static void a_failed_execution_is_assessed_as_such(void **state)
{
    struct scene *s = *state;
    const char *id = an_execution(s, &(struct scene_execution){ .action = "drain_node", .state = "failed" });
    tend(s);
    fixture_advance(s->f, 10 * MIN_MS);
    assert_int_equal(tend(s).assessed, 1);
    assert_string_equal(assessment(s, id).method, "immediate_failure");
}

static void each_action_has_its_own_wait(void **state)
{
    (void)state;
    struct config_text_pair pairs[] = { { "drain_node", "30m" } };
    struct config_effectiveness config = { .assess_after_ms = 1, .assess_after_of = { pairs, 1 } };
    assert_int_equal(effectiveness_wait_ms(&config, "drain_node"), 30 * MIN_MS);
    assert_int_equal(effectiveness_wait_ms(&config, "restart_pod"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_helped_is_scored_from_every_source_and_learned_from_once),
        TEST(what_did_not_help_is_undone_once_where_it_may_be),
        TEST(an_undo_that_is_refused_is_not_tried_for_ever),
        TEST(sources_that_are_away_are_asked_again_and_then_done_without),
        TEST(alerts_nearby_count_against_it),
        TEST(a_failed_execution_is_assessed_as_such),
        cmocka_unit_test(each_action_has_its_own_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
