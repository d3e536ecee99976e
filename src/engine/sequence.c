/* Sequences: tokens, and the pages that hold their keys and values. Forks share pages by counted reference; who writes
 * into a page that others hold too copies it first. Only the last page is ever written, so a fork costs a page. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

struct engine_sequence *engine_sequence_new(struct engine *engine, struct error **err)
{
    struct engine_sequence *s = xcalloc(1, sizeof *s);
    s->engine = engine;
    atomic_fetch_add(&engine->sequences, 1);
    s->pages = calloc(engine->info.context / PAGE + 1, sizeof *s->pages);
    s->tokens = calloc(engine->info.context, sizeof *s->tokens);
    s->hidden = calloc(engine->info.dim, sizeof *s->hidden);
    if (s->pages && s->tokens && s->hidden)
        return s;
    engine_sequence_free(s);
    error_set(err, ERROR_NO_MEMORY, "no memory for a sequence of %u tokens", engine->info.context);
    return NULL;
}

struct engine_sequence *engine_sequence_fork(const struct engine_sequence *from, struct error **err)
{
    struct engine_sequence *s = engine_sequence_new(from->engine, err);
    if (!s)
        return NULL;
    for (size_t i = 0; i < from->n_pages; i++) {
        page_ref(from->pages[i]);
        s->pages[i] = from->pages[i];
    }
    s->n_pages = from->n_pages;
    s->len = from->len;
    memcpy(s->tokens, from->tokens, from->len * sizeof *s->tokens);
    memcpy(s->hidden, from->hidden, from->engine->info.dim * sizeof *s->hidden);
    s->hidden_len = from->hidden_len;
    s->adapter = from->adapter;
    s->adapter_scale = from->adapter_scale;
    return s;
}

static void let_go(struct engine_sequence *s, size_t keep)
{
    while (s->n_pages > keep)
        page_unref(s->engine->cache, s->pages[--s->n_pages]);
}

void engine_sequence_free(struct engine_sequence *sequence)
{
    if (!sequence)
        return;
    let_go(sequence, 0);
    atomic_fetch_sub(&sequence->engine->sequences, 1);
    free(sequence->pages);
    free(sequence->tokens);
    free(sequence->hidden);
    free(sequence);
}

size_t engine_sequence_len(const struct engine_sequence *sequence)
{
    return sequence->len;
}
const int32_t *engine_sequence_tokens(const struct engine_sequence *sequence)
{
    return sequence->tokens;
}

void engine_sequence_truncate(struct engine_sequence *sequence, size_t len)
{
    if (len >= sequence->len)
        return;
    sequence->len = len;
    if (sequence->hidden_len != len)
        sequence->hidden_len = 0;
    let_go(sequence, (len + PAGE - 1) / PAGE);
}

static bool no_page(const struct engine *engine, struct error **err)
{
    return error_set(err, ERROR_NO_MEMORY,
                     "all %u cache positions are in use: free sequences, or raise cache_tokens",
                     engine->info.cache_tokens);
}

/* The page at the end, if it is partly filled and not ours alone, or not ours to write. */
static bool own_last_page(struct engine_sequence *s, struct error **err)
{
    struct page **last = &s->pages[s->len / PAGE];
    if (s->len % PAGE == 0 || ((*last)->source == NULL && atomic_load(&(*last)->refs) == 1))
        return true;
    struct page *copy = cache_take(s->engine->cache);
    if (!copy)
        return no_page(s->engine, err);
    memcpy(copy->data, (*last)->data,
           s->engine->model->layers * s->engine->model->kv_heads * s->engine->pass->head_bytes);
    page_unref(s->engine->cache, *last);
    *last = copy;
    return true;
}

bool sequence_reserve(struct engine_sequence *s, size_t len, struct error **err)
{
    if (len > s->engine->info.context)
        return error_set(err, ERROR_LIMIT, "a sequence of %zu tokens: the context holds %u", len,
                         s->engine->info.context);
    if (!own_last_page(s, err))
        return false;
    while (s->n_pages * PAGE < len) {
        struct page *page = cache_take(s->engine->cache);
        if (!page) {
            let_go(s, (s->len + PAGE - 1) / PAGE);
            return no_page(s->engine, err);
        }
        s->pages[s->n_pages++] = page;
    }
    return true;
}
