/* Who is asked, and what happens when nobody answers: through the room's door, with servers that misbehave. */
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>

#include "metrics/metrics.h"
#include "slm/router.h"
#include "slm/slm.h"
#include "tests/slm/broken_server.h"

struct fixture {
    struct broken_server server;
    struct arena *arena;
    char folder[32], path[64];
};

static int start(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    broken_server_start(&f->server);
    f->arena = arena_new(4096);
    strcpy(f->folder, "/tmp/router-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/config.yaml", f->folder);
    setenv("XDG_STATE_HOME", "/nowhere", 1);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    broken_server_stop(&f->server);
    arena_free(f->arena);
    unlink(f->path), rmdir(f->folder);
    free(f);
    return 0;
}

/* $ is the server's address. */
static struct config *configure(struct fixture *f, const char *yaml)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    struct error *err = NULL;
    for (; *yaml; yaml++)
        if (*yaml == '$')
            strbuf_addf(&text, "http://127.0.0.1:%u", f->server.port);
        else
            strbuf_add_char(&text, *yaml);
    assert_ok(file_replace(f->path, strbuf_str(&text), 0600, &err), err);
    char *environment[] = { NULL };
    struct config *config =
        config_load(&(struct config_options){ .path = f->path, .environment = environment }, &err);
    assert_ok(config, err);
    return config;
}

static struct alert alert_of(struct fixture *f, const char *severity, const char *namespace,
                             const char *description)
{
    struct alert_payload payload;
    struct error *err = NULL;
    const char *json =
        arena_printf(f->arena,
                     "[{\"labels\":{\"alertname\":\"A\",\"severity\":\"%s\",\"namespace\":\"%s\","
                     "\"pod\":\"p-1\"},\"annotations\":{\"description\":\"%s\"}}]",
                     severity, namespace, description);
    assert_ok(alert_parse(f->arena, str_of(json), &payload, &err), err);
    return payload.alerts[0];
}

#define ANSWER(action, confidence)                                                                           \
    "{\"choices\":[{\"message\":{\"content\":\"{\\\"action\\\":\\\"" action                                  \
    "\\\",\\\"parameters\\\":{},\\\"confidence\\\":" confidence "}\"}}]}"

static const char routes[] =
    "slm:\n  provider: openai\n  model: two\n  endpoint: $\n  routes:\n"
    "  - {name: careful, severity: [critical], model: eight, provider: ollama}\n"
    "  - {name: payments, namespace: ['pay-*'], model: pay, provider: openai, endpoint: 'http://x:1'}\n"
    "  fallbacks:\n  - {name: last, model: f, provider: openai, endpoint: $}\n";

static void severity_and_namespace_choose_the_model(void **state)
{
    struct fixture *f = *state;
    AUTO(config) struct config *config = configure(f, routes);
    AUTO(router) struct router *router = router_new(config);
    static const struct {
        const char *severity, *namespace, *name, *model;
    } cases[] = {
        { "critical", "shop", "careful", "eight" },
        { "warning", "pay-eu", "payments", "pay" },
        { "critical", "pay-eu", "careful", "eight" },
        { "info", "shop", "default", "two" },
    };
    const struct target *chain[ROUTER_CHAIN_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct alert alert = alert_of(f, cases[i].severity, cases[i].namespace, "");
        assert_int_equal(router_chain(router, &alert, chain), 2);
        assert_string_equal(chain[0]->name, cases[i].name);
        assert_string_equal(chain[0]->model, cases[i].model);
        assert_string_equal(chain[1]->name, "last");
    }
    assert_int_equal(router_embedded_count(router), 0);
}

static void embedded_models_are_opened_once_each(void **state)
{
    struct fixture *f = *state;
    AUTO(config)
    struct config *config = configure(
        f,
        "slm:\n  model: a\n  routes:\n  - {name: r, severity: [critical], model: b}\n  - {name: s, severity: [info], model: b}\n");
    AUTO(router) struct router *router = router_new(config);
    assert_int_equal(router_embedded_count(router), 2);
    assert_string_equal(router_embedded_model(router, 0), "a");
    assert_string_equal(router_embedded_model(router, 1), "b");
}

static void decide_on(struct fixture *f, struct slm *slm, const struct alert *alert,
                      struct decision *decision)
{
    struct slm_question question = { .alert = alert, .alerts = 1, .feasible = ACTION_SET_ALL };
    slm_decide(slm, f->arena, &question, decision);
}

static const char one[] =
    "slm: {provider: openai, model: m, endpoint: $, retry_count: 0, confidence_threshold: 0.05}\n";

static void server_decides_and_its_answer_is_remembered(void **state)
{
    struct fixture *f = *state;
    AUTO(config) struct config *config = configure(f, one);
    AUTO(slm) struct slm *slm = slm_open(config, NULL);
    struct decision decision;
    struct alert alert = alert_of(f, "warning", "shop", "The process hangs");
    static const struct canned good = { 200, .body = ANSWER("restart_pod", "0.99") },
                               bad = { 500, .body = "" };
    broken_server_answers(&f->server, &good, 1);
    metrics_reset();
    decide_on(f, slm, &alert, &decision);
    assert_string_equal(action_name(decision.action), "restart_pod");
    assert_string_equal(decision.provider, "openai");
    assert_string_equal(decision.degraded, "");
    assert_true(decision.evidence[EVIDENCE_REMOTE][ACTION_RESTART_POD] > -0.1 &&
                isnan(decision.evidence[EVIDENCE_TRIE][0]));
    assert_false(decision.cached);
    broken_server_answers(&f->server, &bad, 1);
    decide_on(f, slm, &alert, &decision);
    assert_true(decision.cached && decision.action == ACTION_RESTART_POD);
    assert_int_equal(atomic_load(&f->server.requests), 0);
    assert_true(metric_value(METRIC_SLM_API_CALLS, "openai") == 1);
    struct alert other = alert_of(f, "warning", "shop", "The process hangs again");
    decide_on(f, slm, &other, &decision);
    assert_int_equal(atomic_load(&f->server.requests), 1);
    assert_non_null(strstr(decision.degraded, "500"));
    assert_string_equal(decision.provider, "none");
}

