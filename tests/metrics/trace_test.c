#include "tests/test.h"

#include "metrics/trace.h"

static void good_parents_are_read(void **state)
{
    (void)state;
    struct trace trace;
    assert_true(trace_parse(STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), &trace));
    assert_string_equal(trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(trace.span_id, "b7ad6b7169203331");
    assert_true(trace.sampled);
    assert_true(trace_parse(STR("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more"), &trace));
    assert_false(trace.sampled);
}

static void bad_parents_are_not(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "00",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
    };
    struct trace trace;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_false(trace_parse(str_of(cases[i]), &trace));
}

static void new_traces_and_children_can_be_passed_on(void **state)
{
    (void)state;
    struct trace parent, child, back;
    char text[TRACE_PARENT_LEN + 1];
    trace_new(&parent);
    trace_child(&parent, &child);
    assert_string_equal(child.trace_id, parent.trace_id);
    assert_string_not_equal(child.span_id, parent.span_id);
    trace_format(&child, text);
    assert_true(trace_parse(str_of(text), &back));
    assert_string_equal(back.span_id, child.span_id);
    trace_from(STR("nonsense"), &back);
    assert_string_not_equal(back.trace_id, parent.trace_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_parents_are_read),
        cmocka_unit_test(bad_parents_are_not),
        cmocka_unit_test(new_traces_and_children_can_be_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
