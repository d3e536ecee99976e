#include "slm/minimise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { HISTORY = 8, LINE_STEPS_MAX = 30 };

/* The last few steps s = x' - x and changes of gradient y = g' - g, newest at `last`. */
struct history {
    size_t n, count, last;
    double *s[HISTORY], *y[HISTORY], rho[HISTORY];
};

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *x, double factor, const double *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += factor * d[i];
}

static double largest(const double *g, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(g[i]));
    return most;
}

/* direction = -H gradient, H the inverse Hessian that the history stands for (algorithm 7.4). */
static void downhill(const struct history *h, const double *gradient, double *direction)
{
    double alpha[HISTORY];
    for (size_t i = 0; i < h->n; i++)
        direction[i] = -gradient[i];
    for (size_t k = 0; k < h->count; k++) {
        size_t at = (h->last + HISTORY - k) % HISTORY;
        alpha[at] = h->rho[at] * dot(h->s[at], direction, h->n);
        add_scaled(direction, -alpha[at], h->y[at], h->n);
    }
    if (h->count) {
        double scale = 1 / (h->rho[h->last] * dot(h->y[h->last], h->y[h->last], h->n));
        for (size_t i = 0; i < h->n; i++)
            direction[i] *= scale;
    }
    for (size_t k = h->count; k > 0; k--) {
        size_t at = (h->last + HISTORY - (k - 1)) % HISTORY;
        double beta = h->rho[at] * dot(h->y[at], direction, h->n);
        add_scaled(direction, alpha[at] - beta, h->s[at], h->n);
    }
}

static void remember(struct history *h, const double *x, const double *old_x, const double *g,
                     const double *old_g)
{
    size_t at = h->count ? (h->last + 1) % HISTORY : 0;
    for (size_t i = 0; i < h->n; i++) {
        h->s[at][i] = x[i] - old_x[i];
        h->y[at][i] = g[i] - old_g[i];
    }
    double curvature = dot(h->s[at], h->y[at], h->n);
    if (curvature <= 1e-12)
        return; /* not convex here: this step teaches nothing */
    h->rho[at] = 1 / curvature;
    h->last = at;
    h->count = MIN(h->count + 1, (size_t)HISTORY);
}

double minimise(double *x, size_t n, minimise_function *function, void *context,
                const struct minimise_options *options)
{
    size_t iterations = options && options->iterations ? options->iterations : 200;
    double tolerance = options && options->tolerance > 0 ? options->tolerance : 1e-5;
    double *block = xcalloc((4 + 2 * HISTORY) * n, sizeof *block);
    double *gradient = block, *direction = block + n, *old_x = block + 2 * n, *old_gradient = block + 3 * n;
    struct history history = { .n = n };
    for (size_t k = 0; k < HISTORY; k++) {
        history.s[k] = block + (4 + 2 * k) * n;
        history.y[k] = block + (5 + 2 * k) * n;
    }

    double value = function(x, gradient, n, context);
    for (size_t i = 0; i < iterations && largest(gradient, n) > tolerance; i++) {
        downhill(&history, gradient, direction);
        double slope = dot(gradient, direction, n), step = history.count ? 1 : 1 / fmax(1, sqrt(-slope));
        memcpy(old_x, x, n * sizeof *x);
        memcpy(old_gradient, gradient, n * sizeof *x);
        double before = value;
        int tries = 0;
        do { /* algorithm 3.1: halve until the descent is sufficient */
            memcpy(x, old_x, n * sizeof *x);
            add_scaled(x, step, direction, n);
            value = function(x, gradient, n, context);
            step /= 2;
        } while (!(value <= before + 2e-4 * step * slope) && ++tries < LINE_STEPS_MAX);
        if (tries == LINE_STEPS_MAX) { /* as low as the arithmetic can tell */
            memcpy(x, old_x, n * sizeof *x);
            value = before;
            break;
        }
        remember(&history, x, old_x, gradient, old_gradient);
    }
    free(block);
    return value;
}
