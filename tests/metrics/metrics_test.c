#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "metrics/metrics.h"

static int reset(void **state)
{
    (void)state;
    metrics_reset();
    return 0;
}

static void assert_line(enum metrics_format format, const char *line)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    metrics_write(format, &out);
    AUTO(text) char *wanted = xasprintf("\n%s\n", line);
    if (!strstr(out.ptr, wanted))
        fail_msg("no line %s in:\n%s", line, out.ptr);
}

static void counters_gauges_and_histograms_are_shown(void **state)
{
    (void)state;
    metric_inc(METRIC_ALERTS_RECEIVED, "critical", "shop");
    metric_add(METRIC_ALERTS_RECEIVED, 2, "critical", "shop");
    metric_inc(METRIC_ALERTS_RECEIVED, "Warning", "a\"b\\c\nd");
    metric_set(METRIC_INBOX_ALERTS, 7);
    metric_observe(METRIC_STAGE_DURATION, 0.003, "decide");
    metric_observe(METRIC_STAGE_DURATION, 100, "decide");
    assert_line(METRICS_TEXT, "alerts_received_total{severity=\"critical\",namespace=\"shop\"} 3");
    assert_line(METRICS_TEXT, "alerts_received_total{severity=\"warning\",namespace=\"a\\\"b\\\\c\\nd\"} 1");
    assert_line(METRICS_TEXT, "inbox_alerts 7");
    assert_line(METRICS_TEXT, "pipeline_stage_duration_seconds_bucket{stage=\"decide\",le=\"0.0025\"} 0");
    assert_line(METRICS_TEXT, "pipeline_stage_duration_seconds_bucket{stage=\"decide\",le=\"0.005\"} 1");
    assert_line(METRICS_TEXT, "pipeline_stage_duration_seconds_bucket{stage=\"decide\",le=\"+Inf\"} 2");
    assert_line(METRICS_TEXT, "pipeline_stage_duration_seconds_sum{stage=\"decide\"} 100.003");
    assert_line(METRICS_TEXT, "pipeline_stage_duration_seconds_count{stage=\"decide\"} 2");
    assert_line(METRICS_TEXT, "# TYPE alerts_received_total counter");
    assert_line(METRICS_OPENMETRICS, "# TYPE alerts_received counter");
    assert_line(METRICS_OPENMETRICS, "inbox_alerts 7");
    assert_true(metric_value(METRIC_ALERTS_RECEIVED, "critical", "shop") == 3);
    assert_true(metric_total(METRIC_ALERTS_RECEIVED) == 4);
}

static void a_bucket_names_the_trace_of_its_last_observation(void **state)
{
    (void)state;
    log_set_trace("0af7651916cd43dd8448eb211c80319c");
    metric_observe(METRIC_STAGE_DURATION, 0.003, "decide");
    log_set_trace("");
    metric_observe(METRIC_STAGE_DURATION, 0.004, "decide");
    metric_observe(METRIC_STAGE_DURATION, 100, "decide");
    AUTO(strbuf) struct strbuf text = { 0 }, open = { 0 };
    metrics_write(METRICS_TEXT, &text);
    metrics_write(METRICS_OPENMETRICS, &open);
    assert_null(strstr(text.ptr, "trace_id"));
    assert_non_null(strstr(open.ptr,
                           "pipeline_stage_duration_seconds_bucket{stage=\"decide\",le=\"0.005\"} 2 # "
                           "{trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.003 1"));
    assert_non_null(strstr(open.ptr, "{stage=\"decide\",le=\"0.01\"} 2\n"));
    assert_non_null(strstr(open.ptr, "{stage=\"decide\",le=\"+Inf\"} 3\n"));
}

static void label_values_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        char namespace[32];
        snprintf(namespace, sizeof namespace, "ns-%d", i);
        metric_inc(METRIC_ALERTS_RECEIVED, i % 2 ? "critical" : "made-up", namespace);
    }
    AUTO(strbuf) struct strbuf out = { 0 };
    metrics_write(METRICS_TEXT, &out);
    assert_non_null(strstr(out.ptr, "{severity=\"other\",namespace=\"ns-0\"} 1"));
    assert_non_null(strstr(out.ptr, "{severity=\"critical\",namespace=\"ns-199\"} 1"));
    assert_null(strstr(out.ptr, "ns-200\""));
    assert_non_null(strstr(out.ptr, "{severity=\"critical\",namespace=\"other\"} 2400"));
}

