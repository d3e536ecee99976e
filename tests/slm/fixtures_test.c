/* The predecessor's twelve fixtures, written out, and what a decision must not depend on: wording and order. With the
 * model that FIXTURES_MODEL names, else with what is known without one, which wording moves a little more. */
#include "tests/test.h"

#include <stdlib.h>

#include "slm/slm.h"

struct fixture {
    struct config *config;
    struct slm *slm;
    struct arena *arena;
};

static int start(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error *err = NULL;
    f->arena = arena_new(1 << 16);
    setenv("XDG_STATE_HOME", "/nowhere", 1);
    const char *model = getenv("FIXTURES_MODEL"), *set[] = { "slm.cache_ttl=0", NULL, NULL };
    set[1] = model ? arena_printf(f->arena, "slm.model=%s", model) : "slm.model=/nowhere/model.gguf";
    f->config = config_load(&(struct config_options){ .path = "/dev/null", .set = set }, &err);
    assert_ok(f->config, err);
    f->slm = slm_open(f->config, &err);
    assert_ok(f->slm, err);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    struct fixture *f = *state;
    slm_close(f->slm);
    config_free(f->config);
    arena_free(f->arena);
    free(f);
    return 0;
}

static struct alert read_fixture(struct fixture *f, struct str name)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct alert_payload payload;
    struct error *err = NULL;
    const char *path = arena_printf(f->arena, FIXTURES "/" STR_FMT ".json", STR_ARG(name));
    assert_ok(file_read(path, 1 << 20, &body, &err), err);
    assert_ok(alert_parse_webhook(f->arena, strbuf_str(&body), &payload, &err), err);
    char fingerprint[17];
    alert_fingerprint(&payload.alerts[0].labels, fingerprint);
    assert_string_equal(payload.alerts[0].fingerprint, fingerprint);
    return payload.alerts[0];
}

static enum action decide(struct fixture *f, const struct alert *alert, struct decision *decision)
{
    struct slm_question question = { .alert = alert, .alerts = 1, .feasible = ACTION_SET_ALL };
    slm_decide(f->slm, f->arena, &question, decision);
    return decision->ranked_first;
}

static bool is_expected(struct str names, enum action action)
{
    struct str one;
    while (str_split(&names, ' ', &one))
        if (str_eq(one, str_of(action_name(action))))
            return true;
    return false;
}

static void each_fixture_gets_an_expected_action(void **state)
{
    struct fixture *f = *state;
    AUTO(strbuf) struct strbuf expected = { 0 };
    struct error *err = NULL;
    assert_ok(file_read(FIXTURES "/expected.txt", 1 << 16, &expected, &err), err);
    struct str rest = strbuf_str(&expected), line, name, confidence;
    size_t count = 0, right = 0;
    while (str_split(&rest, '\n', &line)) {
        if (!line.len || line.ptr[0] == '#')
            continue;
        str_split(&line, ' ', &name), str_split(&line, ' ', &confidence);
        struct alert alert = read_fixture(f, name);
        struct decision decision;
        bool ok = is_expected(line, decide(f, &alert, &decision));
        print_message("%-30.*s %-20s %.2f%s\n", STR_ARG(name), action_name(decision.ranked_first),
                      decision.confidence, ok ? "" : "  <- wrong");
        count++, right += ok;
    }
    assert_int_equal(count, 12);
    assert_int_equal(right, 12);
}

/* Ways to say the same, around and within a description. */
static const struct {
    const char *before, *after;
} wordings[] = {
    { "", "" },
    { "Attention: ", "" },
    { "Since a few minutes: ", "" },
    { "", " Please see the dashboard." },
    { "", " This has gone on for ten minutes." },
    { "The following was seen. ", "" },
    { "We see this in the cluster: ", "" },
    { "Alert from monitoring. ", "" },
    { "", " (value is current)" },
    { "", " See the team's page for contacts." },
    { "It was found that ", "" },
    { "Monitoring reports: ", " End of report." },
    { "Measured over the last interval: ", "" },
    { "FYI: ", "" },
    { "", " Customers may notice." },
    { "At this time, ", "" },
    { "Observed by the probe: ", "" },
    { "Once more: ", "" },
    { "", " It began today." },
    { "Detail: ", " Thank you." },
};

static const char *const paraphrased[] = {
    "high-memory-usage",
    "pod-crash-looping",
    "cpu-throttling-high",
    "deployment-replicas-mismatch",
    "disk-space-warning",
    "deployment-failure",
    "pvc-near-full",
    "pod-network-unavailable",
    "security-threat-detected",
    "test-connectivity",
    "complex-service-failure",
    "node-maintenance-required",
};

static void paraphrases_and_reordered_labels_get_the_same_decision(void **state)
{
    struct fixture *f = *state;
    size_t same = 0, tried = 0;
    for (size_t i = 0; i < ARRAY_LEN(paraphrased); i++) {
        struct alert alert = read_fixture(f, str_of(paraphrased[i]));
        struct decision decision;
        enum action action = decide(f, &alert, &decision);
        struct str description = label_get(&alert.annotations, STR("description"));
        for (size_t k = 0; k < ARRAY_LEN(wordings); k++) {
            AUTO(strbuf) struct strbuf json = { 0 };
            struct alert_payload payload;
            strbuf_add_text(&json, "[{\"labels\":{");
            for (size_t n = alert.labels.count; n > 0; n--) { /* from the last to the first */
                strbuf_add_json(&json, alert.labels.items[n - 1].name);
                strbuf_add_char(&json, ':');
                strbuf_add_json(&json, alert.labels.items[n - 1].value);
                strbuf_add_text(&json, n > 1 ? "," : "},\"annotations\":{\"summary\":");
            }
            strbuf_add_json(&json, label_get(&alert.annotations, STR("summary")));
            strbuf_add_text(&json, ",\"description\":");
            strbuf_add_json(&json, str_of(arena_printf(f->arena, "%s" STR_FMT "%s", wordings[k].before,
                                                       STR_ARG(description), wordings[k].after)));
            strbuf_add_text(&json, "}}]");
            assert_true(alert_parse(f->arena, strbuf_str(&json), &payload, NULL));
            bool alike = decide(f, &payload.alerts[0], &decision) == action;
            tried++, same += alike;
            if (!alike)
                print_message("%s, wording %zu: %s\n", paraphrased[i], k, action_name(decision.ranked_first));
        }
    }
    print_message("%zu of %zu paraphrases decided alike\n", same, tried);
    assert_true(same * 100 >= tried * (getenv("FIXTURES_MODEL") ? 95u : 90u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fixture_gets_an_expected_action),
        cmocka_unit_test(paraphrases_and_reordered_labels_get_the_same_decision),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
