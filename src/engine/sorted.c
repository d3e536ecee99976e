/* The vocabulary in the order of its bytes, for walks along an automaton (constrain.c). */
#include <stdlib.h>

#include "engine/tokenizer_internal.h"

static int by_bytes(const void *a, const void *b, void *context)
{
    const struct sorted_token *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    int order = str_cmp(tokenizer_bytes(context, x->token), tokenizer_bytes(context, y->token));
    return order ? order : x->token < y->token ? -1 : x->token > y->token;
}

static uint64_t head_of(struct str bytes)
{
    uint64_t head = 0;
    for (size_t i = 0; i < 8; i++)
        head = head << 8 | (i < bytes.len ? (unsigned char)bytes.ptr[i] : 0);
    return head;
}

static uint32_t shared_bytes(struct str a, struct str b)
{
    uint32_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

static bool sort_tokens(const struct tokenizer *tokenizer, struct sorted_tokens *out, struct error **err)
{
    size_t count = tokenizer_count(tokenizer);
    out->tokens = malloc((count + 1) * sizeof *out->tokens);
    if (!out->tokens)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu tokens", count);
    for (size_t i = 0; i < count; i++) {
        struct str bytes = tokenizer_bytes(tokenizer, (int32_t)i);
        if (bytes.len == 0 || tokenizer_is_end(tokenizer, (int32_t)i))
            continue;
        out->tokens[out->count++] = (struct sorted_token){ .head = head_of(bytes), .token = (int32_t)i };
        out->longest = MAX(out->longest, bytes.len);
    }
    qsort_r(out->tokens, out->count, sizeof *out->tokens, by_bytes, (void *)(uintptr_t)tokenizer);
    for (size_t i = 1; i < out->count; i++)
        out->tokens[i].shared = shared_bytes(tokenizer_bytes(tokenizer, out->tokens[i - 1].token),
                                             tokenizer_bytes(tokenizer, out->tokens[i].token));
    return true;
}

const struct sorted_tokens *tokenizer_sorted(const struct tokenizer *tokenizer, struct error **err)
{
    struct tokenizer *own = (struct tokenizer *)(uintptr_t)tokenizer; /* its lock guards what is made late */
    pthread_mutex_lock(&own->lock);
    bool ok = own->sorted.tokens || sort_tokens(tokenizer, &own->sorted, err);
    pthread_mutex_unlock(&own->lock);
    return ok ? &own->sorted : NULL;
}