static void next_of_the_chain_answers_where_one_fails(void **state)
{
    struct fixture *f = *state;
    AUTO(config)
    struct config *config = configure(
        f,
        "slm:\n  model: /nowhere/model.gguf\n  confidence_threshold: 0.05\n  retry_count: 0\n  fallbacks:\n"
        "  - {name: gone, model: m, provider: ollama, endpoint: 'http://127.0.0.1:1'}\n"
        "  - {name: there, model: m, provider: openai, endpoint: $}\n");
    AUTO(slm) struct slm *slm = slm_open(config, NULL);
    struct decision decision;
    struct alert alert = alert_of(f, "warning", "shop", "The process hangs");
    static const struct canned good = { 200, .body = ANSWER("restart_pod", "0.99") };
    broken_server_answers(&f->server, &good, 1);
    decide_on(f, slm, &alert, &decision);
    assert_int_equal(decision.action, ACTION_RESTART_POD);
    assert_string_equal(decision.provider, "openai");
    assert_non_null(strstr(decision.degraded, "default: no model"));
    assert_non_null(strstr(decision.degraded, "gone: "));
}

static void last_decision_stands_in_where_every_model_fails(void **state)
{
    struct fixture *f = *state;
    AUTO(config)
    struct config *config = configure(
        f,
        "slm: {provider: openai, model: m, endpoint: $, retry_count: 0, confidence_threshold: 0.05, cache_ttl: 1ms}\n");
    AUTO(slm) struct slm *slm = slm_open(config, NULL);
    struct decision decision;
    struct alert alert = alert_of(f, "warning", "shop", "The process hangs");
    static const struct canned good = { 200, .body = ANSWER("restart_pod", "0.99") },
                               bad = { 500, .body = "" };
    broken_server_answers(&f->server, &good, 1);
    decide_on(f, slm, &alert, &decision);
    clock_sleep_ms(5);
    broken_server_answers(&f->server, &bad, 1);
    for (int i = 0; i < 2; i++) { /* the stand-in is not taken for a fresh answer */
        decide_on(f, slm, &alert, &decision);
        assert_true(decision.cached && decision.action == ACTION_RESTART_POD);
        assert_non_null(strstr(decision.degraded, "same question"));
    }
    assert_int_equal(atomic_load(&f->server.requests), 2);
}

static void action_that_is_not_feasible_is_never_taken_from_a_server(void **state)
{
    struct fixture *f = *state;
    AUTO(config) struct config *config = configure(f, one);
    AUTO(slm) struct slm *slm = slm_open(config, NULL);
    struct decision decision;
    struct alert alert = alert_of(f, "warning", "shop", "Something is odd");
    static const struct canned drain = { 200, .body = ANSWER("drain_node", "1") };
    broken_server_answers(&f->server, &drain, 1);
    struct slm_question question = { .alert = &alert,
                                     .feasible = BIT(ACTION_RESTART_POD) | BIT(ACTION_COLLECT_DIAGNOSTICS) };
    slm_decide(slm, f->arena, &question, &decision);
    assert_int_not_equal(decision.action, ACTION_DRAIN_NODE);
    assert_non_null(strstr(decision.degraded, "drain_node is not among"));
    assert_true(decision.probabilities[ACTION_DRAIN_NODE] == 0);
}

static void batch_asks_each_question_once(void **state)
{
    struct fixture *f = *state;
    AUTO(config) struct config *config = configure(f, one);
    AUTO(slm) struct slm *slm = slm_open(config, NULL);
    struct alert alerts[2] = { alert_of(f, "warning", "shop", "The process hangs"),
                               alert_of(f, "critical", "shop", "It is full") };
    struct slm_question questions[12];
    struct decision decisions[12];
    for (int i = 0; i < 12; i++)
        questions[i] =
            (struct slm_question){ .alert = &alerts[i % 2], .feasible = ACTION_SET_ALL, .priority = i % 2 };
    static const struct canned good = { 200, .body = ANSWER("restart_pod", "0.99") };
    broken_server_answers(&f->server, &good, 1);
    slm_decide_batch(slm, f->arena, questions, 12, decisions);
    assert_int_equal(atomic_load(&f->server.requests), 2);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(decisions[i].action, decisions[i % 2].action);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(decisions[i].id, decisions[k].id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(severity_and_namespace_choose_the_model),
        cmocka_unit_test(embedded_models_are_opened_once_each),
        cmocka_unit_test(server_decides_and_its_answer_is_remembered),
        cmocka_unit_test(next_of_the_chain_answers_where_one_fails),
        cmocka_unit_test(last_decision_stands_in_where_every_model_fails),
        cmocka_unit_test(action_that_is_not_feasible_is_never_taken_from_a_server),
        cmocka_unit_test(batch_asks_each_question_once),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
