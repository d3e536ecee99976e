/* Teaching a model its head, together with the prior, the fusion and the calibration that go with it: from labelled
 * scenarios and a user's own confirmed outcomes, on a CPU. Everything is judged by folds grouped by rule: no number of
 * the report is of a rule that was fitted on. */
#ifndef SLM_TRAIN_H
#define SLM_TRAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "slm/embedded.h"
#include "slm/harvest.h"
#include "slm/report.h"
#include "slm/scenario.h"

struct train_options {
    const struct scenario_list *scenarios;
    const char *cache_dir; /* where what the model said is kept; NULL: nowhere */
    const char *out_dir;   /* prior.layer, MODEL.head and MODEL.fusion.json are written here */
    const char *model_name;
    size_t
        read_at_most; /* alerts read with the model, a fair sample; 0: all. The prior learns from all anyway */
    double confidence_threshold; /* below it the report counts a decision as abstained */
    size_t folds;     /* 0: 5 */
    bool (*is_judged)(const struct scenario *scenario, void *context); /* NULL: all are in the report */
    harvest_progress_fn *progress;
    void *context;
};

/* `embedded` NULL: the prior and its calibration alone (for decisions without a model). *report is of the held-out
 * decisions; free it with report_free(). */
bool train(struct embedded *embedded, const struct train_options *options, struct report *result,
           struct error **err);

#endif
