/* What was learned: how often each action helped, and how far its promises held. */
#ifndef STORE_MEMORY_H
#define STORE_MEMORY_H

#include "action/action.h"
#include "store/table.h"

enum rate_level { RATE_ANY, RATE_ALERT, RATE_KIND, RATE_NAMESPACE, RATE_LEVEL_COUNT };

struct rate {
    double helped, tried; /* sums of score × weight and of weight, worth what they are at as_of */
    int64_t cases;        /* how many, undecayed */
    int64_t as_of;
};
struct rates {
    struct rate at[RATE_LEVEL_COUNT][ACTION_COUNT]; /* tried 0: nothing is known */
};

/* An outcome at all four levels: score 0..1, weight how sure it is; worth half after each half_life_ms (> 0). */
struct outcome {
    enum action action;
    const char *alert_name, *kind, *namespace;
    double score, weight;
    int64_t at, half_life_ms;
};
bool rates_add(struct tx *tx, const struct outcome *outcome, struct error **err);
bool rates_get(struct tx *tx, const char *alert_name, const char *kind, const char *namespace,
               struct rates *rates, struct error **err);

/* Of `rate` at `now`. */
struct rate rate_at(const struct rate *rate, int64_t now, int64_t half_life_ms);

struct calibration_record {
    char execution_id[ULID_LEN + 1], decision_id[ULID_LEN + 1];
    int64_t at;
    const char *provider, *model, *action, *alert_name;
    double confidence, predicted; /* NAN where none was given */
    double score, weight;
};
extern const struct table calibration_table;
bool calibration_add(struct tx *tx, const struct calibration_record *record, struct error **err);

#endif