static void format_is_negotiated(void **state)
{
    (void)state;
    static const struct {
        struct str accept;
        enum metrics_format format;
    } cases[] = {
        { STR("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"),
          METRICS_OPENMETRICS },
        { STR("text/plain;q=0.9, application/openmetrics-text;q=0.1"), METRICS_TEXT },
        { STR("application/openmetrics-text; version=1.0.0; charset=utf-8"), METRICS_OPENMETRICS },
        { STR(""), METRICS_TEXT },
        { STR("*/*"), METRICS_TEXT },
        { STR("application/json"), METRICS_TEXT },
        { STR("application/openmetrics-text;q=0"), METRICS_TEXT },
        { STR(";;;,,,q=;q=x"), METRICS_TEXT },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(metrics_negotiate(cases[i].accept), cases[i].format);
    assert_true(metrics_accepts_gzip(STR("deflate, gzip;q=0.5")));
    assert_false(metrics_accepts_gzip(STR("gzip;q=0")));
    assert_false(metrics_accepts_gzip(STR("br")));
}

static void gzip_gives_the_same_text_back(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf text = { 0 }, packed = { 0 };
    metrics_write(METRICS_TEXT, &text);
    assert_true(metrics_gzip(strbuf_str(&text), &packed));
    assert_true(packed.len < text.len);
    char *back = xmalloc(text.len + 1);
    z_stream stream = { .next_in = (Bytef *)packed.ptr,
                        .avail_in = (uInt)packed.len,
                        .next_out = (Bytef *)back,
                        .avail_out = (uInt)text.len + 1 };
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_str_equal(((struct str){ back, stream.total_out }), strbuf_str(&text));
    inflateEnd(&stream);
    free(back);
}

/* Prometheus' own reader and its lint, on everything that we can say. */
static void promtool_has_nothing_to_say(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        skip();
        return;
    }
    metric_inc(METRIC_ALERTS_RECEIVED, "critical", "shop \"x\" \\ \xff");
    for (size_t id = 0; id < METRIC_COUNT; id++)
        metric_add_labels((enum metric_id)id, 0, METRIC_LABELS("a", "b", "c"));
    AUTO(strbuf) struct strbuf out = { 0 };
    metrics_write(METRICS_TEXT, &out);
    char path[] = "/tmp/metrics_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, out.ptr, out.len) == (ssize_t)out.len);
    close(fd);
    AUTO(text)
    char *command = xasprintf(
        "said=$(promtool check metrics <%s 2>&1) && test -z \"$said\" || { echo \"$said\"; false; }", path);
    int status = system(command);
    unlink(path);
    assert_int_equal(status, 0);
}

static void collect(void *context)
{
    metric_set(METRIC_INBOX_ALERTS, *(int *)context);
}

static void gauges_can_be_asked_for_at_every_scrape(void **state)
{
    (void)state;
    int value = 5;
    metrics_on_collect(collect, &value);
    assert_line(METRICS_TEXT, "inbox_alerts 5");
    value = 6;
    assert_line(METRICS_TEXT, "inbox_alerts 6");
    metrics_off_collect(collect, &value);
    value = 7;
    assert_line(METRICS_TEXT, "inbox_alerts 6");
}

static void process_tells_of_itself(void **state)
{
    (void)state;
    AUTO(strbuf) struct strbuf out = { 0 };
    metrics_write(METRICS_TEXT, &out);
    assert_true(metric_value(METRIC_PROCESS_MEMORY) > 100000);
    assert_true(metric_value(METRIC_PROCESS_FDS) >= 3);
    double age = (double)clock_utc_ms() / 1000 - metric_value(METRIC_PROCESS_START);
    assert_true(age > -2 && age < 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counters_gauges_and_histograms_are_shown, reset),
        cmocka_unit_test_setup(a_bucket_names_the_trace_of_its_last_observation, reset),
        cmocka_unit_test_setup(label_values_are_bounded, reset),
        cmocka_unit_test_setup(format_is_negotiated, reset),
        cmocka_unit_test_setup(gzip_gives_the_same_text_back, reset),
        cmocka_unit_test_setup(promtool_has_nothing_to_say, reset),
        cmocka_unit_test_setup(gauges_can_be_asked_for_at_every_scrape, reset),
        cmocka_unit_test_setup(process_tells_of_itself, reset),
    };
    return cmocka_run_group_tests(tests, NULL, reset);
}
