/* What the detectors' files tell each other. */
#ifndef HISTORY_OSCILLATION_INTERNAL_H
#define HISTORY_OSCILLATION_INTERNAL_H

#include "history/oscillation.h"

enum { FINDINGS_MAX = 4 + 2 * ACTION_COUNT };

/* What a detector counts: something that happened at a time, with the executions that made it. */
struct event {
    int64_t at, gap_ms;
    const struct past *members[2]; /* the second may be NULL */
};

struct detection {
    struct arena *arena;
    const struct config_oscillation *config;
    const struct oscillation_input *input;
    const struct past **past; /* in the window, oldest first */
    size_t count;
    struct oscillation *result;
};

struct finding *finding_add(struct detection *d, enum pattern pattern, enum pattern_severity severity);
void finding_take(struct detection *d, struct finding *finding, const struct event *events, size_t count);
/* The severest band that some run of consecutive events reaches, with that run. */
enum pattern_severity band_of(const struct config_detector *detector, const struct event *events,
                              size_t count, size_t *from, size_t *to);
double mean_score(const struct event *events, size_t count); /* each execution once; NAN: none is known */

void detect_scale(struct detection *d);
void detect_thrashing(struct detection *d);
void detect_ineffective(struct detection *d);
void detect_cascade(struct detection *d);
void detect_restart(struct detection *d);
void detect_hpa_fight(struct detection *d);

#endif
