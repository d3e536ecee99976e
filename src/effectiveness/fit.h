/* A trend with a day's rhythm on it: value = level + slope × t + a × sin(day) + b × cos(day), by least squares. Over less
 * than two days the rhythm cannot be told from the trend, and is left out. */
#ifndef EFFECTIVENESS_FIT_H
#define EFFECTIVENESS_FIT_H

#include <stdbool.h>
#include <stddef.h>

struct trend {
    double level;       /* at the last point, without the rhythm */
    double slope;       /* per second */
    double slope_error; /* one standard error */
    double noise;       /* standard deviation of what is left */
    bool seasonal;
};
/* False with fewer than eight points, or all at one time. times are seconds, rising. */
bool trend_fit(const double *times, const double *values, size_t count, struct trend *trend);

/* Seconds after the last point until the trend reaches `limit`, with the middle 80 %: INFINITY where it does not. */
struct crossing {
    double likely, soonest, latest;
};
struct crossing trend_crossing(const struct trend *trend, double limit);

#endif
