#include "tests/test.h"

static void durations_are_read_as_prometheus_writes_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = { { "5m", 300000 }, { "1h30m", 5400000 }, { "250ms", 250 },    { "0", 0 },
                 { "0s", 0 },      { "1.5h", 5400000 },  { "7d", 604800000 }, { "1d2h3m4s5ms", 93784005 } };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t ms = -1;
        assert_true(duration_parse(str_of(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = { "",    "5",    "m",  "5m5m", "30m1h", "5 m",
                                       "-5m", "1e3s", "5x", "999y", "..s" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms;
        assert_false(duration_parse(str_of(bad[i]), &ms));
    }
}

static void durations_are_written_short(void **state)
{
    (void)state;
    char text[DURATION_TEXT_MAX];
    assert_string_equal(duration_format(5400000, text), "1h30m");
    assert_string_equal(duration_format(0, text), "0s");
    assert_string_equal(duration_format(-250, text), "-250ms");
    assert_string_equal(duration_format(93784005, text), "1d2h3m4s5ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_as_prometheus_writes_them),
        cmocka_unit_test(durations_are_written_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
