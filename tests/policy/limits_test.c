#include "policy/policy.h"

#include "tests/store/fixture.h"
#include "tests/test.h"

static const struct policy_limits limits = { .cooldown_ms = 300000, .max_concurrent = 2 };

static struct execution row(const char *action, const char *name, const char *key)
{
    return (struct execution){ .state = EXECUTION_APPROVED,
                               .action = action,
                               .parameters = "{}",
                               .cluster = "",
                               .namespace = "shop",
                               .kind = "Deployment",
                               .name = name,
                               .dry_run = "off",
                               .idempotency_key = key,
                               .requested_by = "test",
                               .affected = 2 };
}

/* As the executor does: book, and begin, in one transaction. Returns why not, or NULL. */
static const char *begin(struct fixture *f, const struct policy *policy, struct execution *e)
{
    bool inserted;
    enum action action;
    const char *why = NULL;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && execution_insert(tx, e, "worker", 60000, &inserted, &f->err), f->err);
    assert_true(inserted && action_parse(str_of(e->action), &action));
    assert_ok(policy_reserve(policy, tx, f->arena, &limits, e, action, &why, &f->err), f->err);
    if (!why)
        assert_ok(execution_enter(tx, e, EXECUTION_EXECUTING, 60000, &f->err), f->err);
    assert_ok(tx_commit(STEAL(tx), &f->err), f->err);
    return why;
}

static void finish(struct fixture *f, struct execution *e)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && execution_enter(tx, e, EXECUTION_COMPLETED, 0, &f->err), f->err);
    assert_ok(tx_commit(STEAL(tx), &f->err), f->err);
}

static void a_resource_rests_between_two_runs_of_an_action_also_after_a_restart(void **state)
{
    struct fixture *f = *state;
    AUTO(policy) struct policy *policy = policy_open(NULL, NULL);
    struct execution first = row("restart_daemonset", "web", "1"),
                     second = row("restart_daemonset", "web", "2"),
                     third = row("restart_daemonset", "web", "3");
    assert_null(begin(f, policy, &first));
    finish(f, &first);
    fixture_reopen(f);
    const char *why = begin(f, policy, &second);
    assert_non_null(why);
    assert_string_equal(why, "cooldown: restart_daemonset of this resource again in 5m");
    clock_advance(&f->clock, 300001);
    assert_null(begin(f, policy, &third));
}

static void only_so_many_run_at_a_time_and_one_on_a_resource(void **state)
{
    struct fixture *f = *state;
    AUTO(policy) struct policy *policy = policy_open(NULL, NULL);
    struct execution a = row("scale_deployment", "a", "1"), again = row("rollback_deployment", "a", "2"),
                     b = row("scale_deployment", "b", "3"), c = row("scale_deployment", "c", "4");
    assert_null(begin(f, policy, &a));
    assert_non_null(strstr(begin(f, policy, &again), "works on this resource now"));
    assert_null(begin(f, policy, &b));
    assert_non_null(strstr(begin(f, policy, &c), "actions.max_concurrent is 2"));
}

static void a_budget_of_replicas_counts_what_was_touched(void **state)
{
    struct fixture *f = *state;
    AUTO(policy)
    struct policy *policy = policy_parse(
        "p", STR("version: 1\nlimits: [ { name: few, per: namespace, replicas: 5, within: 1h } ]\n"), NULL);
    struct execution a = row("scale_deployment", "a", "1"), b = row("scale_deployment", "b", "2"),
                     c = row("scale_deployment", "c", "3"), d = row("scale_deployment", "d", "4");
    assert_null(begin(f, policy, &a));
    finish(f, &a); /* its row was saved with 2 replicas */
    assert_null(begin(f, policy, &b));
    finish(f, &b);
    assert_string_equal(begin(f, policy, &c),
                        "limit few: 4 replicas touched within 1h, 2 more would be over the budget of 5");
    clock_advance(&f->clock, 3600001);
    assert_null(begin(f, policy, &d));
}

static void the_switch_stops_what_writes_until_it_is_resumed(void **state)
{
    struct fixture *f = *state;
    AUTO(policy) struct policy *policy = policy_open(NULL, NULL);
    struct execution a = row("scale_deployment", "a", "1"), look = row("collect_diagnostics", "a", "2"),
                     b = row("scale_deployment", "a", "3");
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(policy_stop(tx, "ann", "a bad day", &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
    assert_string_equal(begin(f, policy, &a),
                        "executions are stopped by ann: a bad day (`executions resume`)");
    assert_null(begin(f, policy, &look));
    finish(f, &look);
    tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(policy_resume(tx, "ann", &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
    assert_null(begin(f, policy, &b));
}

static void a_state_moves_only_along_its_ways_and_only_by_who_holds_it(void **state)
{
    struct fixture *f = *state;
    struct execution a = row("scale_deployment", "a", "1");
    bool inserted, taken;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(execution_insert(tx, &a, "one", 1000, &inserted, &f->err), f->err);
    assert_fails(execution_enter(tx, &a, EXECUTION_COMPLETED, 0, &f->err), f->err, ERROR_CONFLICT,
                 "is approved and cannot become completed");
    assert_ok(execution_enter(tx, &a, EXECUTION_EXECUTING, 1000, &f->err) && tx_commit(STEAL(tx), &f->err),
              f->err);
    clock_advance(&f->clock, 2000);
    struct execution other;
    tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(execution_take(tx, f->arena, a.id, "two", 1000, &other, &taken, &f->err), f->err);
    assert_true(taken);
    assert_fails(execution_enter(tx, &a, EXECUTION_COMPLETED, 0, &f->err), f->err, ERROR_CONFLICT,
                 "another worker's");
    assert_ok(execution_enter(tx, &other, EXECUTION_COMPLETED, 0, &f->err), f->err);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(a_resource_rests_between_two_runs_of_an_action_also_after_a_restart),
        WITH_STORE(only_so_many_run_at_a_time_and_one_on_a_resource),
        WITH_STORE(a_budget_of_replicas_counts_what_was_touched),
        WITH_STORE(the_switch_stops_what_writes_until_it_is_resumed),
        WITH_STORE(a_state_moves_only_along_its_ways_and_only_by_who_holds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
