/* A prefix's keys and values in a file: what takes seconds to compute is mapped in milliseconds.
 * Layout: head, tokens, the last hidden state; from a whole page on the cache's pages, as they were in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/cache_file.h"
#include "engine/engine_internal.h"
#include "engine/mapping.h"

struct prefix_head {
    char magic[8]; /* "PASLPFX\n" */
    uint32_t version, page_positions;
    uint64_t tokens, dim, page_bytes, pages;
    char model_sha256[SHA256_HEX_LEN];
    char body_sha256[SHA256_HEX_LEN]; /* of all that follows the head */
};

static const char magic[8] = "PASLPFX\n";

static size_t page_bytes_of(const struct engine *engine)
{
    return engine->model->layers * engine->model->kv_heads * engine->pass->head_bytes;
}

static struct prefix_head head_of(const struct engine *engine, size_t count)
{
    struct prefix_head head = { .version = CACHE_FILE_VERSION,
                                .page_positions = PAGE,
                                .tokens = count,
                                .dim = engine->info.dim,
                                .page_bytes = page_bytes_of(engine),
                                .pages = (count + PAGE - 1) / PAGE };
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.model_sha256, engine->info.sha256, SHA256_HEX_LEN);
    return head;
}

static size_t pages_offset(const struct prefix_head *head)
{
    return whole_pages(sizeof *head + head->tokens * sizeof(int32_t) + head->dim * sizeof(float));
}

static char *prefix_path(const struct engine *engine, const int32_t *tokens, size_t count)
{
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex((struct str){ (const char *)tokens, count * sizeof *tokens }, hex);
    return xasprintf("%s/prefix-v%d-%.16s-%.32s.kv", engine->cache_dir, CACHE_FILE_VERSION,
                     engine->info.sha256, hex);
}

/* ---- reading ---- */

static bool is_sound(const struct mapping *mapping, const struct prefix_head *expected, const int32_t *tokens)
{
    struct prefix_head head;
    char hex[SHA256_HEX_LEN + 1];
    if (mapping->len != pages_offset(expected) + expected->pages * expected->page_bytes)
        return false;
    memcpy(&head, mapping->bytes, sizeof head);
    if (memcmp(&head, expected, offsetof(struct prefix_head, body_sha256)) != 0 ||
        memcmp(mapping->bytes + sizeof head, tokens, expected->tokens * sizeof *tokens) != 0)
        return false;
    sha256_hex((struct str){ (const char *)mapping->bytes + sizeof head, mapping->len - sizeof head }, hex);
    return memcmp(hex, head.body_sha256, SHA256_HEX_LEN) == 0 && !mapping_failed(mapping);
}

static struct page_source *source_take(struct mapping *mapping, const struct prefix_head *head)
{
    struct page_source *source = xcalloc(1, sizeof *source + head->pages * sizeof(struct page));
    source->mapping = mapping;
    atomic_store(&source->refs, (unsigned)head->pages);
    for (size_t i = 0; i < head->pages; i++) {
        source->pages[i].data = mapping->bytes + pages_offset(head) + i * head->page_bytes;
        source->pages[i].source = source;
        atomic_store(&source->pages[i].refs, 1);
    }
    return source;
}

static struct engine_sequence *map_prefix(struct engine *engine, const char *path, const int32_t *tokens,
                                          size_t count)
{
    struct prefix_head head = head_of(engine, count);
    AUTO(mapping) struct mapping *mapping = mapping_open(path, NULL);
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
    if (!mapping || !sequence || atomic_load(&engine->is_merged) || !is_sound(mapping, &head, tokens))
        return NULL;
    memcpy(sequence->tokens, tokens, count * sizeof *tokens);
    memcpy(sequence->hidden, mapping->bytes + sizeof head + count * sizeof *tokens, head.dim * sizeof(float));
    sequence->len = sequence->hidden_len = count;
    struct page_source *source = source_take(STEAL(mapping), &head);
    for (size_t i = 0; i < head.pages; i++)
        sequence->pages[i] = &source->pages[i];
    sequence->n_pages = head.pages;
    return STEAL(sequence);
}

/* ---- writing ---- */

static bool write_pages(struct cache_file *file, const struct engine_sequence *s,
                        const struct prefix_head *head, const char *front, size_t front_len,
                        struct error **err)
{
    if (!cache_file_write(file, head, sizeof *head, err) || !cache_file_write(file, front, front_len, err))
        return false;
    for (size_t i = 0; i < head->pages; i++)
        if (!cache_file_write(file, s->pages[i]->data, head->page_bytes, err))
            return false;
    return true;
}

static bool save_prefix(const struct engine_sequence *s, const char *path, struct error **err)
{
    struct prefix_head head = head_of(s->engine, s->len);
    size_t front_len = pages_offset(&head) - sizeof head;
    AUTO(text) char *front = xcalloc(front_len, 1);
    memcpy(front, s->tokens, s->len * sizeof *s->tokens);
    memcpy(front + s->len * sizeof *s->tokens, s->hidden, head.dim * sizeof(float));
    char hex[SHA256_HEX_LEN + 1];
    struct sha256 *hash = sha256_new();
    sha256_add(hash, (struct str){ front, front_len });
    for (size_t i = 0; i < head.pages; i++)
        sha256_add(hash, (struct str){ (const char *)s->pages[i]->data, head.page_bytes });
    sha256_end(hash, hex);
    memcpy(head.body_sha256, hex, SHA256_HEX_LEN);
    struct cache_file *file =
        file_make_directories(s->engine->cache_dir, err) ? cache_file_new(path, err) : NULL;
    if (!file)
        return false;
    if (write_pages(file, s, &head, front, front_len, err))
        return cache_file_commit(file, err);
    cache_file_drop(file);
    return false;
}

/* ---- the call ---- */

static struct engine_sequence *compute_prefix(struct engine *engine, const int32_t *tokens, size_t count,
                                              struct error **err)
{
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, err);
    struct engine_item item = { .sequence = sequence, .tokens = tokens, .count = count };
    return sequence && engine_step(engine, &item, 1, err) ? STEAL(sequence) : NULL;
}

struct engine_sequence *engine_prefix_open(struct engine *engine, const int32_t *tokens, size_t count,
                                           bool *was_cached, struct error **err)
{
    if (was_cached)
        *was_cached = false;
    if (count == 0 || count > engine->info.context) {
        error_set(err, count ? ERROR_LIMIT : ERROR_INVALID, "a prefix of %zu tokens: the context holds %u",
                  count, engine->info.context);
        return NULL;
    }
    if (!engine->cache_dir || !engine_sha256(engine, err))
        return engine->cache_dir ? NULL : compute_prefix(engine, tokens, count, err);
    AUTO(text) char *path = prefix_path(engine, tokens, count);
    struct engine_sequence *sequence = map_prefix(engine, path, tokens, count);
    if (sequence) {
        if (was_cached)
            *was_cached = true;
        return sequence;
    }
    sequence = compute_prefix(engine, tokens, count, err);
    if (sequence && !atomic_load(&engine->is_merged))
        save_prefix(sequence, path, NULL);
    return sequence;
}
