/* Decisions remembered by their question: the same one within slm.cache_ttl has the same answer, two at a time are asked
 * once, and where every model fails the last answer is better than none. Only decisions that a model made and that ask
 * for an action are kept: failures and abstentions are thought about anew. */
#ifndef SLM_CACHE_H
#define SLM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "slm/slm.h"

enum { CACHE_ENTRIES = 2000, CACHE_STALE_MS = 24 * 3600 * 1000 };

struct decision_cache;                                     /* locks itself */
struct decision_cache *decision_cache_new(int64_t ttl_ms); /* 0: remembers nothing */
void decision_cache_free(struct decision_cache *cache);
static inline void decision_cache_cleanup(struct decision_cache **cache)
{
    decision_cache_free(*cache);
}

struct cache_key {
    char hex[SHA256_HEX_LEN + 1];
};

/* True: `decision` is the remembered one, copied into the arena, with an id of its own. False: nobody knows; the caller
 * decides and must say decision_cache_leave(). Somebody who is just deciding the same is waited for, until `deadline_ms`. */
bool decision_cache_enter(struct decision_cache *cache, const struct cache_key *key, int64_t deadline_ms,
                          struct arena *arena, struct decision *decision);
void decision_cache_leave(struct decision_cache *cache, const struct cache_key *key,
                          const struct decision *decision); /* NULL: no decision */

/* The last decision on the question, however old up to CACHE_STALE_MS; its age in *age_ms. */
bool decision_cache_last(struct decision_cache *cache, const struct cache_key *key, struct arena *arena,
                         struct decision *decision, int64_t *age_ms);

/* A copy that lives as long as the arena. */
void decision_copy(struct arena *arena, const struct decision *from, struct decision *to);

#endif
