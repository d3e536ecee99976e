#include "tests/test.h"

#include <math.h>

#include "slm/minimise.h"

/* Rosenbrock's valley, in n variables: the minimum is 0 at (1, 1, …). */
static double rosenbrock(const double *x, double *gradient, size_t n, void *context)
{
    double sum = 0;
    *(size_t *)context += 1;
    memset(gradient, 0, n * sizeof *gradient);
    for (size_t i = 0; i + 1 < n; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        sum += 100 * a * a + b * b;
        gradient[i] += -400 * a * x[i] - 2 * b;
        gradient[i + 1] += 200 * a;
    }
    return sum;
}

static void minimum_of_a_curved_valley_is_found(void **state)
{
    (void)state;
    double x[10] = { -1.2, 1, -1.2, 1, -1.2, 1, -1.2, 1, -1.2, 1 };
    size_t calls = 0;
    double value = minimise(x, 10, rosenbrock, &calls, &(struct minimise_options){ .iterations = 500 });
    assert_true(value < 1e-8);
    for (int i = 0; i < 10; i++)
        assert_true(fabs(x[i] - 1) < 1e-3);
    assert_true(calls < 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(minimum_of_a_curved_valley_is_found) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
