#include "tests/config/fixture.h"

#include "config/yaml.h"

static const char example[] =
    "slm: { api_key: very-secret, model: m }\n"
    "store: { url: \"postgresql://u:hidden@h/db\" }\n"
    "webhook: { auth: { token: hush } }\n"
    "server: { credentials: [ { name: a, scopes: [read, operate], token: shy } ], max_body_size: 2Mi }\n"
    "filters: [ { name: f, conditions: { severity: [critical, 'a: b'] } } ]\n";

static struct config *load_example(void)
{
    struct error *err = NULL;
    struct config *config = fixture_load(example, NULL, NULL, &err);
    assert_ok(config != NULL, err);
    return config;
}

static void no_secret_is_shown(void **state)
{
    (void)state;
    AUTO(config) struct config *config = load_example();
    AUTO(strbuf) struct strbuf yaml = { 0 }, json = { 0 };
    config_show_yaml(config, &yaml);
    config_show_json(config, &json);
    static const char *const secrets[] = { "very-secret", "hidden", "hush", "shy" };
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        assert_null(strstr(yaml.ptr, secrets[i]));
        assert_null(strstr(json.ptr, secrets[i]));
    }
    assert_non_null(strstr(yaml.ptr, "postgresql://u:***@h/db"));
}

static void shown_configuration_is_yaml_that_says_the_same(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(config) struct config *config = load_example();
    AUTO(strbuf) struct strbuf yaml = { 0 }, json = { 0 };
    config_show_yaml(config, &yaml);
    config_show_json(config, &json);
    AUTO(arena) struct arena *arena = arena_new(4096);
    const struct yaml *tree = yaml_parse(arena, "shown", strbuf_str(&yaml), &err);
    assert_ok(tree != NULL, err);
    assert_str_equal(yaml_get(yaml_get(tree, "server"), "max_body_size")->text, STR("2Mi"));
    const struct yaml *same = yaml_parse(arena, "json", strbuf_str(&json), &err);
    assert_ok(same != NULL, err);
    assert_str_equal(yaml_get(yaml_get(yaml_get(same, "webhook"), "auth"), "type")->text, STR("bearer"));
    assert_str_equal(yaml_get(yaml_get(same, "filters")->first, "name")->text, STR("f"));
    assert_non_null(strstr(yaml.ptr, "model: m  # "));
}

static void sample_is_valid_with_and_without_its_comment_signs(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(strbuf) struct strbuf sample = { 0 }, open = { 0 };
    config_write_sample(&sample);
    AUTO(config) struct config *commented = fixture_load(sample.ptr, NULL, NULL, &err);
    assert_ok(commented != NULL, err);
    struct str rest = strbuf_str(&sample), line;
    while (
        str_split(&rest, '\n', &line)) { /* "#slm:" and "#  model: x" are keys; "# " and "  # " are prose */
        bool key =
            line.len > 1 && line.ptr[0] == '#' && (line.ptr[1] != ' ' || str_starts_with(line, STR("#  ")));
        if (key && !str_starts_with(line, STR("#   ")))
            strbuf_addf(&open, STR_FMT "\n", STR_ARG(str_slice(line, 1, line.len)));
        else if (key && line.ptr[4] == ' ' && line.ptr[5] != '-' && line.ptr[5] != ' ' && line.ptr[3] == ' ')
            strbuf_addf(&open, STR_FMT "\n", STR_ARG(str_slice(line, 1, line.len)));
    }
    AUTO(config) struct config *opened = fixture_load(open.ptr, NULL, NULL, &err);
    assert_ok(opened != NULL, err);
}

static void reference_names_every_key(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf text = { 0 };
    config_write_reference(&text);
    static const char *const names[] = {
        "`slm.max_context_size`", "`webhook.auth.token`", "`server.credentials[].token`",
        "`filters[].conditions`", "`DATABASE_URL`",       "`KUBECONFIG`"
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strstr(text.ptr, names[i]))
            fail_msg("%s is missing", names[i]);
}

static void one_value_can_be_asked_for(void **state)
{
    (void)state;
    AUTO(config) struct config *config = load_example();
    AUTO(text)
    char *size = config_value_text(config, "server.max_body_size"),
         *key = config_value_text(config, "slm.api_key");
    assert_string_equal(size, "2Mi");
    assert_string_equal(key, "***");
    assert_null(config_value_text(config, "no.such"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_secret_is_shown),
        cmocka_unit_test(shown_configuration_is_yaml_that_says_the_same),
        cmocka_unit_test(sample_is_valid_with_and_without_its_comment_signs),
        cmocka_unit_test(reference_names_every_key),
        cmocka_unit_test(one_value_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
