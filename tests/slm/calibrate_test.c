#include "tests/test.h"

#include <math.h>

#include "slm/calibrate.h"

enum { COUNT = 4000 };

/* A source that says p and is right with probability p², so overconfident. */
static void draw(double *p, uint8_t *right, uint64_t seed)
{
    struct rng rng = { seed };
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = rng_unit(&rng);
        right[i] = rng_unit(&rng) < p[i] * p[i];
    }
}

static void overconfidence_is_taken_back(void **state)
{
    (void)state;
    double p[COUNT], from[64], to[64];
    uint8_t right[COUNT];
    draw(p, right, 1);
    size_t points = calibrate_fit(p, right, COUNT, 64, from, to);
    assert_true(points > 5 && points <= 64);
    for (double x = 0.1; x < 1; x += 0.1)
        assert_true(fabs(calibrate_apply(from, to, points, x) - x * x) < 0.08);
    for (size_t i = 1; i < points; i++)
        assert_true(from[i] >= from[i - 1] && to[i] >= to[i - 1] && to[i] < 1 && to[i] > 0);
}

static void error_is_near_zero_for_honest_confidence_and_large_for_bragging(void **state)
{
    (void)state;
    double p[COUNT], honest[COUNT];
    uint8_t right[COUNT];
    draw(p, right, 2);
    for (size_t i = 0; i < COUNT; i++)
        honest[i] = p[i] * p[i];
    assert_true(calibrate_error(honest, right, COUNT, 10, 200) < 0.01);
    double bragging = calibrate_error(p, right, COUNT, 10, 200);
    assert_true(bragging > 0.13 && bragging < 0.20); /* the mean of p - p² is 1/6 */
}

static void nothing_learned_changes_nothing(void **state)
{
    (void)state;
    assert_true(calibrate_apply(NULL, NULL, 0, 0.42) == 0.42);
    assert_true(calibrate_error(NULL, NULL, 0, 10, 10) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overconfidence_is_taken_back),
        cmocka_unit_test(error_is_near_zero_for_honest_confidence_and_large_for_bragging),
        cmocka_unit_test(nothing_learned_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
