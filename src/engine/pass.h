/* One pass through the model: up to `capacity` rows (tokens), of one sequence or of many, all threads together.
 * Every row is computed as if it were alone; what it shares with others is only the weights' way through the cache. */
#ifndef ENGINE_PASS_H
#define ENGINE_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/cache.h"
#include "engine/model.h"
#include "engine/pool.h"

struct adapter;

/* ln P(token) after a row, wanted for some tokens. */
struct pass_score {
    int32_t token;
    double log_probability; /* out */
};

struct pass_row {
    int32_t token;
    uint32_t position;
    struct page *const *pages;     /* of its sequence: positions 16 i … 16 i + 15 in pages[i] */
    const struct adapter *adapter; /* NULL: none */
    float adapter_scale;

    bool in_tree;   /* a node of a trie: it sees its sequence and its ancestors only */
    int32_t parent; /* in_tree: the row before it; -1: the sequence's last token */
    uint32_t base;  /* in_tree: the sequence's length */

    uint32_t tag; /* the caller's: the row keeps it when silent ones are dropped */
    bool wants_hidden;
    float *logits; /* [vocab], or NULL */
    struct pass_score *scores;
    uint32_t n_scores;

    unsigned char *tail; /* the pass's own: in_tree: pages from base / 16 on */
};

struct pass_memory {      /* of one thread */
    unsigned char *panel; /* also the products of a group's gate */
    float *gates;         /* [capacity][16] */
    float *row;           /* [widest] */
    unsigned char *quants;
    float *floats;
    float *attend;
    float *adapt; /* adapter_scratch_floats() */
};

struct pass_tile {
    uint32_t first, count; /* rows of one sequence that follow each other */
};

enum { PASS_QUERIES = 48, PASS_HEAD_ROWS = 16, PASS_TAIL_PAGES = 512 };

struct pass {
    const struct model *model;
    const struct kernels *kernels;
    struct pool *pool;
    uint32_t capacity;
    size_t head_bytes; /* of a page: one layer, one KV head */

    struct pass_row *rows;     /* [capacity]; the caller fills the first n */
    uint32_t n;                /* rows in work; after the last layer, those that give something */
    float *hidden;             /* [n + 1][dim]: the final norm's output of the rows left */
    const float *given;        /* or NULL: a hidden state that wants logits or scores too, */
    struct pass_row given_row; /* which comes out as the last row */

    float *x, *normed, *q, *k, *v, *attended, *h; /* [capacity][…] */
    unsigned char *quants;
    float *floats;
    float *logits; /* [PASS_HEAD_ROWS][vocab] */
    float *logit_rows[PASS_HEAD_ROWS];
    uint32_t logit_of[PASS_HEAD_ROWS];
    unsigned char *tails;
    struct pass_tile *tiles;
    uint32_t n_tiles;
    bool has_tree, has_adapter;
    float *rope; /* [context][2][head_dim] */
    struct experts *experts;
    float *gates;               /* [capacity][ffn]: of rows with adapters, before silu */
    struct pass_memory *memory; /* [threads] */
    unsigned char *arena;       /* all of the above lies in it */
    size_t arena_bytes;
};

/* Bytes that pass_new() will take. */
size_t pass_bytes(const struct model *model, uint32_t capacity, uint32_t context, unsigned threads);
struct pass *pass_new(const struct model *model, const struct kernels *kernels, struct pool *pool,
                      uint32_t capacity, uint32_t context, struct error **err);
void pass_free(struct pass *pass);

/* Rows 0..n-1: hidden states and logits where wanted. Rows of one sequence stand together, in order of position.
 * Afterwards rows[0..pass->n) are those that gave something, and hidden[i] belongs to rows[i]. n may be 0 with `given`. */
void pass_run(struct pass *pass, uint32_t n);

/* Pages of the tail area that a tree row at `position` over a sequence of `base` tokens takes. */
static inline uint32_t pass_tail_pages(uint32_t base, uint32_t position)
{
    return position / PAGE - base / PAGE + 1;
}

#endif
