#include "tests/test.h"

static void every_code_point_goes_both_ways(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        uint32_t back;
        if (code == 0xd800)
            code = 0xe000;
        size_t len = utf8_encode(code, bytes);
        assert_int_equal(utf8_decode((struct str){ bytes, len }, &back), len);
        assert_int_equal(back, code);
    }
}

static void what_is_not_utf8_is_seen(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",     "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xe2\x82", "\xff"
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_is_valid(str_of(bad[i])));
    assert_true(utf8_is_valid(STR("gr\xc3\xbc\xc3\x9f \xf0\x9f\x94\xa5")));
}

static void prefix_does_not_end_within_a_character(void **state)
{
    (void)state;
    struct str text = STR("a\xf0\x9f\x94\xa5z");
    assert_int_equal(utf8_prefix(text, 6).len, 6);
    assert_int_equal(utf8_prefix(text, 5).len, 5);
    assert_int_equal(utf8_prefix(text, 4).len, 1);
    assert_int_equal(utf8_prefix(text, 0).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_goes_both_ways),
        cmocka_unit_test(what_is_not_utf8_is_seen),
        cmocka_unit_test(prefix_does_not_end_within_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
