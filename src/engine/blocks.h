/* What layers are made of. Every thread of the pool calls each block, which splits its work and has its barriers. */
#ifndef ENGINE_BLOCKS_H
#define ENGINE_BLOCKS_H

#include "engine/pass.h"

void block_attention(struct pass *pass, unsigned thread,
                     uint32_t layer); /* x += residual * out(attend(norm(x))) */
void block_dense_ffn(struct pass *pass, unsigned thread,
                     uint32_t layer); /* x += residual * down(silu(gate) up) */
void block_experts_ffn(struct pass *pass, unsigned thread,
                       uint32_t layer); /* the same over the router's choice */

/* ---- for the blocks themselves, and pass.c ---- */

/* A thread's part of `total` items: a fixed range for few rows (the same weights go to the same core each time),
 * one by one as threads get free for many. */
struct share {
    struct pool *pool;
    size_t at, end;
    bool one_by_one;
};
struct share share_of(const struct pass *pass, unsigned thread, size_t total, bool one_by_one);
bool share_next(struct share *share, size_t *item);

/* n rows of x, through the norm if there is one, quantised and arranged as the matrices need. Ends with a barrier, but
 * for one row, which each thread prepares for itself. */
enum { NEED_QUANTS = 1, NEED_FLOATS = 2 };
static inline unsigned need_of(const struct matrix *m)
{
    return type_is_float(m->type) ? NEED_FLOATS : NEED_QUANTS;
}
struct activations prepare(struct pass *pass, unsigned thread, const float *x, uint32_t n, uint32_t cols,
                           const float *norm, unsigned needs);

/* This thread's share of matrix times activations. No barrier. */
void multiply_share(struct pass *pass, unsigned thread, const struct matrix *matrix,
                    const struct activations *a, const struct product *product);

struct experts *experts_new(const struct model *model, uint32_t capacity);
size_t experts_bytes(const struct model *model, uint32_t capacity);
void experts_free(struct experts *experts);

#endif
