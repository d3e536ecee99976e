/* What a model's server may do to us, one test each. The real one is asked in remote_real_test.c. */
#include "tests/test.h"

#include <math.h>

#include "slm/breaker.h"
#include "slm/remote.h"
#include "tests/slm/broken_server.h"

struct fixture {
    struct broken_server server;
    struct arena *arena;
    struct remote *openai, *ollama;
    char endpoint[64];
};

static struct remote *remote_to(const char *endpoint, enum remote_protocol protocol, unsigned retries,
                                int64_t timeout_ms)
{
    return remote_new(&(struct remote_options){ .protocol = protocol,
                                                .endpoint = endpoint,
                                                .model = "test",
                                                .api_key = "key-1",
                                                .retries = retries,
                                                .timeout_ms = timeout_ms });
}

static int start(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    broken_server_start(&f->server);
    f->arena = arena_new(4096);
    snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%u/v1/", f->server.port);
    f->openai = remote_to(f->endpoint, REMOTE_OPENAI, 0, 1000);
    f->ollama = remote_to(f->endpoint, REMOTE_OLLAMA, 0, 1000);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    broken_server_stop(&f->server);
    remote_free(f->openai), remote_free(f->ollama);
    arena_free(f->arena);
    free(f);
    return 0;
}

#define FEASIBLE                                                                                             \
    (BIT(ACTION_RESTART_POD) | BIT(ACTION_SCALE_DEPLOYMENT) | BIT(ACTION_NOTIFY_ONLY) |                      \
     BIT(ACTION_ROTATE_SECRETS))
static const struct remote_request request = { .system = { "Decide.", 7 },
                                               .user = { "Alert.", 6 },
                                               .feasible = FEASIBLE };

#define OPENAI(content)                                                                                      \
    "{\"choices\":[{\"message\":{\"content\":\"" content "\"},\"finish_reason\":\"stop\"}]}"
#define GOOD                                                                                                 \
    "{\\\"action\\\":\\\"restart_pod\\\",\\\"parameters\\\":{},\\\"confidence\\\":0.9,\\\"reasoning\\\":{\\\"summary\\\":\\\"It <|hangs|>\\\"}}"

static bool ask(struct fixture *f, struct remote *remote, const struct canned *answers, size_t count,
                struct remote_answer *answer, struct error **err)
{
    broken_server_answers(&f->server, answers, count);
    return remote_ask(remote, f->arena, &request, answer, err);
}
#define ASK(remote, ...)                                                                                     \
    ask(f, remote, (const struct canned[]){ __VA_ARGS__ },                                                   \
        ARRAY_LEN(((const struct canned[]){ __VA_ARGS__ })), &answer, &err)

static void good_answer_is_read(void **state)
{
    struct fixture *f = *state;
    struct remote_answer answer;
    struct error *err = NULL;
    assert_ok(ASK(f->openai, { 200, .body = OPENAI(GOOD) }), err);
    assert_int_equal(answer.action, ACTION_RESTART_POD);
    assert_string_equal(answer.parameters, "{}");
    assert_true(answer.confidence == 0.9 && isnan(answer.log_probabilities[0]));
    assert_string_equal(answer.summary, "It < |hangs| >"); /* sanitised: it is shown to people */
    assert_int_equal(answer.repairs, 0);
    struct str sent = strbuf_str(&f->server.last);
    assert_true(str_starts_with(sent, STR("POST /v1/chat/completions ")));
    assert_true(str_find(sent, STR("Authorization: Bearer key-1"), NULL));
    assert_true(
        str_find(sent, STR("\"json_schema\""), NULL) &&
        str_find(sent,
                 STR("\"enum\":[\"scale_deployment\",\"restart_pod\",\"notify_only\",\"rotate_secrets\"]"),
                 NULL));
    assert_false(str_find(sent, STR("drain_node"), NULL)); /* never offered what is not feasible */
}

