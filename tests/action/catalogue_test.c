#include "tests/test.h"

#include "action/action.h"

static void every_row_is_complete(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++) {
        const struct action_info *info = &actions[i];
        assert_true(info->name && info->does && info->when && info->not_when);
        assert_true(info->kinds != 0 && info->risk < RISK_COUNT && info->category < CATEGORY_COUNT);
        enum action back;
        assert_true(action_parse(str_of(info->name), &back));
        assert_int_equal(back, i);
    }
    enum action action;
    assert_false(action_parse(STR("delete_everything"), &action));
}

static void every_parameter_has_what_its_type_needs(void **state)
{
    (void)state;
    for (int i = 0; i < ACTION_COUNT; i++)
        for (const struct action_parameter *p = actions[i].parameters; p->name; p++) {
            assert_non_null(p->help);
            if (p->type <= PARAMETER_DURATION)
                assert_true(p->minimum < p->maximum);
            if (p->type == PARAMETER_CHOICE)
                assert_true(p->choices && p->fallback);
            if (p->type == PARAMETER_TEXT)
                assert_true(p->max_len > 0);
        }
}

static void kinds_are_read_as_kubectl_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kind kind;
    } cases[] = { { "deploy", KIND_DEPLOYMENT }, { "Deployments", KIND_DEPLOYMENT },
                  { "PVC", KIND_PVC },           { "sts", KIND_STATEFULSET },
                  { "no", KIND_NODE },           { "pod", KIND_POD } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum kind kind;
        assert_true(kind_parse(str_of(cases[i].text), &kind));
        assert_int_equal(kind, cases[i].kind);
    }
    enum kind kind;
    assert_false(kind_parse(STR("gadget"), &kind));
    assert_false(kind_parse(STR(""), &kind));
    assert_false(kind_is_namespaced(KIND_NODE));
    assert_true(kind_is_namespaced(KIND_PVC));
    assert_true(action_fits_kind(ACTION_DRAIN_NODE, KIND_NODE));
    assert_false(action_fits_kind(ACTION_ROLLBACK_DEPLOYMENT, KIND_STATEFULSET));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(every_parameter_has_what_its_type_needs),
        cmocka_unit_test(kinds_are_read_as_kubectl_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
