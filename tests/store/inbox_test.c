#include "tests/test.h"

#include <pthread.h>
#include <stdio.h>

#include "store/inbox.h"
#include "store/jobs.h"
#include "tests/store/fixture.h"

enum { LEASE_MS = 30 * 1000 };

static void append(struct fixture *f, const char *payload, enum severity severity)
{
    struct inbox_item item = {
        .payload = str_of(payload), .alerts = 1, .severity = severity, .trace_id = "t"
    };
    assert_ok(inbox_append(f->store, &item, &f->err), f->err);
}

static size_t claim(struct fixture *f, const char *owner, size_t max, struct inbox_claim *claims)
{
    size_t count;
    assert_ok(inbox_claim(f->store, f->arena, owner, LEASE_MS, max, claims, &count, &f->err), f->err);
    return count;
}

static bool finish(struct fixture *f, const struct inbox_claim *claim)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    return tx && inbox_finish(tx, claim, &f->err) && tx_commit(STEAL(tx), &f->err);
}

static void what_was_appended_is_claimed_once_and_is_gone_when_finished(void **state)
{
    struct fixture *f = *state;
    struct inbox_claim one, two;
    append(f, "{\"a\":\"ä\"}", SEVERITY_INFO);
    assert_int_equal(claim(f, "worker-a", 1, &one), 1);
    assert_str_equal(one.payload, STR("{\"a\":\"ä\"}"));
    assert_string_equal(one.trace_id, "t");
    assert_int_equal(claim(f, "worker-b", 1, &two), 0);
    assert_ok(finish(f, &one), f->err);
    fixture_advance(f, 10 * LEASE_MS);
    assert_int_equal(claim(f, "worker-b", 1, &two), 0);
}

static void expired_lease_is_claimed_by_another_worker_and_the_first_is_refused(void **state)
{
    struct fixture *f = *state;
    struct inbox_claim first, second;
    append(f, "{}", SEVERITY_INFO);
    assert_int_equal(claim(f, "worker-a", 1, &first), 1);
    fixture_advance(f, LEASE_MS + 1);
    assert_int_equal(claim(f, "worker-b", 1, &second), 1);
    assert_int_equal(second.fence, first.fence + 1);
    assert_fails(finish(f, &first), f->err, ERROR_CONFLICT, "another worker's");
    assert_ok(finish(f, &second), f->err);
}

static void leases_of_a_dead_server_are_free_at_once_for_the_next(void **state)
{
    struct fixture *f = *state;
    struct inbox_claim one;
    append(f, "{}", SEVERITY_INFO);
    assert_int_equal(claim(f, "worker-a", 1, &one), 1);
    if (store_is_postgres(f->store))
        return;
    fixture_reopen(f);
    assert_int_equal(inbox_waiting(f->store), 1);
    assert_int_equal(claim(f, "worker-b", 1, &one), 1);
    assert_int_equal(one.fence, 2);
}

static void critical_goes_first_and_info_does_not_wait_for_ever(void **state)
{
    struct fixture *f = *state;
    struct inbox_claim claims[4];
    append(f, "\"old info\"", SEVERITY_INFO);
    append(f, "\"warning\"", SEVERITY_WARNING);
    append(f, "\"critical\"", SEVERITY_CRITICAL);
    assert_int_equal(claim(f, "w", 2, claims), 2);
    assert_str_equal(claims[0].payload, STR("\"critical\""));
    assert_str_equal(claims[1].payload, STR("\"warning\""));
    fixture_advance(f, 11 * 60 * 1000);
    append(f, "\"new critical\"", SEVERITY_CRITICAL);
    fixture_advance(f, -11 * 60 * 1000 + LEASE_MS / 2); /* the leases stand */
    assert_int_equal(claim(f, "w", 4, claims), 2);
    assert_str_equal(claims[0].payload, STR("\"old info\""));
}

static void a_refused_payload_is_kept_aside(void **state)
{
    struct fixture *f = *state;
    static const char count[] =
        "SELECT count(*) FROM inbox_refused WHERE payload = '\"x\"' AND error = 'why'";
    const struct str sql = { count, sizeof count - 1 };
    struct inbox_claim one;
    int64_t refused = 0;
    append(f, "\"x\"", SEVERITY_INFO);
    assert_int_equal(claim(f, "w", 1, &one), 1);
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(inbox_refuse(tx, &one, "why", &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
    tx = tx_begin(f->store, TX_READ, &f->err);
    assert_ok(tx_query_int(tx, &sql, NO_VALUES, &refused, NULL, &f->err), f->err);
    assert_int_equal(refused, 1);
}

static void the_rest_of_a_truncated_payload_is_a_job_of_the_same_transaction(void **state)
{
    struct fixture *f = *state;
    struct inbox_item item = { .payload = STR("{}"),
                               .alerts = 1,
                               .trace_id = "t",
                               .rest_subject = "slm/{}:{}",
                               .rest_payload = "{\"receiver\":\"slm\"}" };
    assert_ok(inbox_append(f->store, &item, &f->err), f->err);
    struct job job;
    bool found;
    assert_ok(job_claim(f->store, f->arena, JOB_FETCH_REST, "w", LEASE_MS, &job, &found, &f->err), f->err);
    assert_true(found);
    assert_string_equal(job.payload, "{\"receiver\":\"slm\"}");
}

struct appender {
    struct store *store;
    int failed;
    pthread_t thread;
};

static void *append_many(void *context)
{
    struct appender *a = context;
    struct inbox_item item = { .payload = STR("{\"version\":\"4\"}"), .alerts = 1, .trace_id = "t" };
    for (int i = 0; i < 50; i++)
        a->failed += !inbox_append(a->store, &item, NULL);
    return NULL;
}

static void appends_of_many_threads_are_all_there(void **state)
{
    struct fixture *f = *state;
    struct appender appenders[8] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(appenders); i++) {
        appenders[i].store = f->store;
        pthread_create(&appenders[i].thread, NULL, append_many, &appenders[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(appenders); i++) {
        pthread_join(appenders[i].thread, NULL);
        assert_int_equal(appenders[i].failed, 0);
    }
    assert_int_equal(inbox_waiting(f->store), 400);
    assert_ok(inbox_recount(f->store, &f->err), f->err);
    assert_int_equal(inbox_waiting(f->store), 400);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_appended_is_claimed_once_and_is_gone_when_finished),
        TEST(expired_lease_is_claimed_by_another_worker_and_the_first_is_refused),
        TEST(leases_of_a_dead_server_are_free_at_once_for_the_next),
        TEST(critical_goes_first_and_info_does_not_wait_for_ever),
        TEST(a_refused_payload_is_kept_aside),
        TEST(the_rest_of_a_truncated_payload_is_a_job_of_the_same_transaction),
        TEST(appends_of_many_threads_are_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
