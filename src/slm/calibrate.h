/* Calibration: from a score to the share of cases in which it was right. */
#ifndef SLM_CALIBRATE_H
#define SLM_CALIBRATE_H

#include <stddef.h>
#include <stdint.h>

/* Isotonic regression of right[i] on p[i]: at most `max` points (from, to), rising in both; returns how many. Points
 * are the middles of pools of equal outcome, so that calibrate_apply() may draw lines between them. */
size_t calibrate_fit(const double *p, const uint8_t *right, size_t count, size_t max, double *from, double *to);

/* On the line between the two nearest points; p itself if there are none. */
double calibrate_apply(const double *from, const double *to, size_t points, double p);

/* Expected calibration error over bins of equal mass, less what chance alone gives: the mean of `resamples` errors in
 * which the outcomes were drawn from the confidences. Never below 0. Naeini et al. 2015; the correction as in
 * Bröcker & Smith 2007. */
double calibrate_error(const double *confidence, const uint8_t *right, size_t count, size_t bins, size_t resamples);

#endif