static void ollama_is_asked_in_its_own_way(void **state)
{
    struct fixture *f = *state;
    struct remote_answer answer;
    struct error *err = NULL;
    assert_ok(ASK(f->ollama, { 200, .body = "{\"message\":{\"content\":\"" GOOD
                                            "\"},\"done\":true,\"done_reason\":\"stop\"}" }),
              err);
    assert_int_equal(answer.action, ACTION_RESTART_POD);
    struct str sent = strbuf_str(&f->server.last);
    assert_true(str_starts_with(sent, STR("POST /api/chat ")));
    assert_true(str_find(sent, STR("\"num_ctx\":8192"), NULL) &&
                str_find(sent, STR("\"truncate\":false"), NULL));
    assert_fails(ASK(f->ollama, { 200, .body = "{\"error\":\"model runner has stopped\"}" }), err,
                 ERROR_UNAVAILABLE, "runner has stopped");
    assert_fails(ASK(f->ollama, { 404, .body = "{\"error\":\"model not found\"}" }), err, ERROR_NOT_FOUND,
                 "model not found");
    assert_fails(ASK(f->ollama, { 200, .body = "{\"message\":{\"content\":\"" GOOD "\"},\"done\":false}" }),
                 err, ERROR_INVALID, "finished");
}

static void every_broken_answer_is_an_error(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct canned canned;
        enum error_code code;
        const char *message;
    } cases[] = {
        { { 500, .body = "oops" }, ERROR_UNAVAILABLE, "" },
        { { 503, .body = "{\"error\":\"Loading model\"}" }, ERROR_UNAVAILABLE, "Loading" },
        { { 429, .body = "" }, ERROR_UNAVAILABLE, "" },
        { { 401, .body = "no" }, ERROR_UNAUTHENTICATED, "" },
        { { 403, .body = "no" }, ERROR_DENIED, "" },
        { { 404, .body = "no" }, ERROR_NOT_FOUND, "" },
        { { 0, .body = "" }, ERROR_UNAVAILABLE, "" },
        { { 200, .body = OPENAI(GOOD), .claim = 100000 }, ERROR_UNAVAILABLE, "" }, /* cut stream */
        { { 200, .body = OPENAI(GOOD), .delay_ms = 2500 }, ERROR_TIMEOUT, "" },
        { { 200, .body = "{\"choices\":[", .pad = 10 << 20 }, ERROR_LIMIT, "" }, /* ten megabytes */
        { { 200, .body = "<html>" }, ERROR_INVALID, "JSON" },
        { { 200, .body = "" }, ERROR_INVALID, "JSON" },
        { { 200, .body = "[]" }, ERROR_INVALID, "choices" },
        { { 200, .body = "{\"choices\":[]}" }, ERROR_INVALID, "choices" },
        { { 200, .body = "{\"choices\":[{\"message\":{\"content\":null}}]}" }, ERROR_INVALID, "choices" },
        { { 200, .body = OPENAI("I would restart it.") }, ERROR_INVALID, "no JSON" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"restart_pod\\\"") }, ERROR_INVALID, "no JSON" },
        { { 200, .body = OPENAI("{\\\"action\\\":7}") }, ERROR_INVALID, "string" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"rm_rf\\\"}") }, ERROR_INVALID, "rm_rf" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"drain_node\\\"}") },
          ERROR_INVALID,
          "drain_node is not among" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"restart_pod\\\",\\\"confidence\\\":NaN}") },
          ERROR_INVALID,
          "no JSON" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"restart_pod\\\",\\\"confidence\\\":\\\"NaN\\\"}") },
          ERROR_INVALID,
          "confidence" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"restart_pod\\\",\\\"confidence\\\":1.01}") },
          ERROR_INVALID,
          "confidence" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"restart_pod\\\",\\\"parameters\\\":[1]}") },
          ERROR_INVALID,
          "parameters" },
        { { 200,
            .body = OPENAI(
                "{\\\"action\\\":\\\"scale_deployment\\\",\\\"parameters\\\":{\\\"replicas\\\":100000}}") },
          ERROR_INVALID,
          "replicas" },
        { { 200, .body = OPENAI("{\\\"action\\\":\\\"scale_deployment\\\",\\\"parameters\\\":{}}") },
          ERROR_INVALID,
          "replicas" },
        { { 200,
            .body = "{\"choices\":[{\"message\":{\"content\":\"" GOOD "\"},\"finish_reason\":\"length\"}]}" },
          ERROR_INVALID,
          "cut" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(remote) struct remote *remote = remote_to(f->endpoint, REMOTE_OPENAI, 0, 1000);
        struct remote_answer answer;
        struct error *err = NULL;
        int64_t began = clock_mono_ms();
        assert_fails(ask(f, remote, &cases[i].canned, 1, &answer, &err), err, cases[i].code,
                     cases[i].message);
        assert_true(clock_mono_ms() - began < 3000);
    }
}

