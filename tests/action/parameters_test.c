#include "tests/test.h"

#include <stdlib.h>

#include "action/action.h"

/* The canonical JSON of `given`, which the caller frees, or NULL with the error. */
static char *check(enum action action, const char *given, const struct action_bounds *narrow,
                   struct error **err)
{
    yyjson_doc *in = yyjson_read(given, strlen(given), 0);
    assert_non_null(in);
    yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *checked = action_parameters_check(action, yyjson_doc_get_root(in), narrow, out, err);
    char *text = checked ? yyjson_mut_val_write(checked, 0, NULL) : NULL;
    yyjson_doc_free(in);
    yyjson_mut_doc_free(out);
    return text;
}

static void good_parameters_become_canonical(void **state)
{
    (void)state;
    static const struct {
        enum action action;
        const char *given, *expected;
    } cases[] = {
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":5}", "{\"replicas\":5}" },
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":\"5\"}", "{\"replicas\":5}" },
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":5.0}", "{\"replicas\":5}" },
        { ACTION_INCREASE_RESOURCES, "{\"cpu_limit\":0.5,\"memory_limit\":\"1024Mi\"}",
          "{\"memory_limit\":\"1Gi\",\"cpu_limit\":\"500m\"}" },
        { ACTION_EXPAND_PVC, "{}", "{}" },
        { ACTION_ENABLE_DEBUG_MODE, "{\"duration\":\"90m\"}",
          "{\"log_level\":\"debug\",\"duration\":\"1h30m\"}" },
        { ACTION_COLLECT_DIAGNOSTICS, "null", "{\"tail_lines\":200}" },
        { ACTION_DRAIN_NODE, "{\"delete_emptydir_data\":true}",
          "{\"timeout\":\"10m\",\"delete_emptydir_data\":\"true\"}" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        AUTO(text) char *text = check(cases[i].action, cases[i].given, NULL, &err);
        assert_ok(text, err);
        assert_string_equal(text, cases[i].expected);
    }
}

static void bad_parameters_are_refused_with_the_bounds(void **state)
{
    (void)state;
    static const struct {
        enum action action;
        const char *given, *message;
    } cases[] = {
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":-1}", "replicas is -1: give 0 to 1000" },
        { ACTION_SCALE_DEPLOYMENT, "{}", "scale_deployment needs replicas" },
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":1e30}", "replicas" },
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":5.5}", "replicas is not a whole number" },
        { ACTION_SCALE_DEPLOYMENT, "{\"replicas\":3,\"now\":1}", "no parameter \"now\"" },
        { ACTION_INCREASE_RESOURCES, "{\"memory_limit\":\"1Zi\"}", "memory_limit is not a quantity" },
        { ACTION_INCREASE_RESOURCES, "{\"container\":\"Not A Name\"}", "container is not an object's name" },
        { ACTION_CLEANUP_STORAGE, "{\"path\":\"/var/../etc\"}", "path is not a plain absolute path" },
        { ACTION_ENABLE_DEBUG_MODE, "{\"log_level\":\"loud\"}", "log_level cannot be \"loud\"" },
        { ACTION_DRAIN_NODE, "[]", "not an object" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        assert_fails(check(cases[i].action, cases[i].given, NULL, &err), err, ERROR_INVALID,
                     cases[i].message);
    }
}

static void narrower_bounds_hold_and_may_leave_nothing(void **state)
{
    (void)state;
    struct error *err = NULL;
    struct action_bounds narrow = { .bounds = { { "replicas", 3, 6 } }, .count = 1 };
    free(check(ACTION_SCALE_DEPLOYMENT, "{\"replicas\":6}", &narrow, &err));
    assert_null(err);
    assert_fails(check(ACTION_SCALE_DEPLOYMENT, "{\"replicas\":7}", &narrow, &err), err, ERROR_INVALID,
                 "3 to 6");
    narrow.bounds[0].minimum = 2000;
    narrow.bounds[0].maximum = 3000;
    assert_fails(check(ACTION_SCALE_DEPLOYMENT, "{\"replicas\":7}", &narrow, &err), err, ERROR_INVALID,
                 "leave no value");
}

static void schema_of_every_action_is_an_object_with_its_parameters(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *schema = action_schema((enum action)i, NULL, doc);
        size_t count = 0;
        while (actions[i].parameters[count].name)
            count++;
        assert_int_equal(yyjson_mut_obj_size(yyjson_mut_obj_get(schema, "properties")), count);
        assert_false(yyjson_mut_get_bool(yyjson_mut_obj_get(schema, "additionalProperties")));
        yyjson_mut_doc_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_parameters_become_canonical),
        cmocka_unit_test(bad_parameters_are_refused_with_the_bounds),
        cmocka_unit_test(narrower_bounds_hold_and_may_leave_nothing),
        cmocka_unit_test(schema_of_every_action_is_an_object_with_its_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
