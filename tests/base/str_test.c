#include "tests/test.h"

static void parts_are_cut_off_one_by_one(void **state)
{
    (void)state;
    struct str rest = STR("a,,b"), part;
    assert_true(str_split(&rest, ',', &part));
    assert_str_equal(part, STR("a"));
    assert_true(str_split(&rest, ',', &part));
    assert_str_equal(part, STR(""));
    assert_true(str_split(&rest, ',', &part));
    assert_str_equal(part, STR("b"));
    assert_false(str_split(&rest, ',', &part));
}

static void finding_trimming_and_comparing(void **state)
{
    (void)state;
    size_t at;
    assert_true(str_find(STR("OOMKilled"), STR("Kill"), &at));
    assert_int_equal(at, 3);
    assert_true(str_find(STR(""), STR(""), &at));
    assert_false(str_find(STR("a"), STR("ab"), NULL));
    assert_str_equal(str_trim(STR(" \t x y\n")), STR("x y"));
    assert_true(str_starts_with(STR("shop/web"), STR("shop")));
    assert_true(str_ends_with(STR("shop/web"), STR("/web")));
    assert_false(str_ends_with(STR("b"), STR("ab")));
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_eq_nocase(STR("Bearer"), STR("bEARER")));
    assert_str_equal(str_slice(STR("abc"), 1, 99), STR("bc"));
}

static void numbers_must_fill_the_string(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    double d;
    assert_true(str_to_i64(STR("-42"), &i) && i == -42);
    assert_false(str_to_i64(STR("42x"), &i));
    assert_false(str_to_i64(STR(" 42"), &i));
    assert_false(str_to_i64(STR(""), &i));
    assert_false(str_to_i64(STR("9223372036854775808"), &i));
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(str_to_u64(STR("-1"), &u));
    assert_true(str_to_double(STR("0.25"), &d) && d == 0.25);
    assert_false(str_to_double(STR("nan"), &d));
    assert_false(str_to_double(STR("1e999"), &d));
}

static void nearest_name_is_offered_for_a_typing_mistake(void **state)
{
    (void)state;
    static const char *const names[] = { "slm.model", "slm.provider", "store.url" };
    assert_string_equal(str_nearest(STR("slm.modle"), names, 3), "slm.model");
    assert_string_equal(str_nearest(STR("stor.url"), names, 3), "store.url");
    assert_null(str_nearest(STR("completely.other"), names, 3));
}

static void buffer_grows_and_escapes(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf buf = { 0 };
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&buf, "%d,", i);
    assert_int_equal(buf.len, 3890);
    strbuf_clear(&buf);
    strbuf_add_json(&buf, STR("\"\\\n\x1f\xc3\xa9\xc3(\xed\xa0\x80"));
    assert_str_equal(strbuf_str(&buf), STR("\"\\\"\\\\\\n\\u001f\xc3\xa9\xef\xbf\xbd("
                                           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""));
    AUTO(text) char *text = strbuf_take(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(text[0], '"');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_cut_off_one_by_one),
        cmocka_unit_test(finding_trimming_and_comparing),
        cmocka_unit_test(numbers_must_fill_the_string),
        cmocka_unit_test(nearest_name_is_offered_for_a_typing_mistake),
        cmocka_unit_test(buffer_grows_and_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