static void endpoint_that_is_gone_is_unavailable(void **state)
{
    (void)state;
    AUTO(remote) struct remote *remote = remote_to("http://127.0.0.1:1", REMOTE_OPENAI, 1, 1000);
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct remote_answer answer;
    struct error *err = NULL;
    assert_fails(remote_ask(remote, arena, &request, &answer, &err), err, ERROR_UNAVAILABLE, "127.0.0.1:1");
    assert_fails(remote_health(remote, 500, &err), err, ERROR_UNAVAILABLE, "");
}

static void answer_that_is_wrong_is_sent_back_once(void **state)
{
    struct fixture *f = *state;
    struct remote_answer answer;
    struct error *err = NULL;
    assert_ok(ASK(f->openai, { 200, .body = OPENAI("Sure! restart_pod") },
                  { 200, .body = OPENAI("```json " GOOD " ```") }),
              err);
    assert_int_equal(answer.repairs, 1);
    assert_int_equal(answer.action, ACTION_RESTART_POD);
    assert_true(str_find(strbuf_str(&f->server.last), STR("That is not a valid answer"), NULL));
    assert_int_equal(atomic_load(&f->server.requests), 2);
}

static void what_may_pass_is_tried_again(void **state)
{
    struct fixture *f = *state;
    AUTO(remote) struct remote *remote = remote_to(f->endpoint, REMOTE_OPENAI, 3, 2000);
    struct remote_answer answer;
    struct error *err = NULL;
    assert_ok(ASK(remote, { 500, .body = "" }, { 0, .body = "" }, { 200, .body = OPENAI(GOOD) }), err);
    assert_int_equal(answer.attempts, 3);
    int64_t began = clock_mono_ms();
    assert_ok(ASK(remote, { 429, "Retry-After: 1\r\n", "" }, { 200, .body = OPENAI(GOOD) }), err);
    assert_true(clock_mono_ms() - began >= 1000);
    struct remote_request hurried = request;
    hurried.deadline_ms = clock_mono_ms() + 300;
    broken_server_answers(&f->server, (const struct canned[]){ { 503, "Retry-After: 60\r\n", "" } }, 1);
    began = clock_mono_ms();
    assert_fails(remote_ask(remote, f->arena, &hurried, &answer, &err), err, ERROR_UNAVAILABLE, "");
    assert_true(clock_mono_ms() - began < 1000);
    assert_int_equal(atomic_load(&f->server.requests), 1); /* 401 and the like are not */
    assert_fails(ASK(remote, { 401, .body = "" }), err, ERROR_UNAUTHENTICATED, "");
    assert_int_equal(atomic_load(&f->server.requests), 1);
}

static void server_without_schemas_is_asked_without(void **state)
{
    struct fixture *f = *state;
    struct remote_answer answer;
    struct error *err = NULL;
    assert_ok(ASK(f->openai, { 400, .body = "unknown field logprobs" },
                  { 400, .body = "unknown field json_schema" }, { 200, .body = OPENAI(GOOD) }),
              err);
    assert_true(str_find(strbuf_str(&f->server.last), STR("\"json_object\""), NULL));
    assert_ok(ASK(f->openai, { 200, .body = OPENAI(GOOD) }), err);
    assert_int_equal(atomic_load(&f->server.requests), 1); /* remembered */
    assert_false(str_find(strbuf_str(&f->server.last), STR("logprobs"), NULL));
    assert_fails(ASK(f->openai, { 400, .body = "prompt too long" }), err, ERROR_INVALID, "too long");
}

