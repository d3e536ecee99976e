/* What the table of operations says of itself, and what is refused before any cluster is asked. */
#include "executor/executor_internal.h"

#include "tests/store/fixture.h"
#include "tests/test.h"

static void what_the_catalogue_calls_reversible_has_an_inverse(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++)
        if (actions[i].reversible != (operations[i].invert != NULL))
            fail_msg("%s: the catalogue says %sreversible", actions[i].name,
                     actions[i].reversible ? "" : "not ");
}

static void every_action_says_its_rights_its_proof_and_its_way_back(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++) {
        const struct operation *operation = &operations[i];
        if (!operation->plan || !operation->apply || !operation->rights || !operation->rights->resource ||
            !operation->proof || !operation->undo)
            fail_msg("%s: something is missing", actions[i].name);
        if (!operation->invert && strncmp(operation->undo, "none", 4) != 0)
            fail_msg("%s: has no inverse, and the manual says \"%s\"", actions[i].name, operation->undo);
    }
}

static void the_manual_has_a_row_for_each_action(void **state)
{
    AUTO(strbuf) struct strbuf page = { 0 };
    (void)state;
    executor_write_manual(&page);
    for (int i = 0; i < ACTION_COUNT; i++) {
        AUTO(text) char *row = xasprintf("\n| `%s` |", actions[i].name);
        if (!strstr(page.ptr, row))
            fail_msg("%s is not in the manual", actions[i].name);
    }
}

static struct execution plan(struct fixture *f, const char *parameters)
{
    AUTO(config)
    struct config *config = config_load(
        &(struct config_options){ .path = "/dev/null", .environment = (char *[]){ NULL } }, &f->err);
    assert_ok(config != NULL, f->err);
    struct executor_options options = { .store = f->store, .fixed = config };
    AUTO(executor) struct executor *executor = executor_open(&options, &f->err);
    assert_ok(executor != NULL, f->err);
    struct execution_request request = { .action = ACTION_UPDATE_NETWORK_POLICY,
                                         .parameters = parameters,
                                         .kind = "NetworkPolicy",
                                         .namespace = "shop",
                                         .name = "web",
                                         .confidence = 1,
                                         .mode = EXECUTOR_PLAN };
    struct execution row = { 0 };
    assert_ok(executor_execute(executor, f->arena, &request, &row, NULL, &f->err), f->err);
    return row;
}

static void to_allow_everything_is_refused_without_asking_a_cluster(void **state)
{
    static const struct {
        const char *parameters;
        enum execution_state state;
    } cases[] = {
        { "{}", EXECUTION_REFUSED }, /* allow_egress is what an absent action_type means */
        { "{\"action_type\":\"allow_egress\"}", EXECUTION_REFUSED },
        { "{\"action_type\":\"allow_ingress\"}", EXECUTION_REFUSED },
        { "{\"action_type\":\"allow_egress\",\"port\":443}", EXECUTION_COMPLETED },
        { "{\"action_type\":\"allow_ingress\",\"peer_namespace\":\"shop\"}", EXECUTION_COMPLETED },
        { "{\"action_type\":\"deny_egress\"}", EXECUTION_COMPLETED },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct execution row = plan(*state, cases[i].parameters);
        if (row.state != cases[i].state)
            fail_msg("%s: %s", cases[i].parameters, execution_state_names[row.state]);
        if (row.state == EXECUTION_REFUSED && !strstr(row.error, "say port=NUMBER"))
            fail_msg("%s: %s", cases[i].parameters, row.error);
    }
}

/* ---- what a reader sees meanwhile */

struct watcher {
    struct store *store;
    bool stop; /* atomic */
    unsigned seen;
    char bad[256];
};

static void look_at(struct watcher *watcher, const struct execution *row)
{
    bool judged = row->details && strstr(row->details, "\"verdict\":{");
    if (row->state == EXECUTION_PENDING || (!judged && !row->error))
        snprintf(watcher->bad, sizeof watcher->bad, "%s %s with the details %.150s", row->id,
                 execution_state_names[row->state], row->details);
    watcher->seen++;
}

static void *read_executions(void *context)
{
    struct watcher *watcher = context;
    while (!__atomic_load_n(&watcher->stop, __ATOMIC_ACQUIRE) && !watcher->bad[0]) {
        AUTO(arena) struct arena *arena = arena_new(16 * 1024);
        AUTO(tx) struct tx *tx = tx_begin(watcher->store, TX_READ, NULL);
        struct executions rows = { 0 };
        if (tx && execution_list(tx, arena, &(struct execution_query){ .limit = 2 }, &rows, NULL))
            for (size_t i = 0; i < rows.count; i++)
                look_at(watcher, &rows.items[i]);
    }
    return NULL;
}

/* Nobody is asked here, so nobody may read of an execution that waits; nor of one before there is a verdict. */
static void an_execution_is_there_once_it_is_judged(void **state)
{
    struct fixture *f = *state;
    struct watcher watcher = { .store = f->store };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_executions, &watcher), 0);
    for (int i = 0; i < 200 && !__atomic_load_n(&watcher.bad[0], __ATOMIC_RELAXED); i++)
        plan(f, i % 2 ? "{\"action_type\":\"deny_egress\"}" : "{}");
    __atomic_store_n(&watcher.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    if (watcher.bad[0])
        fail_msg("%s", watcher.bad);
    assert_true(watcher.seen > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_catalogue_calls_reversible_has_an_inverse),
        cmocka_unit_test(every_action_says_its_rights_its_proof_and_its_way_back),
        cmocka_unit_test(the_manual_has_a_row_for_each_action),
        cmocka_unit_test_setup_teardown(to_allow_everything_is_refused_without_asking_a_cluster,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_execution_is_there_once_it_is_judged, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
