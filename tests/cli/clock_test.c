/* The wall clock of a running server is set back an hour, and forward again. $CLOCK_SHIFT_LIBRARY moves it. */
#include "tests/cli/caller.h"

static void set_clock(const struct served *s, const char *seconds)
{
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/shift", s->folder);
    assert_ok(file_replace(path, str_of(seconds), 0600, &err), err);
}

static void take_clock(const struct served *s)
{
    char path[128];
    snprintf(path, sizeof path, "%s/shift", s->folder);
    setenv("CLOCK_SHIFT", path, 1);
    setenv("LD_PRELOAD", getenv("CLOCK_SHIFT_LIBRARY"), 1);
}

static int start(void **state)
{
    struct served *s = served_prepare("", "");
    set_clock(s, "0");
    start_program_after(s, take_clock);
    wait_ready(s);
    *state = s;
    return 0;
}

static void post_from_to(const struct served *s, int from, int to)
{
    for (int i = from; i < to; i++) {
        AUTO(text) char *name = xasprintf("Clock%d", i);
        assert_int_equal(post_alert(s, name, NULL), 200);
    }
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* What the server takes for the time, in UTC milliseconds. */
static int64_t time_of_server(const struct served *s)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    int64_t now = 0;
    assert_int_equal(ask(s->health, NULL, "/health", &body), 200);
    const char *at = strstr(body.ptr, "\"timestamp\":\"");
    assert_non_null(at);
    at += strlen("\"timestamp\":\"");
    assert_true(clock_parse((struct str){ at, strcspn(at, "\"") }, &now));
    return now;
}

static void clock_set_back_an_hour_neither_loses_nor_doubles_anything(void **state)
{
    const struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    post_from_to(s, 0, 5);
    wait_for_alerts(s, "Clock", 5);
    sleep(1);
    wait_for_metric(s, "clock_steps_total", 0);
    set_clock(s, "-3600");
    assert_true(time_of_server(s) < clock_utc_ms() - 3500 * 1000);
    post_from_to(s, 3, 10); /* two of them again */
    wait_for_alerts(s, "Clock", 10);
    wait_for_metric(s, "clock_steps_total", 1);
    assert_true(log_holds(s, "the clock was set"));
    assert_int_equal(ask(s->webhook, NULL, "/api/v1/alerts?limit=100", &body), 200);
    assert_int_equal(count_of(body.ptr, "\"alertname\":\"Clock4\""), 1);
    works_as_before(s);
}

static void clock_set_forward_again_ends_no_alert(void **state)
{
    const struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    set_clock(s, "0");
    post_from_to(s, 10, 12);
    wait_for_alerts(s, "Clock", 12);
    wait_for_metric(s, "clock_steps_total", 2);
    assert_int_equal(metric(s, "inbox_alerts"), 0);
    assert_true(metric(s, "alerts_expired_total") <= 0);
    works_as_before(s);
}

int main(void)
{
    unsetenv("DATABASE_URL");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_set_back_an_hour_neither_loses_nor_doubles_anything),
        cmocka_unit_test(clock_set_forward_again_ends_no_alert),
    };
    return cmocka_run_group_tests(tests, start, served_stop);
}
