#include "tests/test.h"

#include "cli/cli.h"
#include "config/yaml.h"

static void json_becomes_yaml_that_says_the_same(void **state)
{
    (void)state;
    static const char json[] =
        "{\"a\":\"x: y\",\"n\":5,\"text\":\"5\",\"t\":\"true\",\"none\":null,\"list\":[1,{\"k\":\"v\",\"deep\":[[1,2],[]]}],"
        "\"empty\":{},\"lines\":\"a\\nb\",\"\\u001b[31m\":\"\\u001b[0m\"}";
    struct error *err = NULL;
    AUTO(strbuf) struct strbuf yaml = { 0 };
    AUTO(arena) struct arena *arena = arena_new(1024);
    assert_true(cli_json_to_yaml(str_of(json), &yaml));
    assert_null(strchr(yaml.ptr, '\x1b'));
    const struct yaml *root = yaml_parse(arena, "y", strbuf_str(&yaml), &err);
    assert_ok(root != NULL, err);
    assert_str_equal(yaml_get(root, "a")->text, STR("x: y"));
    assert_str_equal(yaml_get(root, "lines")->text, STR("a\nb"));
    assert_true(yaml_get(root, "text")->quoted);
    assert_true(yaml_get(root, "t")->quoted);
    assert_false(yaml_get(root, "n")->quoted);
    assert_int_equal(yaml_get(root, "none")->kind, YAML_NULL);
    const struct yaml *object = yaml_get(root, "list")->first->next;
    assert_str_equal(yaml_get(object, "k")->text, STR("v"));
    assert_str_equal(yaml_get(object, "deep")->first->first->next->text, STR("2"));
    assert_false(cli_json_to_yaml(STR("{"), &yaml));
}

static void control_characters_are_made_visible(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf out = { 0 };
    cli_print_safe(&out, STR("a\x1b[31m\tb\xc3\xbc\xff\xe2\x80\xae!"));
    assert_str_equal(strbuf_str(&out), STR("a\\x1b[31m\\x09b\xc3\xbc\\xff\\xe2!"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_becomes_yaml_that_says_the_same),
        cmocka_unit_test(control_characters_are_made_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
