#include "effectiveness/fit.h"

#include <math.h>
#include <string.h>

enum { TERMS_MAX = 4, POINTS_MIN = 8 };
#define DAY_S 86400.0
#define MIDDLE_80 1.2816

static void terms_of(double t, double last, size_t terms, double x[TERMS_MAX])
{
    double at = (t - last) / DAY_S; /* days, so that the equations are of one size */
    x[0] = 1;
    x[1] = at;
    if (terms > 2) {
        x[2] = sin(2 * M_PI * t / DAY_S);
        x[3] = cos(2 * M_PI * t / DAY_S);
    }
}

/* Gauss-Jordan with pivots: `a` becomes its inverse. */
static bool invert(double a[TERMS_MAX][TERMS_MAX], size_t n)
{
    double b[TERMS_MAX][TERMS_MAX] = { { 0 } };
    for (size_t i = 0; i < n; i++)
        b[i][i] = 1;
    for (size_t column = 0; column < n; column++) {
        size_t pivot = column;
        for (size_t row = column + 1; row < n; row++)
            if (fabs(a[row][column]) > fabs(a[pivot][column]))
                pivot = row;
        if (fabs(a[pivot][column]) < 1e-12)
            return false;
        for (size_t k = 0; k < n; k++) {
            double swap = a[column][k];
            a[column][k] = a[pivot][k];
            a[pivot][k] = swap;
            swap = b[column][k];
            b[column][k] = b[pivot][k];
            b[pivot][k] = swap;
        }
        double scale = a[column][column];
        for (size_t k = 0; k < n; k++) {
            a[column][k] /= scale;
            b[column][k] /= scale;
        }
        for (size_t row = 0; row < n; row++) {
            double factor = a[row][column];
            for (size_t k = 0; k < n && row != column; k++) {
                a[row][k] -= factor * a[column][k];
                b[row][k] -= factor * b[column][k];
            }
        }
    }
    memcpy(a, b, sizeof b);
    return true;
}

static double residual_sum(const double *times, const double *values, size_t count, size_t terms,
                           const double beta[TERMS_MAX])
{
    double sum = 0, x[TERMS_MAX];
    for (size_t i = 0; i < count; i++) {
        double left = values[i];
        terms_of(times[i], times[count - 1], terms, x);
        for (size_t k = 0; k < terms; k++)
            left -= beta[k] * x[k];
        sum += left * left;
    }
    return sum;
}

bool trend_fit(const double *times, const double *values, size_t count, struct trend *trend)
{
    if (count < POINTS_MIN)
        return false;
    size_t terms = times[count - 1] - times[0] >= 2 * DAY_S ? 4 : 2;
    double a[TERMS_MAX][TERMS_MAX] = { { 0 } }, y[TERMS_MAX] = { 0 }, beta[TERMS_MAX] = { 0 }, x[TERMS_MAX];
    for (size_t i = 0; i < count; i++) {
        terms_of(times[i], times[count - 1], terms, x);
        for (size_t k = 0; k < terms; k++) {
            y[k] += x[k] * values[i];
            for (size_t l = 0; l < terms; l++)
                a[k][l] += x[k] * x[l];
        }
    }
    if (!invert(a, terms))
        return false;
    for (size_t k = 0; k < terms; k++)
        for (size_t l = 0; l < terms; l++)
            beta[k] += a[k][l] * y[l];
    double variance = residual_sum(times, values, count, terms, beta) / (double)(count - terms);
    *trend = (struct trend){ .level = beta[0],
                             .slope = beta[1] / DAY_S,
                             .noise = sqrt(variance),
                             .slope_error = sqrt(variance * a[1][1]) / DAY_S,
                             .seasonal = terms > 2 };
    return true;
}

static double reach(double gap, double slope)
{
    return gap <= 0 ? 0 : slope > 0 ? gap / slope : INFINITY;
}

struct crossing trend_crossing(const struct trend *trend, double limit)
{
    double gap = limit - trend->level, spread = MIDDLE_80 * trend->slope_error;
    return (struct crossing){ .likely = reach(gap, trend->slope),
                              .soonest = reach(gap - MIDDLE_80 * trend->noise, trend->slope + spread),
                              .latest = reach(gap + MIDDLE_80 * trend->noise, trend->slope - spread) };
}
