#include "tests/test.h"

static void quantities_are_read_as_kubernetes_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t milli;
    } good[] = { { "500m", 500 },
                 { "1", 1000 },
                 { "0.15", 150 },
                 { "1Gi", INT64_C(1073741824000) },
                 { "1.5Gi", INT64_C(1610612736000) },
                 { "100k", 100000000 },
                 { "2e3", 2000000 },
                 { "-1", -1000 },
                 { "1n", 1 },
                 { "1001u", 2 },
                 { ".5", 500 },
                 { "5.", 5000 },
                 { "12e-1", 1200 } };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t milli = -1;
        assert_true(quantity_parse(str_of(good[i].text), &milli));
        assert_int_equal(milli, good[i].milli);
    }
}

static void what_does_not_fit_or_parse_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "",     "Gi",  "1Zi",   "1 Gi",
                                       "1GiB", "1e",  "1e99",  "99999999999999999999",
                                       "1E",   "--1", "1.2.3", "0x10",
                                       "9Ei" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t milli;
        assert_false(quantity_parse(str_of(bad[i]), &milli));
    }
}

static void quantities_are_written_canonically(void **state)
{
    (void)state;
    char text[QUANTITY_TEXT_MAX];
    assert_string_equal(quantity_format(500, QUANTITY_CPU, text), "500m");
    assert_string_equal(quantity_format(2000, QUANTITY_CPU, text), "2");
    assert_string_equal(quantity_format(INT64_C(1073741824000), QUANTITY_BYTES, text), "1Gi");
    assert_string_equal(quantity_format(INT64_C(1610612736000), QUANTITY_BYTES, text), "1536Mi");
    assert_string_equal(quantity_format(INT64_C(1000000000000), QUANTITY_BYTES, text), "1000000000");
    assert_string_equal(quantity_format(0, QUANTITY_BYTES, text), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_are_read_as_kubernetes_does),
        cmocka_unit_test(what_does_not_fit_or_parse_is_refused),
        cmocka_unit_test(quantities_are_written_canonically),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
