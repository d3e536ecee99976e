/* Fusing evidence: a log-linear pool (Genest & Zidek 1986), then calibration.
 *
 *   score[a] = sum over the sources at hand of weight[source] × (ln p_source[a] - offset_source[a]), normalised over the feasible set
 *
 * Weights are fitted on out-of-fold evidence, per model and for each set of sources that may be at hand; the trie's
 * offset takes the model's own bias away (how, is chosen by folds: see enum bias_correction). Calibration maps the first
 * action's fused probability to the share of such decisions that an engineer accepts: isotonic regression by pooling
 * adjacent violators (Ayer et al. 1955; Zadrozny & Elkan 2002). One JSON file holds both. */
#ifndef SLM_FUSION_H
#define SLM_FUSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "base/error.h"
#include "base/sha256.h"
#include "slm/slm.h"
#include "slm/softmax.h"

enum bias_correction {
    BIAS_NONE,
    BIAS_CLASS_PRIOR,                             /* offset = ln of the mean probability over the training alerts */
    BIAS_BATCH,                                   /* offset = mean of the log-probabilities */
    BIAS_COUNT
};
extern const char *const bias_names[BIAS_COUNT];

/* Sources that are fitted; EVIDENCE_HISTORY is added as it is (a log ratio to what is usual), and a remote answer
 * stands in for the trie. */
enum { FUSED_SOURCES = EVIDENCE_RUNBOOK + 1, CALIBRATION_POINTS_MAX = 64 };

struct fusion {                                   /* read-only once made */
    double weights[1 << FUSED_SOURCES][FUSED_SOURCES];        /* by the set of sources at hand: BIT(source) */
    enum bias_correction bias;
    double trie_offset[ACTION_COUNT];

    size_t points;                                /* of the calibration: rising in both */
    double from[CALIBRATION_POINTS_MAX], to[CALIBRATION_POINTS_MAX];
    size_t samples;                               /* decisions that it rests on */
    char *note;                                   /* the model and prompt it belongs to */
    char sha256[SHA256_HEX_LEN + 1];
};

/* What every source said of some labelled examples, by models that had not seen them. */
struct fusion_data {
    size_t count;
    double (*evidence)[FUSED_SOURCES][ACTION_COUNT];          /* NAN in a row's first place: not at hand */
    const double (*target)[ACTION_COUNT];
    const uint32_t *acceptable, *unsafe;
    const uint8_t *use;                           /* NULL: all */
};

/* Fit weights for every set of sources that the data holds, the trie's offset, and the calibration. */
struct fusion *fusion_fit(const struct fusion_data *data, const char *note);
void fusion_free(struct fusion *fusion);
static inline void fusion_cleanup(struct fusion **fusion) { fusion_free(*fusion); }

struct fusion *fusion_open(const char *path, struct error **err);
struct fusion *fusion_parse(struct str json, struct error **err);
bool fusion_save(const struct fusion *fusion, const char *path, struct error **err);

/* Fuse: probabilities over `set`, 0 outside. `history` (or NULL) is added to the scores. Returns the first action. */
enum action fusion_apply(const struct fusion *fusion, const double (*evidence)[ACTION_COUNT],
                         const double history[ACTION_COUNT], uint32_t set, double probabilities[ACTION_COUNT]);

/* The chance that an engineer accepts a decision whose first action has fused probability p. */
double fusion_calibrate(const struct fusion *fusion, double p);

#endif