static void log_probabilities_become_a_distribution(void **state)
{
    struct fixture *f = *state;
    struct remote_answer answer;
    struct error *err = NULL;
    /* {"action":"re|start|_pod"…}: at "re" the model might have said "not" (notify_only) or "ro" (rotate_secrets). */
    static const char body[] =
        "{\"choices\":[{\"message\":{\"content\":\"" GOOD
        "\"},\"finish_reason\":\"stop\",\"logprobs\":{\"content\":["
        "{\"token\":\"{\\\"action\\\":\",\"logprob\":0,\"top_logprobs\":[]},"
        "{\"token\":\"\\\"re\",\"logprob\":-0.6931472,\"top_logprobs\":["
        "{\"token\":\"\\\"re\",\"logprob\":-0.6931472},{\"token\":\"\\\"not\",\"logprob\":-1.3862944},{\"token\":\"\\\"ro\",\"logprob\":-1.3862944},{\"token\":\" x\",\"logprob\":-9}]},"
        "{\"token\":\"start\",\"logprob\":0,\"top_logprobs\":[]},{\"token\":\"_pod\",\"logprob\":0,\"top_logprobs\":[]}]}}]}";
    assert_ok(ASK(f->openai, { 200, .body = body }), err);
    assert_true(fabs(exp(answer.log_probabilities[ACTION_RESTART_POD]) - 0.5) < 1e-6);
    assert_true(fabs(exp(answer.log_probabilities[ACTION_NOTIFY_ONLY]) - 0.25) < 1e-6);
    assert_true(fabs(exp(answer.log_probabilities[ACTION_ROTATE_SECRETS]) - 0.25) < 1e-6);
    assert_true(answer.log_probabilities[ACTION_DRAIN_NODE] < -10);
}

static void endpoint_that_keeps_failing_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct clock_fake clock = { .mono_us = 1000000, .utc_ms = 1700000000000 };
    struct breaker breaker = BREAKER_INIT;
    (void)f;
    clock_replace(&clock);
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        assert_true(breaker_allows(&breaker));
        breaker_failed(&breaker);
    }
    assert_false(breaker_allows(&breaker));
    assert_int_equal(breaker_wait_ms(&breaker), BREAKER_OPEN_MS);
    clock_advance(&clock, BREAKER_OPEN_MS);
    assert_true(breaker_allows(&breaker));
    assert_false(breaker_allows(&breaker)); /* one tries, the others wait */
    breaker_failed(&breaker);
    assert_int_equal(breaker_wait_ms(&breaker), 2 * BREAKER_OPEN_MS);
    clock_advance(&clock, 2 * BREAKER_OPEN_MS);
    assert_true(breaker_allows(&breaker));
    breaker_succeeded(&breaker);
    assert_true(breaker_allows(&breaker) && breaker_state(&breaker) == BREAKER_CLOSED);
    clock_replace(NULL);
}

static void open_breaker_asks_nobody(void **state)
{
    struct fixture *f = *state;
    AUTO(remote) struct remote *remote = remote_to(f->endpoint, REMOTE_OPENAI, 0, 1000);
    struct remote_answer answer;
    struct error *err = NULL;
    for (int i = 0; i < BREAKER_FAILURES; i++)
        assert_fails(ASK(remote, { 500, .body = "" }), err, ERROR_UNAVAILABLE, "");
    assert_fails(ASK(remote, { 200, .body = OPENAI(GOOD) }), err, ERROR_UNAVAILABLE, "left alone");
    assert_int_equal(atomic_load(&f->server.requests), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answer_is_read),
        cmocka_unit_test(ollama_is_asked_in_its_own_way),
        cmocka_unit_test(every_broken_answer_is_an_error),
        cmocka_unit_test(endpoint_that_is_gone_is_unavailable),
        cmocka_unit_test(answer_that_is_wrong_is_sent_back_once),
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(server_without_schemas_is_asked_without),
        cmocka_unit_test(log_probabilities_become_a_distribution),
        cmocka_unit_test(endpoint_that_keeps_failing_is_left_alone),
        cmocka_unit_test(open_breaker_asks_nobody),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
