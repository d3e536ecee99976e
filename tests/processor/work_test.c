#include "tests/processor/fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define LABELS "\"alertname\":\"A\",\"namespace\":\"shop\",\"deployment\":\"web\""

struct log {
    int first, second;
    const char *end_at; /* the step that ends the work, or fails */
    enum error_code code;
    struct processor_work seen; /* its memory has gone since */
    char name[64];
    struct pipeline *pipeline;
    bool lose_lease;
};

static bool first(struct processor_work *work, void *context, struct error **err)
{
    struct log *log = context;
    log->first++;
    log->seen = *work;
    snprintf(log->name, sizeof log->name, STR_FMT, STR_ARG(work->incident.target.name));
    assert_true(work->deadline_us > clock_mono_us());
    assert_string_equal(work->trace_id, "0123456789abcdef0123456789abcdef");
    if (log->end_at && strcmp(log->end_at, "fail") == 0)
        return error_set(err, log->code, "no answer");
    work->done = log->end_at != NULL;
    return true;
}

static bool second(struct processor_work *work, void *context, struct error **err)
{
    struct log *log = context;
    log->second++;
    if (log->lose_lease)
        fixture_advance(log->pipeline->store, 31 * 1000);
    struct job job;
    bool found = false;
    if (log->lose_lease)
        assert_ok(job_claim(work->store, work->arena, JOB_INCIDENT, "other", 30000, &job, &found, err), *err);
    AUTO(tx) struct tx *tx = tx_begin(work->store, TX_WRITE, err);
    return tx && processor_work_check(tx, work, err) && tx_commit(STEAL(tx), err);
}

static const struct processor_step two_steps[] = { { "first", first }, { "second", second }, { 0 } };

static struct log start(struct pipeline *p, struct log *log)
{
    log->pipeline = p;
    pipeline_configure(p, NULL, &(struct processor_steps){ .steps = two_steps, .context = log });
    pipeline_alert(p, LABELS, 10, 0);
    return *log;
}

static const char *work_state(struct pipeline *p)
{
    return arena_text(p->store->arena, pipeline_incidents(p, &(struct incident_query){ 0 }).items[0].work);
}

static void steps_run_in_order_once_an_incident(void **state)
{
    struct pipeline *p = *state;
    struct log log = { 0 };
    start(p, &log);
    assert_true(pipeline_work(p));
    assert_false(pipeline_work(p));
    assert_int_equal(log.first, 1);
    assert_int_equal(log.second, 1);
    assert_int_equal(log.seen.alerts.count, 1);
    assert_int_equal(log.seen.attempt, 1);
    assert_string_equal(work_state(p), "done");
}

static void a_step_may_end_the_work(void **state)
{
    struct pipeline *p = *state;
    struct log log = { .end_at = "first" };
    start(p, &log);
    assert_true(pipeline_work(p));
    assert_int_equal(log.second, 0);
    assert_string_equal(work_state(p), "done");
}

static void what_may_pass_is_tried_again_later(void **state)
{
    struct pipeline *p = *state;
    struct log log = { .end_at = "fail", .code = ERROR_UNAVAILABLE };
    start(p, &log);
    assert_true(pipeline_work(p));
    assert_string_equal(work_state(p), "waiting");
    assert_false(pipeline_work(p));
    fixture_advance(p->store, 5000);
    assert_true(pipeline_work(p));
    assert_int_equal(log.seen.attempt, 2);
}

static void what_never_will_ends_as_failed(void **state)
{
    struct pipeline *p = *state;
    struct log log = { .end_at = "fail", .code = ERROR_INVALID };
    start(p, &log);
    assert_true(pipeline_work(p));
    assert_string_equal(work_state(p), "failed");
    fixture_advance(p->store, 3600 * 1000);
    assert_false(pipeline_work(p));
}

static void resolved_before_its_turn_is_not_worked_on(void **state)
{
    struct pipeline *p = *state;
    struct log log = { 0 };
    start(p, &log);
    pipeline_alert(p, LABELS, 10, 20);
    assert_true(pipeline_work(p));
    assert_int_equal(log.first, 0);
    assert_string_equal(work_state(p), "resolved");
}

static void a_worker_that_lost_its_lease_changes_nothing(void **state)
{
    struct pipeline *p = *state;
    struct log log = { .lose_lease = true };
    start(p, &log);
    AUTO(arena) struct arena *arena = arena_new(4096);
    bool did;
    assert_fails(work_once(p->processor, arena, "worker", &did, &p->err), p->err, ERROR_CONFLICT,
                 "another worker's");
    assert_string_equal(work_state(p), "working"); /* the other's */
}

static void the_work_on_an_incident_has_the_trace_that_opened_it(void **state)
{
    struct pipeline *p = *state;
    struct log log = { 0 };
    start(p, &log);
    p->trace_id = "22222222222222222222222222222222";
    pipeline_alert(p, LABELS ",\"severity\":\"critical\"", 11, 0); /* another alert of the same incident */
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).items[0].alerts, 2);
    assert_true(pipeline_work(p)); /* first() looks at the trace */
}

static void critical_incidents_are_worked_on_first(void **state)
{
    struct pipeline *p = *state;
    struct log log = { 0 };
    start(p, &log);
    pipeline_alert(
        p, "\"alertname\":\"B\",\"namespace\":\"shop\",\"deployment\":\"api\",\"severity\":\"critical\"", 11,
        0);
    assert_true(pipeline_work(p));
    assert_string_equal(log.name, "api");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipeline_setup, pipeline_teardown)
    const struct CMUnitTest tests[] = {
        TEST(steps_run_in_order_once_an_incident),
        TEST(a_step_may_end_the_work),
        TEST(what_may_pass_is_tried_again_later),
        TEST(what_never_will_ends_as_failed),
        TEST(resolved_before_its_turn_is_not_worked_on),
        TEST(a_worker_that_lost_its_lease_changes_nothing),
        TEST(the_work_on_an_incident_has_the_trace_that_opened_it),
        TEST(critical_incidents_are_worked_on_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
