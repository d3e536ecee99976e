/* The steps on an incident, with the executor's place taken by a function that remembers what it was asked. */
#include "tests/processor/fixture.h"

#include "processor/pipeline.h"

#include <stdio.h>

struct asked {
    int count, fail; /* so many of the first executions fail in passing */
    char ids[4][ULID_LEN + 1];
};

static bool execute(const struct processor_work *work, const struct decision *decision,
                    struct pipeline_outcome *outcome, void *context, struct error **err)
{
    struct asked *asked = context;
    (void)work, (void)outcome;
    snprintf(asked->ids[asked->count++ % 4], ULID_LEN + 1, "%s", decision->id);
    return asked->count > asked->fail || error_set(err, ERROR_UNAVAILABLE, "no answer");
}

struct scene {
    struct pipeline_rooms rooms;
    struct asked asked;
    struct processor_steps steps;
};

static void open_scene(struct pipeline *p, struct scene *scene)
{
    scene->rooms = (struct pipeline_rooms){ .execute = execute, .context = &scene->asked };
    scene->steps = pipeline_steps(&scene->rooms);
    pipeline_configure(p, "slm: { provider: none }\n", &scene->steps);
    const struct config *config = config_live_hold(p->config);
    assert_ok(scene->rooms.slm = slm_open(config, &p->err), p->err);
    config_live_release(p->config, config);
    pipeline_alert(p, "\"alertname\":\"A\",\"namespace\":\"shop\",\"deployment\":\"web\"", 10, 0);
}

static int64_t decisions(struct pipeline *p)
{
    static const struct str sql = STR("SELECT count(*) FROM decisions");
    int64_t count = 0;
    AUTO(tx) struct tx *tx = tx_begin(p->store->store, TX_READ, &p->err);
    assert_ok(tx && tx_query_int(tx, &sql, NO_VALUES, &count, NULL, &p->err), p->err);
    return count;
}

static void a_second_attempt_goes_on_with_the_decision_of_the_first(void **state)
{
    struct pipeline *p = *state;
    struct scene scene = { .asked = { .fail = 2 } };
    open_scene(p, &scene);
    for (int i = 0; i < 3; i++) {
        assert_true(pipeline_work(p));
        fixture_advance(p->store, 60 * 1000);
    }
    assert_false(pipeline_work(p));
    assert_int_equal(scene.asked.count, 3);
    assert_int_equal(decisions(p), 1);
    assert_string_equal(scene.asked.ids[0], scene.asked.ids[1]);
    assert_string_equal(scene.asked.ids[0], scene.asked.ids[2]);
    slm_close(scene.rooms.slm);
}

static void work_that_is_asked_for_again_is_decided_again(void **state)
{
    struct pipeline *p = *state;
    struct scene scene = { 0 };
    open_scene(p, &scene);
    assert_true(pipeline_work(p));
    fixture_advance(p->store, 60 * 1000);
    pipeline_alert(p, "\"alertname\":\"B\",\"namespace\":\"shop\",\"deployment\":\"web\"", 20, 0);
    fixture_advance(p->store, 60 * 1000);
    assert_true(pipeline_work(p));
    assert_int_equal(decisions(p), 2);
    assert_string_not_equal(scene.asked.ids[0], scene.asked.ids[1]);
    slm_close(scene.rooms.slm);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipeline_setup, pipeline_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_second_attempt_goes_on_with_the_decision_of_the_first),
        TEST(work_that_is_asked_for_again_is_decided_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
