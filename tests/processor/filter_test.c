#include "tests/processor/fixture.h"

static void patterns_have_stars_anywhere(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *value;
        bool matches;
    } cases[] = {
        { "*", "x", true },          { "*", "", true },          { "", "", true },
        { "", "x", false },          { "abc", "abc", true },     { "abc", "abcd", false },
        { "pre*", "prefix", true },  { "pre*", "xpre", false },  { "*suf", "a-suf", true },
        { "*suf", "suffix", false }, { "a*b", "ab", true },      { "a*b", "a--b", true },
        { "a*b", "a--bc", false },   { "*a*b*", "xaybz", true }, { "a*b*c", "abcabc", true },
        { "a*b*c", "acb", false },   { "**", "x", true },        { "A", "a", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (processor_pattern_matches(str_of(cases[i].pattern), str_of(cases[i].value)) != cases[i].matches)
            fail_msg("\"%s\" on \"%s\"", cases[i].pattern, cases[i].value);
}

static void hostile_patterns_take_no_time(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf pattern = { 0 };
    AUTO(strbuf) struct strbuf value = { 0 };
    for (int i = 0; i < 2000; i++)
        strbuf_add_text(&pattern, "a*");
    strbuf_add_char(&pattern, 'b');
    for (int i = 0; i < 20000; i++)
        strbuf_add_char(&value, 'a');
    assert_false(processor_pattern_matches(strbuf_str(&pattern), strbuf_str(&value)));
}

static bool accepts(struct pipeline *p, const char *yaml, const char *labels)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct alert_payload payload;
    pipeline_configure(p, yaml, NULL);
    const char *body = arena_printf(arena, "{\"labels\":{%s},\"annotations\":{\"team\":\"db\"}}", labels);
    assert_ok(alert_parse(arena, str_of(body), &payload, &p->err), p->err);
    const struct config *config = config_live_hold(p->config);
    bool yes = processor_filters_accept(&config->filters, payload.alerts);
    config_live_release(p->config, config);
    return yes;
}

static void filters_are_alternatives_of_conditions_that_all_hold(void **state)
{
    struct pipeline *p = *state;
    static const char yaml[] =
        "filters:\n"
        "  - name: a\n    conditions: { severity: [critical, warning], Namespace: ['prod*', stage] }\n"
        "  - name: b\n    conditions: { team: [db], tier: ['*'] }\n";
    assert_true(accepts(p, "{}\n", ""));
    assert_true(accepts(p, yaml, "\"severity\":\"critical\",\"namespace\":\"prod-1\""));
    assert_true(accepts(p, yaml, "\"severity\":\"warning\",\"namespace\":\"stage\""));
    assert_false(accepts(p, yaml, "\"severity\":\"info\",\"namespace\":\"stage\""));
    assert_false(accepts(p, yaml, "\"severity\":\"critical\",\"namespace\":\"x\""));
    assert_true(accepts(p, yaml, "\"tier\":\"1\""));
    assert_false(accepts(p, yaml, "\"x\":\"1\"")); /* a condition on what is absent is not met */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipeline_setup, pipeline_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_have_stars_anywhere),
        cmocka_unit_test(hostile_patterns_take_no_time),
        TEST(filters_are_alternatives_of_conditions_that_all_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
