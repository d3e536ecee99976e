#include "slm/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"

struct point {
    double p, right, weight;
};

static int by_p(const void *a, const void *b)
{
    double x = ((const struct point *)a)->p, y = ((const struct point *)b)->p;
    return (x > y) - (x < y);
}

static struct point merge(struct point a, struct point b)
{
    double weight = a.weight + b.weight;
    return (struct point){ (a.p * a.weight + b.p * b.weight) / weight,
                           (a.right * a.weight + b.right * b.weight) / weight, weight };
}

/* Points of equal mass first, so that single cases at the ends do not become certainties. */
static size_t group(struct point *points, size_t count, size_t groups)
{
    size_t made = 0;
    for (size_t g = 0; g < groups; g++) {
        size_t begin = count * g / groups, end = count * (g + 1) / groups;
        if (begin == end)
            continue;
        struct point sum = points[begin];
        for (size_t i = begin + 1; i < end; i++)
            sum = merge(sum, points[i]);
        points[made++] = sum;
    }
    return made;
}

/* Pool adjacent violators: neighbours whose order is wrong become one. */
static size_t pool_violators(struct point *points, size_t count)
{
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        points[made++] = points[i];
        while (made > 1 && points[made - 2].right >= points[made - 1].right) {
            points[made - 2] = merge(points[made - 2], points[made - 1]);
            made--;
        }
    }
    return made;
}

size_t calibrate_fit(const double *p, const uint8_t *right, size_t count, size_t max, double *from, double *to)
{
    struct point *points = xcalloc(count, sizeof *points);
    for (size_t i = 0; i < count; i++)
        points[i] = (struct point){ p[i], right[i], 1 };
    qsort(points, count, sizeof *points, by_p);
    size_t groups = MIN(MIN(max, (size_t)40), count / 10 + 1);
    size_t made = count ? pool_violators(points, group(points, count, groups)) : 0;
    for (size_t i = 0; i < made; i++) {
        from[i] = points[i].p;
        to[i] = (points[i].right * points[i].weight + 0.5) / (points[i].weight + 1);      /* never 0 or 1 */
    }
    for (size_t i = 1; i < made; i++)
        to[i] = fmax(to[i], to[i - 1]);
    free(points);
    return made;
}

double calibrate_apply(const double *from, const double *to, size_t points, double p)
{
    if (!points)
        return p;
    if (p <= from[0])
        return to[0];
    for (size_t i = 1; i < points; i++)
        if (p <= from[i])
            return to[i - 1] + (to[i] - to[i - 1]) * (p - from[i - 1]) / fmax(from[i] - from[i - 1], 1e-12);
    return to[points - 1];
}

static double plain_error(const struct point *points, size_t count, size_t bins)
{
    double error = 0;
    for (size_t b = 0; b < bins; b++) {
        size_t begin = count * b / bins, end = count * (b + 1) / bins;
        double sum = 0;
        for (size_t i = begin; i < end; i++)
            sum += points[i].p - points[i].right;
        error += fabs(sum) / (double)count;
    }
    return error;
}

double calibrate_error(const double *confidence, const uint8_t *right, size_t count, size_t bins, size_t resamples)
{
    if (!count)
        return 0;
    struct point *points = xcalloc(count, sizeof *points);
    for (size_t i = 0; i < count; i++)
        points[i] = (struct point){ confidence[i], right[i], 1 };
    qsort(points, count, sizeof *points, by_p);
    double error = plain_error(points, count, bins), by_chance = 0;
    struct rng rng = { 1 };
    for (size_t r = 0; r < resamples; r++) {
        for (size_t i = 0; i < count; i++)
            points[i].right = rng_unit(&rng) < points[i].p;
        by_chance += plain_error(points, count, bins) / (double)resamples;
    }
    free(points);
    return fmax(error - by_chance, 0);
}
