/* What the model says of every training alert: hidden states and trie, asked once and kept in a file per model and
 * prompt, since it is by far the slowest part of fitting a head. */
#ifndef SLM_HARVEST_H
#define SLM_HARVEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "slm/embedded.h"
#include "slm/scenario.h"

struct harvest {
    size_t dim;
    const float **features; /* [count][dim]; NULL where the model could not be asked */
    double (*trie)[ACTION_COUNT];
};

/* Told about every `done` of `total` alerts asked. */
typedef void harvest_progress_fn(size_t done, size_t total, void *context);

/* For every scenario, in order; at most `limit` (0: all) of those that are not known yet are asked, a sample that is the
 * same each time. `cache_dir` NULL: nothing is kept. The results live as long as the arena. */
bool harvest_take(struct embedded *embedded, struct arena *arena, const struct scenario_list *scenarios,
                  size_t limit, const char *cache_dir, harvest_progress_fn *progress, void *context,
                  struct harvest *harvest, struct error **err);

#endif
