#include "tests/test.h"

#include "http/http.h"

static void targets_are_taken_apart(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(1024);
    struct str path;
    struct http_query query;
    assert_true(http_target_parse(arena, STR("/a%2Fb/%c3%bc?x=1&y&=z&&k=%26+%2B"), &path, &query));
    assert_str_equal(path, STR("/a/b/\xc3\xbc"));
    assert_int_equal(query.count, 4);
    assert_str_equal(query.items[0].value, STR("1"));
    assert_str_equal(query.items[1].name, STR("y"));
    assert_str_equal(query.items[1].value, STR(""));
    assert_str_equal(query.items[2].name, STR(""));
    assert_str_equal(query.items[3].value, STR("& +"));
}

static void broken_targets_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = { "",     "a",    "?x",      "/%",       "/%4",
                                         "/%zz", "/%00", "/a?x=%0", "/a?%00=1", "http://x/" };
    AUTO(arena) struct arena *arena = arena_new(1024);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str path;
        struct http_query query;
        assert_false(http_target_parse(arena, str_of(cases[i]), &path, &query));
    }
}

static void too_many_parameters_are_refused(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(1024);
    AUTO(strbuf) struct strbuf target = { 0 };
    struct str path;
    struct http_query query;
    strbuf_add_text(&target, "/?");
    for (int i = 0; i < HTTP_QUERY_MAX; i++)
        strbuf_add_text(&target, "a=1&");
    assert_true(http_target_parse(arena, strbuf_str(&target), &path, &query));
    strbuf_add_text(&target, "a=1");
    assert_false(http_target_parse(arena, strbuf_str(&target), &path, &query));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_taken_apart),
        cmocka_unit_test(broken_targets_are_refused),
        cmocka_unit_test(too_many_parameters_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
