#include "tests/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "slm/scenario.h"

static char path[] = "/tmp/scenario_test.XXXXXX";

static bool read_text(struct arena *arena, const char *text, struct scenario_list *list, struct error **err)
{
    assert_ok(file_replace(path, str_of(text), 0600, err), *err);
    return scenarios_read(arena, path, list, err);
}

static void labels_and_flags_are_read(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct error *err = NULL;
    struct scenario_list list = { 0 };
    assert_ok(
        read_text(
            arena,
            "{\"id\":\"a\",\"rule\":\"R\",\"alert\":{\"status\":\"firing\",\"labels\":{\"alertname\":\"R\"},"
            "\"annotations\":{}},\"best\":\"drain_node\",\"acceptable\":[\"drain_node\",\"cordon_node\"],"
            "\"unsafe\":[\"restart_pod\"],\"hard\":true}\n\n"
            "{\"status\":\"firing\",\"labels\":{\"alertname\":\"Bare\"},\"annotations\":{}}\n",
            &list, &err),
        err);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].best, ACTION_DRAIN_NODE);
    assert_int_equal(list.items[0].acceptable, BIT(ACTION_DRAIN_NODE) | BIT(ACTION_CORDON_NODE));
    assert_int_equal(list.items[0].unsafe, BIT(ACTION_RESTART_POD));
    assert_true(list.items[0].labelled && list.items[0].hard && !list.items[0].injection);
    assert_false(list.items[1].labelled);
    assert_str_equal(list.items[1].rule, STR("Bare"));
    free(list.items);
}

static void error_names_file_and_line(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct error *err = NULL;
    struct scenario_list list = { 0 };
    assert_fails(read_text(arena, "\n{\"labels\":", &list, &err), err, ERROR_INVALID, ":2: column");
    assert_fails(read_text(arena, "{\"alert\":{\"labels\":{\"a\":\"b\"}},\"best\":\"dance\"}", &list, &err),
                 err, ERROR_INVALID, ":1: best: \"dance\" is not an action");
    free(list.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_and_flags_are_read),
        cmocka_unit_test(error_names_file_and_line),
    };
    close(mkstemp(path));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
