#include "tests/test.h"

static void rfc3339_goes_both_ways(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *back;
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00.000Z" },
        { "2026-11-21T10:04:46.123456789Z", INT64_C(1795255486123), "2026-11-21T10:04:46.123Z" },
        { "2026-11-21T12:04:46.1+02:00", INT64_C(1795255486100), "2026-11-21T10:04:46.100Z" },
        { "0001-01-01T00:00:00Z", CLOCK_ZERO_TIME_MS, "0001-01-01T00:00:00.000Z" },
        { "2024-02-29T23:59:60Z", INT64_C(1709251200000), "2024-03-01T00:00:00.000Z" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ms;
        char text[CLOCK_TEXT_MAX];
        assert_true(clock_parse(str_of(cases[i].text), &ms));
        assert_int_equal(ms, cases[i].ms);
        assert_string_equal(clock_format(ms, text), cases[i].back);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "2026-11-21",
                                       "2026-13-01T00:00:00Z",
                                       "2026-02-29T00:00:00Z",
                                       "2026-11-21T24:00:00Z",
                                       "2026-11-21T10:00:00",
                                       "2026-11-21T10:00:00.Z",
                                       "2026-11-21T10:00:00.1234567890Z",
                                       "2026-11-21T10:00:00Zjunk",
                                       "0000-01-01T00:00:00Z",
                                       "2026-11-21T10:00:00+2:00" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ms;
        assert_false(clock_parse(str_of(bad[i]), &ms));
    }
}

static void replaced_clock_stands_still_until_advanced(void **state)
{
    (void)state;
    struct clock_fake fake = { .mono_us = 5000, .utc_ms = 1000 };
    clock_replace(&fake);
    assert_int_equal(clock_mono_ms(), 5);
    clock_sleep_ms(20);
    assert_int_equal(clock_mono_ms(), 25);
    assert_int_equal(clock_utc_ms(), 1020);
    clock_replace(NULL);
    assert_true(clock_utc_ms() > INT64_C(1600000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339_goes_both_ways),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(replaced_clock_stands_still_until_advanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
