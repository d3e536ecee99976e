/* The purpose of an execution is that its alert ends and its metric moves; harm is what it does beside that. A purpose
 * that was missed is not made good by doing no harm, so harm is a factor:
 *
 *     score = purpose × (0.6 + 0.4 × harmlessness)
 *
 * each the weighted mean of its criteria that are known. The weights are the predecessor's for what it had. An execution
 * that failed did not help, whatever the alert does: 0.1, as there. */
#include "effectiveness/effectiveness.h"

#include <math.h>

const char *const criterion_names[CRITERION_COUNT] = {
    "alert_resolved",      "target_metric_improved", "no_new_alerts_generated",
    "resource_stabilized", "side_effects_minimal",
};
static const double weights[CRITERION_COUNT] = { 0.4, 0.3, 0.1, 0.15, 0.05 };

#define FAILED_SCORE 0.1
#define HARM_SHARE 0.4

static double mean_of_known(const struct effect_evidence *evidence, int from, int to, double *known)
{
    double sum = 0, weight = 0;
    for (int i = from; i < to; i++)
        if (!isnan(evidence->criteria[i])) {
            sum += weights[i] * evidence->criteria[i];
            weight += weights[i];
        }
    *known += weight;
    return weight > 0 ? sum / weight : NAN;
}

struct effectiveness effectiveness_score(const struct effect_evidence *evidence)
{
    double known = 0;
    if (evidence->failed)
        return (struct effectiveness){ FAILED_SCORE, 1 };
    double purpose = mean_of_known(evidence, 0, CRITERION_NO_NEW_ALERTS, &known);
    double harmless = mean_of_known(evidence, CRITERION_NO_NEW_ALERTS, CRITERION_COUNT, &known);
    if (isnan(purpose))
        return (struct effectiveness){ harmless, known };
    double factor = isnan(harmless) ? 1 : 1 - HARM_SHARE + HARM_SHARE * harmless;
    return (struct effectiveness){ purpose * factor, MIN(known, 1) };
}
