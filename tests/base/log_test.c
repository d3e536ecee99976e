#include "tests/test.h"

static void keep(struct str line, void *context)
{
    strbuf_add(context, line);
}

static void json_line_holds_sentence_fields_and_trace(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf out = { 0 };
    struct clock_fake fake = { .utc_ms = 0 };
    clock_replace(&fake);
    log_configure(LOG_INFO, LOG_FORMAT_JSON);
    log_replace_sink(keep, &out);
    log_set_trace("0af7651916cd43dd8448eb211c80319c");
    log_warn("execution refused", KV("alert", "a\"b\x01\xff"), KV("absent", NULL), KV_INT("left", -3),
             KV_BOOL("dry", true), KV_NUM("p", 0.25));
    log_debug("not shown");
    log_set_trace(NULL);
    log_replace_sink(NULL, NULL);
    clock_replace(NULL);
    assert_str_equal(
        strbuf_str(&out),
        STR("{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"warn\",\"message\":\"execution refused\","
            "\"alert\":\"a\\\"b\\u0001\xef\xbf\xbd\",\"left\":-3,\"dry\":true,\"p\":0.25,"
            "\"trace\":\"0af7651916cd43dd8448eb211c80319c\"}\n"));
}

static void level_names_are_read(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse(STR("WARNING"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse(STR("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse(STR("loud"), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_line_holds_sentence_fields_and_trace),
        cmocka_unit_test(level_names_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
