/* Joining neighbours in the order of their rank: a linked list of symbols, and a heap of the pairs that may be joined.
 * n symbols take n log n steps, whatever they are. Used for long words of BPE and for SentencePiece's whole texts. */
#include "engine/tokenizer_internal.h"

#include <stdlib.h>

struct candidate {
    uint32_t rank, at, left_len, right_len, result; /* stale if the lengths are others by now */
};
struct joiner {
    const struct tokenizer *t;
    struct symbol *symbols;
    join_lookup *lookup;
    struct candidate *heap; /* the least (rank, at) first */
    size_t n_heap;
};

static bool comes_before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(struct joiner *joiner, struct candidate candidate)
{
    size_t at = joiner->n_heap++;
    for (; at > 0 && comes_before(&candidate, &joiner->heap[(at - 1) / 2]); at = (at - 1) / 2)
        joiner->heap[at] = joiner->heap[(at - 1) / 2];
    joiner->heap[at] = candidate;
}

static struct candidate pop(struct joiner *joiner)
{
    struct candidate first = joiner->heap[0], last = joiner->heap[--joiner->n_heap];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < joiner->n_heap) {
        if (child + 1 < joiner->n_heap && comes_before(&joiner->heap[child + 1], &joiner->heap[child]))
            child++;
        if (!comes_before(&joiner->heap[child], &last))
            break;
        joiner->heap[at] = joiner->heap[child];
        at = child;
    }
    joiner->heap[at] = last;
    return first;
}

static void consider(struct joiner *joiner, uint32_t at)
{
    if (at == SYMBOL_NONE || joiner->symbols[at].next == SYMBOL_NONE)
        return;
    const struct symbol *left = &joiner->symbols[at], *right = &joiner->symbols[left->next];
    struct candidate c = { .at = at, .left_len = left->text.len, .right_len = right->text.len };
    if (joiner->lookup(joiner->t, left, right, &c.rank, &c.result))
        push(joiner, c);
}

static void apply(struct joiner *joiner, const struct candidate *c)
{
    struct symbol *left = &joiner->symbols[c->at];
    if (left->text.len != c->left_len || left->next == SYMBOL_NONE ||
        joiner->symbols[left->next].text.len != c->right_len)
        return;
    struct symbol *right = &joiner->symbols[left->next];
    left->piece = c->result;
    left->text.len += right->text.len;
    left->next = right->next;
    right->text.len = 0; /* so that its own candidates are stale */
    if (left->next != SYMBOL_NONE)
        joiner->symbols[left->next].previous = c->at;
    consider(joiner, left->previous);
    consider(joiner, c->at);
}

/* Each join removes a symbol and adds two candidates at most: 3n places are enough. */
bool join_symbols(const struct tokenizer *t, struct symbol *symbols, size_t n, join_lookup *lookup,
                  struct error **err)
{
    if (n < 2)
        return true;
    struct joiner joiner = { .t = t, .symbols = symbols, .lookup = lookup };
    joiner.heap = malloc(3 * n * sizeof *joiner.heap);
    if (!joiner.heap)
        return error_set(err, ERROR_NO_MEMORY, "no memory to tokenize a text of %zu symbols", n);
    for (size_t i = 0; i + 1 < n; i++)
        consider(&joiner, (uint32_t)i);
    while (joiner.n_heap) {
        struct candidate c = pop(&joiner);
        apply(&joiner, &c);
    }
    free(joiner.heap);
    return true;
}

struct symbol *new_symbols(size_t n, struct error **err)
{
    struct symbol *symbols = malloc((n + 1) * sizeof *symbols);
    if (!symbols)
        error_set(err, ERROR_NO_MEMORY, "no memory to tokenize a text of %zu symbols", n);
    for (size_t i = 0; symbols && i < n; i++)
        symbols[i] = (struct symbol){ .previous = i ? (uint32_t)i - 1 : SYMBOL_NONE,
                                      .next = i + 1 < n ? (uint32_t)i + 1 : SYMBOL_NONE };
    return symbols;
}
