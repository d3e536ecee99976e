#include "tests/processor/fixture.h"

#include <stdio.h>
#include <stdlib.h>

void pipeline_configure(struct pipeline *p, const char *yaml, const struct processor_steps *steps)
{
    const char *path = fixture_path(p->store, "config.yaml");
    static char *const environment[] = { NULL };
    if (p->processor)
        processor_free(p->processor);
    config_live_free(p->config);
    assert_ok(file_replace(path, str_of(yaml ? yaml : "{}\n"), 0600, &p->err), p->err);
    struct config_options options = { .path = path, .environment = environment };
    struct config *config = config_load(&options, &p->err);
    assert_ok(config, p->err);
    p->config = config_live_new_take(config, &options);
    p->processor = processor_new(p->store->store, p->config, steps);
}

int pipeline_setup(void **state)
{
    struct pipeline *p = xcalloc(1, sizeof *p);
    void *store = NULL;
    if (fixture_setup(&store) != 0)
        return -1;
    p->store = store;
    *state = p;
    pipeline_configure(p, NULL, NULL);
    return 0;
}

int pipeline_teardown(void **state)
{
    struct pipeline *p = *state;
    void *store = p->store;
    processor_free(p->processor);
    config_live_free(p->config);
    error_free(p->err);
    free(p);
    return fixture_teardown(&store);
}

void pipeline_deliver(struct pipeline *p, const char *alerts)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    const char *body = arena_printf(
        arena, "{\"version\":\"4\",\"receiver\":\"slm\",\"groupKey\":\"{}:{}\",\"alerts\":[%s]}", alerts);
    struct inbox_item item = { .payload = str_of(body),
                               .alerts = 1,
                               .trace_id = p->trace_id ? p->trace_id : "0123456789abcdef0123456789abcdef" };
    assert_ok(inbox_append(p->store->store, &item, &p->err), p->err);
    bool did = true;
    while (did) {
        assert_ok(intake_once(p->processor, arena, &did, &p->err), p->err);
        arena_reset(arena);
    }
}

void pipeline_alert(struct pipeline *p, const char *labels, int starts_s, int ends_s)
{
    int64_t base = INT64_C(1795000000000) - 3600 * 1000;
    char starts[CLOCK_TEXT_MAX], ends[CLOCK_TEXT_MAX];
    AUTO(text)
    char *alert =
        xasprintf("{\"status\":\"%s\",\"labels\":{%s},\"startsAt\":\"%s\",\"endsAt\":\"%s\"}",
                  ends_s ? "resolved" : "firing", labels, clock_format(base + starts_s * 1000, starts),
                  ends_s ? clock_format(base + ends_s * 1000, ends) : "0001-01-01T00:00:00Z");
    pipeline_deliver(p, alert);
}

struct alert_records pipeline_alerts(struct pipeline *p, const struct alert_query *query)
{
    struct alert_records records;
    AUTO(tx) struct tx *tx = tx_begin(p->store->store, TX_READ, &p->err);
    assert_ok(tx && alert_record_list(tx, p->store->arena, query, &records, &p->err), p->err);
    return records;
}

struct incidents pipeline_incidents(struct pipeline *p, const struct incident_query *query)
{
    struct incidents incidents;
    AUTO(tx) struct tx *tx = tx_begin(p->store->store, TX_READ, &p->err);
    assert_ok(tx && incident_list(tx, p->store->arena, query, &incidents, &p->err), p->err);
    return incidents;
}

bool pipeline_work(struct pipeline *p)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    bool did = false;
    assert_ok(work_once(p->processor, arena, "worker", &did, &p->err), p->err);
    return did;
}
