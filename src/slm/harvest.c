/* File: "PASHARVS", u32 version, u32 dim, then records: u64 key (hash of the variable part), f32 trie[27],
 * f32 features[dim]; little-endian. A record cut off at the end is left out. */
#include "slm/harvest.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "slm/prompt.h"

enum { VERSION = 1, SAVE_EVERY = 500, BATCH = 8 };
static const size_t FILE_BYTES_MAX = (size_t)4 << 30;

struct record {
    uint64_t key;
    const float *numbers; /* trie[27], then features[dim] */
};

struct record_list {
    struct record *items;
    size_t count, cap;
};

static void add_record(struct record_list *list, uint64_t key, const float *numbers)
{
    if (list->count == list->cap) {
        list->cap = MAX(2 * list->cap, (size_t)256);
        list->items = xrealloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->count++] = (struct record){ key, numbers };
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct record *)a)->key, y = ((const struct record *)b)->key;
    return (x > y) - (x < y);
}

static void load(const char *path, struct arena *arena, size_t dim, struct record_list *list)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!path || !file_read(path, FILE_BYTES_MAX, &text, NULL))
        return;
    struct reader in = reader_of(text.ptr, text.len);
    const char *magic = reader_bytes(&in, 8);
    if (!magic || memcmp(magic, "PASHARVS", 8) != 0 || reader_u32(&in) != VERSION || reader_u32(&in) != dim)
        return;
    size_t bytes = (ACTION_COUNT + dim) * sizeof(float);
    while (reader_left(&in) >= sizeof(uint64_t) + bytes) {
        uint64_t key = reader_u64(&in);
        add_record(list, key, memcpy(arena_alloc(arena, bytes), reader_bytes(&in, bytes), bytes));
    }
    qsort(list->items, list->count, sizeof *list->items, by_key);
}

static bool save(const char *path, size_t dim, const struct record_list *list, struct error **err)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    uint32_t head[2] = { VERSION, (uint32_t)dim };
    strbuf_add(&out, STR("PASHARVS"));
    strbuf_add(&out, (struct str){ (const char *)head, sizeof head });
    for (size_t i = 0; i < list->count; i++) {
        strbuf_add(&out, (struct str){ (const char *)&list->items[i].key, sizeof(uint64_t) });
        strbuf_add(
            &out, (struct str){ (const char *)list->items[i].numbers, (ACTION_COUNT + dim) * sizeof(float) });
    }
    return file_replace(path, strbuf_str(&out), 0600, err);
}

static struct slm_question question_of(const struct scenario *scenario)
{
    return (struct slm_question){ .alert = &scenario->alert, .alerts = 1, .feasible = ACTION_SET_ALL };
}

static uint64_t key_of(struct arena *arena, const struct scenario *scenario)
{
    struct slm_question question = question_of(scenario);
    return str_hash(prompt_user(arena, &question, ~0u), 0);
}

static char *cache_path(struct embedded *embedded, const char *cache_dir)
{
    const char *sha256 = engine_sha256(embedded_engine(embedded), NULL);
    return cache_dir && sha256 ? xasprintf("%s/harvest-%.16s-%.16s.bin", cache_dir, sha256, prompt_sha256())
                               : NULL;
}

/* Ask for `count` scenarios at once; what comes back becomes records. An alert that the model cannot read (too long)
 * is left out. */
static void ask(struct embedded *embedded, struct arena *arena, const struct scenario *const *scenarios,
                const uint64_t *keys, size_t count, struct record_list *list)
{
    struct slm_question questions[BATCH];
    struct embedded_evidence evidence[BATCH];
    struct error *errors[BATCH] = { 0 };
    size_t dim = embedded_feature_count(embedded);
    for (size_t i = 0; i < count; i++)
        questions[i] = question_of(scenarios[i]);
    embedded_ask_batch(embedded, arena, questions, count, evidence, errors);
    for (size_t i = 0; i < count; i++) {
        if (errors[i]) {
            log_warn("training alert left out", KV_STR("id", scenarios[i]->id),
                     KV("error", error_message(errors[i])));
            error_clear(&errors[i]);
            continue;
        }
        float *numbers = ARENA_ARRAY(arena, float, ACTION_COUNT + dim);
        for (int a = 0; a < ACTION_COUNT; a++)
            numbers[a] = (float)evidence[i].trie[a];
        memcpy(numbers + ACTION_COUNT, evidence[i].features, dim * sizeof *numbers);
        engine_sequence_free(evidence[i].sequence);
        add_record(list, keys[i], numbers);
    }
}

