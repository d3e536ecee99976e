#include "tests/config/fixture.h"

static unsigned changes;
static int64_t seen_before, seen_now;

static void remember(const struct config *before, const struct config *now, void *context)
{
    assert_string_equal(context, "mine");
    changes++;
    seen_before = before->slm.timeout_ms;
    seen_now = now->slm.timeout_ms;
}

static struct config_live *start(const char *yaml)
{
    struct error *err = NULL;
    struct config *config = fixture_load(yaml, NULL, NULL, &err);
    assert_ok(config != NULL, err);
    return config_live_new_take(config, &(struct config_options){ .path = fixture_path });
}

static void reload_swaps_and_tells_listeners(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(config_live) struct config_live *live = start("slm: { timeout: 1s }");
    const struct config *held = config_live_hold(live);
    config_live_listen(live, remember, (void *)"mine");
    fixture_write(fixture_path, "slm: { timeout: 2s }");
    assert_ok(config_live_reload(live, &err), err);
    assert_int_equal(held->slm.timeout_ms, 1000);
    const struct config *now = config_live_hold(live);
    assert_int_equal(now->slm.timeout_ms, 2000);
    assert_int_equal(changes, 1);
    assert_int_equal(seen_before, 1000);
    assert_int_equal(seen_now, 2000);
    config_live_release(live, held);
    config_live_release(live, now);
}

static void bad_file_leaves_the_old_configuration(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(config_live) struct config_live *live = start("slm: { timeout: 1s }");
    fixture_write(fixture_path, "slm: { timeout: never }");
    assert_fails(config_live_reload(live, &err), err, ERROR_INVALID, "slm.timeout");
    const struct config *now = config_live_hold(live);
    assert_int_equal(now->slm.timeout_ms, 1000);
    config_live_release(live, now);
}

static char last_line[1024];
static void take_line(struct str line, void *context)
{
    (void)context;
    snprintf(last_line, sizeof last_line, STR_FMT, STR_ARG(line));
}

static void key_that_needs_a_restart_is_said(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(config_live) struct config_live *live = start("server: { threads: 2 }");
    fixture_write(fixture_path, "server: { threads: 3 }");
    log_replace_sink(take_line, NULL);
    bool ok = config_live_reload(live, &err);
    log_replace_sink(NULL, NULL);
    assert_ok(ok, err);
    assert_non_null(strstr(last_line, "server.threads"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reload_swaps_and_tells_listeners),
        cmocka_unit_test(bad_file_leaves_the_old_configuration),
        cmocka_unit_test(key_that_needs_a_restart_is_said),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
