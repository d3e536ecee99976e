#include "tests/test.h"

#include "config/yaml.h"

static int start(void **state)
{
    *state = arena_new(4096);
    return 0;
}
static int stop(void **state)
{
    arena_free(*state);
    return 0;
}

static void values_keep_their_positions(void **state)
{
    struct error *err = NULL;
    const struct yaml *root = yaml_parse(*state, "f", STR("a: 1\nb:\n  - x\n  - \"2\"\nc: ~\nd:\n"), &err);
    assert_ok(root != NULL, err);
    assert_int_equal(root->kind, YAML_MAP);
    const struct yaml *b = yaml_get(root, "b");
    assert_int_equal(yaml_count(b), 2);
    assert_int_equal(b->first->next->line, 4);
    assert_int_equal(b->first->next->column, 5);
    assert_true(b->first->next->quoted);
    assert_int_equal(yaml_get(root, "c")->kind, YAML_NULL);
    assert_int_equal(yaml_get(root, "d")->kind, YAML_NULL);
    assert_int_equal(yaml_get(root, "d")->key_line, 6);
    assert_null(yaml_get(root, "e"));
}

static void empty_text_is_null(void **state)
{
    struct error *err = NULL;
    const struct yaml *root = yaml_parse(*state, "f", STR("# nothing\n"), &err);
    assert_ok(root != NULL, err);
    assert_int_equal(root->kind, YAML_NULL);
}

static void bad_text_is_an_error_with_its_place(void **state)
{
    static const struct {
        struct str text;
        const char *message;
    } cases[] = {
        { STR("a: [1, 2\nb: 3\n"), "f:" },
        { STR("a: 1\na: 2\n"), "f:2:1: the key \"a\" is here a second time (first in line 1)" },
        { STR("a: &x 1\nb: *x\n"), "anchors and aliases are not supported" },
        { STR("a: !!int 1\n"), "tags are not supported" },
        { STR("a: 1\n---\nb: 2\n"), "one document is expected" },
        { STR("? [a]\n: 1\n"), "a key must be a plain text" },
        { STR("a: \"\\x00\"\n"), "f:1:4: a NUL character" },
        { STR("a: x\nb: \xff\xfe\n"), "f:2:4: not valid UTF-8" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        assert_fails(yaml_parse(*state, "f", cases[i].text, &err) != NULL, err, ERROR_INVALID,
                     cases[i].message);
    }
}

static void deep_nesting_is_refused(void **state)
{
    struct error *err = NULL;
    char deep[2001];
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    assert_fails(yaml_parse(*state, "f", (struct str){ deep, 2000 }, &err) != NULL, err, ERROR_INVALID, "f:");
}

static void scalars_are_quoted_where_they_must_be(void **state)
{
    static const char *const texts[] = { "plain", "a: b",       "",   "null",  "~",   "#x", "- a",
                                         "true",  "10.0.0.0/8", "a:", "ü\n\"", "{x}", "*" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct error *err = NULL;
        AUTO(strbuf) struct strbuf text = { 0 };
        strbuf_add_text(&text, "k: ");
        yaml_add_scalar(&text, str_of(texts[i]));
        const struct yaml *root = yaml_parse(*state, "f", strbuf_str(&text), &err);
        assert_ok(root != NULL, err);
        assert_str_equal(yaml_get(root, "k")->text, str_of(texts[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_keep_their_positions, start, stop),
        cmocka_unit_test_setup_teardown(empty_text_is_null, start, stop),
        cmocka_unit_test_setup_teardown(bad_text_is_an_error_with_its_place, start, stop),
        cmocka_unit_test_setup_teardown(deep_nesting_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(scalars_are_quoted_where_they_must_be, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
