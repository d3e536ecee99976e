#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "alert/alert.h"

struct fixture {
    struct arena *arena;
    struct alert_payload payload;
    struct error *err;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    f->arena = arena_new(16 * 1024);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    error_free(f->err);
    free(f);
    return 0;
}

static void read_file(struct fixture *f, const char *name)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    const char *path = arena_printf(f->arena, "%s/%s", getenv("PAYLOADS"), name);
    assert_ok(file_read(path, 1 << 20, &body, &f->err), f->err);
    assert_ok(alert_parse_webhook(f->arena, strbuf_str(&body), &f->payload, &f->err), f->err);
}

static bool webhook(struct fixture *f, const char *body)
{
    return alert_parse_webhook(f->arena, str_of(body), &f->payload, &f->err);
}

static bool one_alert(struct fixture *f, const char *fields)
{
    return webhook(f, arena_printf(f->arena, "{\"version\":\"4\",\"alerts\":[{%s}]}", fields));
}

static void real_payloads_of_two_versions_are_read(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "alertmanager-0.25.json",
                                         "alertmanager-0.34.2-firing-critical.json" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        read_file(f, names[i]);
        assert_int_equal(f->payload.count, 1);
        assert_str_equal(f->payload.receiver, STR("slm"));
        assert_str_equal(f->payload.external_url, STR("http://vm:19093"));
        assert_int_equal(f->payload.severity, SEVERITY_CRITICAL);
        const struct alert *alert = f->payload.alerts;
        assert_string_equal(alert->fingerprint, "8a1ccfc7ee2028b7");
        assert_str_equal(alert->name, STR("PeerTestDiskFull"));
        assert_str_equal(alert->namespace, STR("shop"));
        assert_str_equal(alert->resource, STR("checkout"));
        assert_str_equal(alert->description, STR("value 1 of "));
        assert_str_equal(alert->target.kind, STR("Deployment"));
        assert_int_equal(alert->status, ALERT_FIRING);
        assert_int_equal(alert->ends_at, 0);
        assert_true(str_find(alert->generator_url, STR("&g0.tab=1"), NULL));
    }
}

static void resolved_payload_has_its_end(void **state)
{
    struct fixture *f = *state;
    read_file(f, "alertmanager-0.34.2-resolved.json");
    const struct alert *alert = f->payload.alerts;
    assert_int_equal(alert->status, ALERT_RESOLVED);
    assert_int_equal(alert->ends_at - alert->starts_at, 9000);
    assert_str_equal(alert->target.kind, STR("Pod"));
}

static void missing_fingerprint_is_prometheus_own(void **state)
{
    struct fixture *f = *state;
    assert_ok(one_alert(f, "\"labels\":{\"severity\":\"critical\",\"namespace\":\"shop\",\"alertname\":"
                           "\"PeerTestDiskFull\",\"deployment\":\"checkout\",\"cluster\":\"peers\"}"),
              f->err);
    assert_string_equal(f->payload.alerts->fingerprint, "8a1ccfc7ee2028b7");
    assert_ok(one_alert(f, "\"fingerprint\":\"a/b\""), f->err);
    assert_string_equal(f->payload.alerts->fingerprint, "cbf29ce484222325"); /* of no labels at all */
    assert_ok(one_alert(f, "\"fingerprint\":\"mine-1\""), f->err);
    assert_string_equal(f->payload.alerts->fingerprint, "mine-1");
}

static void defaults_stand_in_for_what_is_absent(void **state)
{
    struct fixture *f = *state;
    assert_ok(one_alert(f, ""), f->err);
    const struct alert *alert = f->payload.alerts;
    assert_str_equal(alert->name, STR("unknown"));
    assert_str_equal(alert->severity_text, STR("info"));
    assert_str_equal(alert->namespace, STR("default"));
    assert_str_equal(alert->resource, STR(""));
    assert_str_equal(alert->description, STR("Alert unknown is firing"));
    assert_int_equal(alert->starts_at, 0);
    assert_ok(webhook(f, "{\"version\":\"4\",\"alerts\":null,\"truncatedAlerts\":7}"), f->err);
    assert_int_equal(f->payload.count, 0);
    assert_int_equal(f->payload.truncated, 7);
}

static void times_texts_and_names_of_every_kind_are_read(void **state)
{
    struct fixture *f = *state;
    assert_ok(
        one_alert(
            f, "\"startsAt\":\"2026-11-21T10:00:00.123456789+02:00\",\"endsAt\":\"0001-01-01T00:00:00Z\","
               "\"labels\":{\"größe µ\":\"\\u003c\\u2028\\u0000x\",\"a\":\"\"},\"new_field\":[{\"x\":[]}]"),
        f->err);
    const struct alert *alert = f->payload.alerts;
    char text[CLOCK_TEXT_MAX];
    assert_string_equal(clock_format(alert->starts_at, text), "2026-11-21T08:00:00.123Z");
    assert_int_equal(alert->ends_at, 0);
    assert_str_equal(label_get(&alert->labels, STR("größe µ")), STR("<\xe2\x80\xa8\xef\xbf\xbdx"));
    assert_str_equal(label_get(&alert->labels, STR("b")), STR(""));
}