/* Those scenarios that no record answers, in their order. */
static size_t find_missing(const struct scenario_list *scenarios, const uint64_t *keys,
                           const struct record_list *known, size_t *missing)
{
    size_t count = 0;
    for (size_t i = 0; i < scenarios->count; i++) {
        struct record wanted = { keys[i], NULL };
        if (!known->count || !bsearch(&wanted, known->items, known->count, sizeof wanted, by_key))
            missing[count++] = i;
    }
    return count;
}

/* The `limit` of them whose keys are smallest come first: keys are hashes, so that is a fair sample. */
static size_t sample(const uint64_t *keys, size_t *missing, size_t count, size_t limit)
{
    if (!limit || limit >= count)
        return count;
    for (size_t i = 0; i < limit; i++)
        for (size_t k = i + 1; k < count; k++)
            if (keys[missing[k]] < keys[missing[i]]) {
                size_t swapped = missing[i];
                missing[i] = missing[k];
                missing[k] = swapped;
            }
    return limit;
}

static void hand_out(struct record_list *list, const struct scenario_list *scenarios, const uint64_t *keys,
                     struct harvest *harvest)
{
    qsort(list->items, list->count, sizeof *list->items, by_key);
    for (size_t i = 0; i < scenarios->count; i++) {
        struct record wanted = { keys[i], NULL };
        const struct record *found =
            list->count ? bsearch(&wanted, list->items, list->count, sizeof wanted, by_key) : NULL;
        if (!found)
            continue;
        harvest->features[i] = found->numbers + ACTION_COUNT;
        for (int a = 0; a < ACTION_COUNT; a++)
            harvest->trie[i][a] = found->numbers[a];
    }
}

bool harvest_take(struct embedded *embedded, struct arena *arena, const struct scenario_list *scenarios,
                  size_t limit, const char *cache_dir, harvest_progress_fn *progress, void *context,
                  struct harvest *harvest, struct error **err)
{
    AUTO(text) char *path = cache_path(embedded, cache_dir);
    struct record_list list = { 0 };
    harvest->dim = embedded_feature_count(embedded);
    harvest->features = ARENA_ARRAY(arena, const float *, scenarios->count);
    harvest->trie = arena_calloc(arena, scenarios->count, sizeof *harvest->trie);
    uint64_t *keys = ARENA_ARRAY(arena, uint64_t, scenarios->count);
    size_t *missing = ARENA_ARRAY(arena, size_t, scenarios->count);
    for (size_t i = 0; i < scenarios->count; i++)
        keys[i] = key_of(arena, &scenarios->items[i]);
    load(path, arena, harvest->dim, &list);

    bool ok = true;
    size_t total = sample(keys, missing, find_missing(scenarios, keys, &list, missing), limit);
    for (size_t done = 0; ok && done < total; done += BATCH) {
        const struct scenario *batch[BATCH];
        uint64_t batch_keys[BATCH];
        size_t count = MIN((size_t)BATCH, total - done);
        for (size_t i = 0; i < count; i++) {
            batch[i] = &scenarios->items[missing[done + i]];
            batch_keys[i] = keys[missing[done + i]];
        }
        ask(embedded, arena, batch, batch_keys, count, &list);
        if (progress)
            progress(done + count, total, context);
        bool due = (done / BATCH + 1) % (SAVE_EVERY / BATCH) == 0 || done + count == total;
        if (path && due)
            ok = save(path, harvest->dim, &list, err);
    }
    hand_out(&list, scenarios, keys, harvest);
    free(list.items);
    return ok;
}
