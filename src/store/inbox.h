/* The inbox: what was accepted and is not yet worked in. A row is a payload, as it came; its alerts are written to the
 * table of alerts in the transaction that deletes it, so that each is in the store exactly once. */
#ifndef STORE_INBOX_H
#define STORE_INBOX_H

#include "alert/alert.h"
#include "metrics/trace.h"
#include "store/store.h"

struct inbox_item {
    struct str payload; /* valid JSON in UTF-8 */
    size_t alerts;
    enum severity severity; /* of its most urgent alert: it decides how soon it is taken */
    const char *trace_id;
    const char *rest_subject, *rest_payload; /* a fetch_rest job to commit with it; NULL: none */
};

/* Append, and return once it is durable. Calls that come together share one fsync. */
bool inbox_append(struct store *store, const struct inbox_item *item, struct error **err);

/* The same without waiting: `done` is called on another thread, with NULL once it is durable, or with why it is not.
 * `item` and what it points to stay until then. */
typedef void inbox_done_fn(void *context, const struct error *error);
void inbox_append_then(struct store *store, const struct inbox_item *item, inbox_done_fn *done,
                       void *context);

/* So many appends wait for their commit that whatever else writes should leave them room. */
bool inbox_is_pressed(struct store *store);

/* Within a transaction of the caller's own; inbox_appended() after its commit. */
bool inbox_append_in(struct tx *tx, const struct inbox_item *item, struct error **err);
void inbox_appended(struct store *store, size_t alerts);

/* Alerts that wait, as this process knows: exact on SQLite, where it is the only server. */
int64_t inbox_waiting(struct store *store);
bool inbox_recount(struct store *store,
                   struct error **err); /* ask the store; for several replicas, now and then */

struct inbox_claim {
    int64_t id, fence;
    const char *owner;
    int64_t received_at;
    size_t alerts;
    struct str payload;
    const char *trace_id;
};

/* Up to `max` rows that nobody holds, most urgent first, for `lease_ms`; an expired lease counts as not held. The fence
 * of a row rises with each claim. claims[max]; texts live as long as the arena. */
bool inbox_claim(struct store *store, struct arena *arena, const char *owner, int64_t lease_ms, size_t max,
                 struct inbox_claim *claims, size_t *count, struct error **err);

/* Worked in: delete it, in the transaction that did. ERROR_CONFLICT: another has claimed it since; undo everything. */
bool inbox_finish(struct tx *tx, const struct inbox_claim *claim, struct error **err);
void inbox_finished(struct store *store, size_t alerts); /* after that transaction's commit */

/* Still ours, and until `lease_until` (by tx_lease_now_ms()); before the transaction ends nobody else can claim it.
 * ERROR_CONFLICT: lost. */
bool inbox_renew(struct tx *tx, const struct inbox_claim *claim, int64_t lease_until, struct error **err);

/* Not now: free for the next claim at once. */
bool inbox_free(struct tx *tx, const struct inbox_claim *claim, struct error **err);

/* It cannot be worked in, ever: keep it aside for a person, and delete it. */
bool inbox_refuse(struct tx *tx, const struct inbox_claim *claim, const char *why, struct error **err);

/* When a severity is taken: its arrival plus this. So critical goes before info, and no info waits for ever. */
int64_t inbox_rank_ms(enum severity severity, int64_t at_ms);

#endif
