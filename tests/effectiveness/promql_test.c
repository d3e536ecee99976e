#include "effectiveness/promql.h"

#include <math.h>

#include "tests/test.h"

struct root_case {
    const char *expression, *metric; /* metric NULL: nothing can be said */
    enum promql_comparison comparison;
    double threshold;
};

static const struct root_case roots[] = {
    { "up == 0", "up", PROMQL_EQUAL, 0 },
    { "((a / b) > 0.9)", "(a / b)", PROMQL_GREATER, 0.9 },
    { "sum by (pod) (rate(x{job=\"a>b\"}[5m])) >= 1e3", "sum by (pod) (rate(x{job=\"a>b\"}[5m]))",
      PROMQL_GREATER_EQUAL, 1000 },
    { "0.1 > free / size", "free / size", PROMQL_LESS, 0.1 },
    { "x < (5)", "x", PROMQL_LESS, 5 },
    { "x != -1", "x", PROMQL_UNEQUAL, -1 },
    { "(a > 1) # why > 2", NULL, 0, 0 },
    { "a > 1 # why > 2\n", NULL, 0, 0 },
    { "a > 1 and b > 2", NULL, 0, 0 },
    { "a > 1 unless on(x) b", NULL, 0, 0 },
    { "a > b", NULL, 0, 0 },
    { "a > bool 1", NULL, 0, 0 },
    { "absent(up)", NULL, 0, 0 },
    { "(a) > (b)", NULL, 0, 0 },
    { "a > 1) + (b", NULL, 0, 0 },
    { "a{x=\"unended} > 1", NULL, 0, 0 },
    { "> 1", NULL, 0, 0 },
    { "a >", NULL, 0, 0 },
    { "", NULL, 0, 0 },
};

static void the_root_comparison_is_found_or_nothing_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        struct promql_root root = { 0 };
        bool found = promql_find_root(str_of(roots[i].expression), &root);
        if (found != (roots[i].metric != NULL))
            fail_msg("%s: found is %d", roots[i].expression, found);
        if (!found)
            continue;
        assert_str_equal(root.metric, str_of(roots[i].metric));
        assert_int_equal(root.comparison, roots[i].comparison);
        assert_true(root.threshold == roots[i].threshold);
    }
}

static void improvement_is_how_far_it_moved_towards_the_threshold(void **state)
{
    (void)state;
    struct promql_root high = { .comparison = PROMQL_GREATER, .threshold = 0.9 };
    assert_true(promql_improvement(&high, 1.0, 0.5) == 1);
    assert_true(fabs(promql_improvement(&high, 1.0, 0.95) - 0.5) < 1e-9);
    assert_true(promql_improvement(&high, 1.0, 1.0) == 0);
    assert_true(promql_improvement(&high, 1.0, 1.2) == 0);
    assert_true(isnan(promql_improvement(&high, NAN, 0.5)));
    struct promql_root low = { .comparison = PROMQL_LESS, .threshold = 10 };
    assert_true(fabs(promql_improvement(&low, 0, 4) - 0.4) < 1e-9);
    assert_true(promql_improvement(&low, 0, 10) == 1);
}

/* Whatever bytes come: no crash, and what is found is part of what was given. */
static void any_bytes_are_survived(void **state)
{
    (void)state;
    static const char alphabet[] = "abc(){}[]<>=!\"'`\\# \n019.andorunless";
    struct rng rng = { 3 };
    for (int round = 0; round < 50000; round++) {
        char text[40];
        size_t len = rng_below(&rng, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        struct promql_root root;
        if (promql_find_root((struct str){ text, len }, &root))
            assert_true(root.metric.ptr >= text && root.metric.ptr + root.metric.len <= text + len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_comparison_is_found_or_nothing_is_said),
        cmocka_unit_test(improvement_is_how_far_it_moved_towards_the_threshold),
        cmocka_unit_test(any_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