static void other_shapes_are_read_too(void **state)
{
    struct fixture *f = *state;
    assert_ok(alert_parse(f->arena, STR("{\"labels\":{\"alertname\":\"X\"}}"), &f->payload, &f->err), f->err);
    assert_int_equal(f->payload.count, 1);
    assert_str_equal(f->payload.alerts->name, STR("X"));
    assert_ok(
        alert_parse(
            f->arena,
            STR("[{\"labels\":{\"alertname\":\"Y\"},\"endsAt\":\"2030-01-01T00:00:00Z\","
                "\"status\":{\"state\":\"active\",\"silencedBy\":[]},\"receivers\":[{\"name\":\"x\"}]}]"),
            &f->payload, &f->err),
        f->err);
    assert_str_equal(f->payload.alerts->name, STR("Y"));
    assert_int_equal(f->payload.alerts->ends_at, 0);
}

static void bad_input_is_refused_with_its_place(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        { "", "not JSON" },
        { "{\"version\":\"4\",\"alerts\":[", "not JSON" },
        { "{\"version\":\"4\",\"alerts\":[{\"labels\":{\"a\":\"\xff\"}}]}", "not JSON" },
        { "[]", "must be an object" },
        { "{\"alerts\":[]}", "version: missing" },
        { "{\"version\":\"3\",\"alerts\":[]}", "version: must be \"4\"" },
        { "{\"version\":4,\"alerts\":[]}", "version: must be \"4\"" },
        { "{\"version\":\"4\"}", "alerts: missing" },
        { "{\"version\":\"4\",\"alerts\":{}}", "alerts: must be a list" },
        { "{\"version\":\"4\",\"alerts\":[{},7]}", "alerts[1]: must be an object" },
        { "{\"version\":\"4\",\"alerts\":[{\"labels\":[]}]}", "alerts[0].labels: must be an object" },
        { "{\"version\":\"4\",\"alerts\":[{\"labels\":{\"a\":1}}]}",
          "alerts[0].labels: a value is not a text" },
        { "{\"version\":\"4\",\"alerts\":[{\"labels\":{\"a\":\"1\",\"a\":\"1\"}}]}", "twice" },
        { "{\"version\":\"4\",\"alerts\":[{\"status\":\"on\"}]}",
          "alerts[0].status: must be firing or resolved" },
        { "{\"version\":\"4\",\"alerts\":[{\"startsAt\":\"yesterday\"}]}",
          "alerts[0].startsAt: not an RFC 3339" },
        { "{\"version\":\"4\",\"alerts\":[{\"startsAt\":5}]}", "alerts[0].startsAt: must be a text" },
        { "{\"version\":\"4\",\"version\":\"4\",\"alerts\":[]}", "version: the key is there twice" },
        { "{\"version\":\"4\",\"alerts\":[],\"truncatedAlerts\":-1}", "truncatedAlerts: must be a number" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_fails(webhook(f, cases[i].body), f->err, ERROR_INVALID, cases[i].says);
}

static void depth_and_size_have_limits(void **state)
{
    struct fixture *f = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    strbuf_add_text(&body, "{\"version\":\"4\",\"alerts\":[],\"x\":");
    for (int i = 0; i < 100000; i++)
        strbuf_add_char(&body, '[');
    for (int i = 0; i < 100000; i++)
        strbuf_add_char(&body, ']');
    strbuf_add_char(&body, '}');
    assert_fails(webhook(f, body.ptr), f->err, ERROR_INVALID, "nested deeper");
    strbuf_clear(&body);
    strbuf_add_text(&body, "{\"version\":\"4\",\"alerts\":[{\"labels\":{");
    for (int i = 0; i < 100000; i++)
        strbuf_addf(&body, "%s\"l%d\":\"v\"", i ? "," : "", i);
    strbuf_add_text(&body, "}}]}");
    assert_fails(webhook(f, body.ptr), f->err, ERROR_LIMIT, "alerts[0].labels: more than 512");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(real_payloads_of_two_versions_are_read),       TEST(resolved_payload_has_its_end),
        TEST(missing_fingerprint_is_prometheus_own),        TEST(defaults_stand_in_for_what_is_absent),
        TEST(times_texts_and_names_of_every_kind_are_read), TEST(other_shapes_are_read_too),
        TEST(bad_input_is_refused_with_its_place),          TEST(depth_and_size_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
