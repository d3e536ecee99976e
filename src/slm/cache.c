/* A table with open addressing over a fixed number of entries; a key has a neighbourhood of eight places, of which the
 * oldest gives way. Each entry has an arena of its own, so that forgetting it is one call. */
#include "slm/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

enum { NEIGHBOURS = 8, WAIT_STEP_MS = 50 };

struct entry {
    struct cache_key key; /* "" where empty */
    struct arena *arena;
    struct decision decision;
    int64_t at_ms; /* clock_mono_ms() */
};

struct flight { /* a question that somebody is deciding */
    struct cache_key key;
    struct flight *next;
};

struct decision_cache {
    int64_t ttl_ms;
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t landed; /* a flight has ended */
    struct entry *entries;
    struct flight *flights;
};

struct decision_cache *decision_cache_new(int64_t ttl_ms)
{
    struct decision_cache *cache = xcalloc(1, sizeof *cache);
    cache->ttl_ms = ttl_ms;
    cache->entries = xcalloc(CACHE_ENTRIES + NEIGHBOURS, sizeof *cache->entries);
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->landed, NULL);
    return cache;
}

void decision_cache_free(struct decision_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < CACHE_ENTRIES + NEIGHBOURS; i++)
        arena_free(cache->entries[i].arena);
    pthread_cond_destroy(&cache->landed);
    pthread_mutex_destroy(&cache->lock);
    free(cache->entries);
    free(cache);
}

void decision_copy(struct arena *arena, const struct decision *from, struct decision *to)
{
    *to = *from;
    const char **texts[] = { &to->parameters,
                             &to->primary_reason,
                             &to->historical_context,
                             &to->oscillation_risk,
                             &to->summary,
                             &to->provider,
                             &to->model,
                             &to->model_sha256,
                             &to->prompt_sha256,
                             &to->head_sha256,
                             &to->prior_sha256,
                             &to->fusion_sha256,
                             &to->calibration_sha256,
                             &to->dropped,
                             &to->injection_text,
                             &to->degraded };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = arena_strdup(arena, *texts[i]);
    for (size_t i = 0; i < to->factor_count; i++)
        to->factors[i].name = arena_strdup(arena, to->factors[i].name);
    if (from->prompt_tokens) {
        int32_t *tokens = ARENA_ARRAY(arena, int32_t, from->prompt_token_count);
        memcpy(tokens, from->prompt_tokens, from->prompt_token_count * sizeof *tokens);
        to->prompt_tokens = tokens;
    }
}

static struct entry *place_of(struct decision_cache *cache, const struct cache_key *key)
{
    return &cache->entries[str_hash(str_of(key->hex), 0) % CACHE_ENTRIES];
}

static struct entry *find(struct decision_cache *cache, const struct cache_key *key)
{
    struct entry *place = place_of(cache, key);
    for (size_t i = 0; i < NEIGHBOURS; i++)
        if (place[i].arena && !strcmp(place[i].key.hex, key->hex))
            return &place[i];
    return NULL;
}

static void remember(struct decision_cache *cache, const struct cache_key *key,
                     const struct decision *decision)
{
    struct entry *entry = find(cache, key), *place = place_of(cache, key);
    for (size_t i = 0; i < NEIGHBOURS && !entry; i++)
        entry = place[i].arena ? NULL : &place[i];
    for (size_t i = 0; i < NEIGHBOURS && (!entry || entry->arena); i++)
        if (!entry || (strcmp(entry->key.hex, key->hex) && place[i].at_ms < entry->at_ms))
            entry = &place[i];
    arena_free(entry->arena);
    *entry = (struct entry){ .key = *key, .arena = arena_new(4096), .at_ms = clock_mono_ms() };
    decision_copy(entry->arena, decision, &entry->decision);
}

static void recall(struct arena *arena, const struct entry *entry, struct decision *decision)
{
    decision_copy(arena, &entry->decision, decision);
    ulid_new(decision->id);
    decision->cached = true;
}

static bool is_flying(const struct decision_cache *cache, const struct cache_key *key)
{
    for (const struct flight *flight = cache->flights; flight; flight = flight->next)
        if (!strcmp(flight->key.hex, key->hex))
            return true;
    return false;
}

/* The condition goes by the real clock in short steps, so that a deadline on the monotonic one holds. */
static void wait_a_little(struct decision_cache *cache)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_STEP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L)
        until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_cond_timedwait(&cache->landed, &cache->lock, &until);
}

bool decision_cache_enter(struct decision_cache *cache, const struct cache_key *key, int64_t deadline_ms,
                          struct arena *arena, struct decision *decision)
{
    if (!cache->ttl_ms)
        return false;
    pthread_mutex_lock(&cache->lock);
    while (is_flying(cache, key) && (!deadline_ms || clock_mono_ms() < deadline_ms))
        wait_a_little(cache);
    struct entry *entry = find(cache, key);
    bool hit = entry && clock_mono_ms() - entry->at_ms < cache->ttl_ms;
    if (hit) {
        recall(arena, entry, decision);
    } else {
        struct flight *flight = xmalloc(sizeof *flight);
        *flight = (struct flight){ *key, cache->flights };
        cache->flights = flight;
    }
    pthread_mutex_unlock(&cache->lock);
    return hit;
}

void decision_cache_leave(struct decision_cache *cache, const struct cache_key *key,
                          const struct decision *decision)
{
    if (!cache->ttl_ms)
        return;
    pthread_mutex_lock(&cache->lock);
    if (decision && !decision->abstained && !*decision->degraded && !decision->cached)
        remember(cache, key, decision);
    for (struct flight **at = &cache->flights; *at; at = &(*at)->next)
        if (!strcmp((*at)->key.hex, key->hex)) {
            struct flight *flight = *at;
            *at = flight->next;
            free(flight);
            break;
        }
    pthread_cond_broadcast(&cache->landed);
    pthread_mutex_unlock(&cache->lock);
}

bool decision_cache_last(struct decision_cache *cache, const struct cache_key *key, struct arena *arena,
                         struct decision *decision, int64_t *age_ms)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, key);
    *age_ms = entry ? clock_mono_ms() - entry->at_ms : 0;
    bool found = entry && *age_ms < CACHE_STALE_MS;
    if (found)
        recall(arena, entry, decision);
    pthread_mutex_unlock(&cache->lock);
    return found;
}
