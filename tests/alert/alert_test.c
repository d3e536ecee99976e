#include "tests/test.h"

#include "alert/alert.h"

static void severities_are_read_as_people_write_them(void **state)
{
    (void)state;
    assert_int_equal(severity_of(STR("CRITICAL")), SEVERITY_CRITICAL);
    assert_int_equal(severity_of(STR("page")), SEVERITY_CRITICAL);
    assert_int_equal(severity_of(STR("warn")), SEVERITY_WARNING);
    assert_int_equal(severity_of(STR("none")), SEVERITY_NONE);
    assert_int_equal(severity_of(STR("P1")), SEVERITY_OTHER);
    assert_int_equal(severity_of(STR("")), SEVERITY_OTHER);
}

static void alerts_are_written_in_our_own_words(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct alert_payload payload;
    struct error *err = NULL;
    assert_ok(alert_parse(arena,
                          STR("{\"status\":\"resolved\",\"labels\":{\"pod\":\"db-0\",\"namespace\":\"s\"},"
                              "\"startsAt\":\"2026-01-02T03:04:05Z\",\"endsAt\":\"2026-01-02T03:04:06Z\","
                              "\"annotations\":{\"summary\":\"a \\\"b\\\"\"}}"),
                          &payload, &err),
              err);
    AUTO(strbuf) struct strbuf out = { 0 };
    alert_write_fields(&out, payload.alerts);
    payload.alerts->fingerprint[0] = 0;
    assert_true(
        str_find(strbuf_str(&out),
                 STR("\"status\":\"resolved\",\"name\":\"unknown\",\"severity\":\"info\",\"namespace\":\"s\","
                     "\"resource\":\"db-0\",\"description\":\"a \\\"b\\\"\",\"generator_url\":\"\","
                     "\"starts_at\":\"2026-01-02T03:04:05.000Z\",\"ends_at\":\"2026-01-02T03:04:06.000Z\","
                     "\"target\":{\"cluster\":\"\",\"namespace\":\"s\",\"kind\":\"Pod\",\"name\":\"db-0\"},"
                     "\"labels\":{\"namespace\":\"s\",\"pod\":\"db-0\"},\"annotations\":{"),
                 NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(severities_are_read_as_people_write_them),
        cmocka_unit_test(alerts_are_written_in_our_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
