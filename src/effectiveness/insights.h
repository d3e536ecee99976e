/* Hints: alerts that come more often than they usually do, and what will run full. Hints, not alerts: each says from
 * what it follows and how sure that is. */
#ifndef EFFECTIVENESS_INSIGHTS_H
#define EFFECTIVENESS_INSIGHTS_H

#include "config/config.h"
#include "store/store.h"

enum insight_kind { INSIGHT_ALERT_RATE, INSIGHT_VOLUME, INSIGHT_MEMORY, INSIGHT_KIND_COUNT };
extern const char
    *const insight_kind_names[INSIGHT_KIND_COUNT]; /* "alert_rate", "volume_fills", "memory_limit" */

struct insight {
    enum insight_kind kind;
    const char *namespace, *name; /* of the alert; of the claim or pod */
    double now;                   /* alerts in the last hour; share of the capacity or limit */
    double expected, low, high; /* alerts: the usual band; else seconds until full, likely, soonest, latest */
    bool seasonal;
    const char *text; /* a sentence */
};
struct insights {
    struct insight *items;
    size_t count;
    const char *missing; /* why there is nothing about capacity; "" if there is */
};
/* Results live as long as the arena. Prometheus away or not configured: the rest, and `missing` says so. */
bool insights_find(struct store *store, struct arena *arena, const struct config *config,
                   struct insights *found, struct error **err);
void insights_write(const struct insights *insights, struct strbuf *out); /* {"insights":[…]} */

/* What concerns a target, as lines for a prompt; "" for nothing. */
const char *insights_context(struct arena *arena, const struct insights *insights, const char *namespace,
                             const char *name, const char *alert_name);

#endif
