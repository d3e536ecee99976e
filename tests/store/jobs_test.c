#include "tests/test.h"

#include "store/jobs.h"
#include "tests/store/fixture.h"

enum { LEASE_MS = 30 * 1000 };

static void request(struct fixture *f, const char *subject, enum severity severity, int64_t due_at)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    struct job_request wanted = { .kind = "k", .subject = subject, .severity = severity, .due_at = due_at };
    assert_ok(tx && job_request(tx, &wanted, &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
}

static bool claim(struct fixture *f, const char *owner, struct job *job)
{
    bool found;
    assert_ok(job_claim(f->store, f->arena, "k", owner, LEASE_MS, job, &found, &f->err), f->err);
    return found;
}

static bool finish(struct fixture *f, const struct job *job)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    return tx && job_finish(tx, job, &f->err) && tx_commit(STEAL(tx), &f->err);
}

static void one_worker_at_a_time_has_a_subject(void **state)
{
    struct fixture *f = *state;
    struct job one, two;
    request(f, "s", SEVERITY_INFO, 0);
    assert_true(claim(f, "a", &one));
    assert_false(claim(f, "b", &two));
    request(f, "s", SEVERITY_INFO, 0);
    assert_false(claim(f, "b", &two));
    assert_ok(finish(f, &one), f->err);
    assert_true(claim(f, "b", &two)); /* it was asked for again meanwhile */
    assert_ok(finish(f, &two), f->err);
    assert_false(claim(f, "a", &one));
}

static void urgent_first_and_nothing_before_it_is_due(void **state)
{
    struct fixture *f = *state;
    struct job job;
    request(f, "info", SEVERITY_INFO, 0);
    request(f, "critical", SEVERITY_CRITICAL, 0);
    request(f, "later", SEVERITY_CRITICAL, clock_utc_ms() + 5000);
    assert_true(claim(f, "a", &job));
    assert_string_equal(job.subject, "critical");
    assert_true(claim(f, "a", &job));
    assert_string_equal(job.subject, "info");
    assert_false(claim(f, "a", &job));
    fixture_advance(f, 5000);
    assert_true(claim(f, "a", &job));
    assert_string_equal(job.subject, "later");
}

static void a_lost_lease_changes_nothing_any_more(void **state)
{
    struct fixture *f = *state;
    struct job one, two;
    request(f, "s", SEVERITY_INFO, 0);
    assert_true(claim(f, "a", &one));
    fixture_advance(f, LEASE_MS + 1);
    assert_true(claim(f, "b", &two));
    assert_int_equal(two.attempts, 2);
    assert_fails(finish(f, &one), f->err, ERROR_CONFLICT, "another worker's");
    assert_ok(finish(f, &two), f->err);
}

static void a_renewed_lease_holds_and_a_retry_comes_later(void **state)
{
    struct fixture *f = *state;
    struct job one, two;
    request(f, "s", SEVERITY_INFO, 0);
    assert_true(claim(f, "a", &one));
    fixture_advance(f, LEASE_MS - 1000);
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(job_renew(tx, &one, LEASE_MS, &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
    fixture_advance(f, 2000);
    assert_false(claim(f, "b", &two));
    tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(job_retry(tx, &one, 60000, "no answer", &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
    assert_false(claim(f, "b", &two));
    fixture_advance(f, 60001);
    assert_true(claim(f, "b", &two));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_worker_at_a_time_has_a_subject),
        TEST(urgent_first_and_nothing_before_it_is_due),
        TEST(a_lost_lease_changes_nothing_any_more),
        TEST(a_renewed_lease_holds_and_a_retry_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
