#include "engine/blocks.h"

#include <string.h>

#include "engine/adapter.h"

struct share share_of(const struct pass *pass, unsigned thread, size_t total, bool one_by_one)
{
    unsigned threads = pool_threads(pass->pool);
    if (one_by_one)
        return (struct share){ pass->pool, 0, total, true };
    return (struct share){ pass->pool, total * thread / threads, total * (thread + 1) / threads, false };
}

bool share_next(struct share *share, size_t *item)
{
    if (share->one_by_one) {
        *item = pool_next(share->pool, 1);
        return *item < share->end;
    }
    *item = share->at++;
    return *item < share->end;
}

static bool is_many(uint32_t n)
{
    return n > 1;
}

/* Few rows are bound by the weights' way from memory, which runs best in order: a fixed run of groups for each thread. */
static bool one_by_one(const struct activations *a)
{
    return a->rows > a->tile;
}

/* ---- activations ---- */

static void prepare_rows(struct pass *pass, struct activations *a, const float *x, uint32_t first,
                         uint32_t count, const float *norm, float *normed)
{
    const struct kernels *k = pass->kernels;
    const float *source = norm ? normed : x;
    for (uint32_t row = first; norm && row < first + count; row++)
        k->rmsnorm(normed + (size_t)row * a->cols, x + (size_t)row * a->cols, norm, a->cols,
                   pass->model->rms_eps);
    if (a->quants)
        k->quantize(a, source, a->cols, first, count);
    if (a->floats)
        k->arrange(a, source, a->cols, first, count);
}

struct activations prepare(struct pass *pass, unsigned thread, const float *x, uint32_t n, uint32_t cols,
                           const float *norm, unsigned needs)
{
    struct pass_memory *own = &pass->memory[thread];
    struct activations a = { .rows = n, .cols = cols, .tile = pass->kernels->tile };
    a.quants = !(needs & NEED_QUANTS) ? NULL : is_many(n) ? pass->quants : own->quants;
    a.floats = !(needs & NEED_FLOATS) ? NULL : is_many(n) ? pass->floats : own->floats;
    if (!is_many(n)) {
        prepare_rows(pass, &a, x, 0, n, norm, own->row);
        return a;
    }
    size_t tile;
    struct share share = share_of(pass, thread, (n + a.tile - 1) / a.tile, true);
    while (share_next(&share, &tile)) {
        uint32_t first = (uint32_t)tile * a.tile;
        prepare_rows(pass, &a, x, first, MIN(n - first, a.tile), norm, pass->normed);
    }
    pool_barrier(pass->pool);
    return a;
}

void multiply_share(struct pass *pass, unsigned thread, const struct matrix *matrix,
                    const struct activations *a, const struct product *product)
{
    size_t group;
    struct share share = share_of(pass, thread, matrix->groups, one_by_one(a));
    while (share_next(&share, &group))
        pass->kernels->multiply(matrix, (uint32_t)group, a, product, pass->memory[thread].panel);
}

/* What prepare() made of the rows before quantising them. */
static const float *normed_rows(const struct pass *pass, unsigned thread)
{
    return is_many(pass->n) ? pass->normed : pass->memory[thread].row;
}

/* ---- attention: query, key, value ---- */

static void multiply_qkv(struct pass *pass, unsigned thread, uint32_t layer)
{
    const struct layer *l = &pass->model->layer[layer];
    const struct matrix *matrices[] = { &l->query, &l->key, &l->value };
    float *outs[] = { pass->q, pass->k, pass->v };
    unsigned needs = need_of(&l->query) | need_of(&l->key) | need_of(&l->value);
    struct activations a =
        prepare(pass, thread, pass->x, pass->n, pass->model->dim, l->attention_norm, needs);
    size_t item, total = l->query.groups + l->key.groups + l->value.groups;
    struct share share = share_of(pass, thread, total, one_by_one(&a));
    while (share_next(&share, &item)) {
        int i = 0;
        for (; item >= matrices[i]->groups; i++)
            item -= matrices[i]->groups;
        struct product product = { .out = outs[i], .stride = matrices[i]->rows, .scale = 1 };
        pass->kernels->multiply(matrices[i], (uint32_t)item, &a, &product, pass->memory[thread].panel);
    }
    pool_barrier(pass->pool);
    for (int i = 0; i < 3; i++)
        adapter_apply(pass, thread, layer, (enum adapted)(ADAPTED_QUERY + i), normed_rows(pass, thread),
                      outs[i], 1);
}

static unsigned char *page_head(const struct pass *pass, const struct pass_row *row, uint32_t page,
                                uint32_t layer, uint32_t kv_head)
{
    uint32_t kv_heads = pass->model->kv_heads, shared = row->base / PAGE;
    if (row->in_tree && page >= shared)
        return row->tail + ((size_t)(page - shared) * kv_heads + kv_head) * pass->head_bytes;
    return row->pages[page]->data + ((size_t)layer * kv_heads + kv_head) * pass->head_bytes;
}

static void rotate(const struct pass *pass, float *x, uint32_t position)
{
    const struct model *m = pass->model;
    const float *cosines = pass->rope + (size_t)position * 2 * m->head_dim, *sines = cosines + m->head_dim;
    if (m->architecture->rope == ROPE_PAIRS)
        pass->kernels->rope_pairs(x, cosines, sines, m->head_dim);
    else
        pass->kernels->rope_halves(x, cosines, sines, m->head_dim);
}

/* Heads are numbered query heads first, then keys', then values'. */
static void finish_head(struct pass *pass, uint32_t r, uint32_t layer, uint32_t head)
{
    const struct model *m = pass->model;
    const struct pass_row *row = &pass->rows[r];
    const struct layer *l = &m->layer[layer];
    uint32_t dim = m->head_dim, wide = m->heads * dim, narrow = m->kv_heads * dim;
    if (head < m->heads) {
        float *q = pass->q + (size_t)r * wide + head * dim;
        if (l->query_bias)
            pass->kernels->scale_add(q, l->query_bias + head * dim, 1, dim);
        rotate(pass, q, row->position);
        pass->kernels->scale(q, m->attention_scale, dim);
        return;
    }
    bool is_key = head < m->heads + m->kv_heads;
    uint32_t kv_head = (head - m->heads) % m->kv_heads, slot = row->position % PAGE;
    const float *bias = is_key ? l->key_bias : l->value_bias;
    float *x = (is_key ? pass->k : pass->v) + (size_t)r * narrow + kv_head * dim;
    if (bias)
        pass->kernels->scale_add(x, bias + kv_head * dim, 1, dim);
    if (is_key)
        rotate(pass, x, row->position);
    if (row->in_tree)
        return;
    unsigned char *page = page_head(pass, row, row->position / PAGE, layer, kv_head);
    (is_key ? pass->kernels->store_key : pass->kernels->store_value)(page, x, dim, slot);
}

static void finish_heads(struct pass *pass, unsigned thread, uint32_t layer)
{
    uint32_t heads = pass->model->heads + 2 * pass->model->kv_heads;
    size_t item;
    struct share share = share_of(pass, thread, (size_t)pass->n * heads, false);
    while (share_next(&share, &item))
        finish_head(pass, (uint32_t)(item / heads), layer, (uint32_t)(item % heads));
    pool_barrier(pass->pool);
}

/* A node's own pages: what its sequence has in the last, partly filled one, then its ancestors and itself. */
static void build_tail(struct pass *pass, uint32_t r, uint32_t layer)
{
    const struct model *m = pass->model;
    const struct pass_row *row = &pass->rows[r];
    size_t narrow = (size_t)m->kv_heads * m->head_dim, page_bytes = m->kv_heads * pass->head_bytes;
    if (row->base % PAGE)
        memcpy(row->tail, row->pages[row->base / PAGE]->data + layer * page_bytes, page_bytes);
    for (int32_t a = (int32_t)r; a >= 0; a = pass->rows[a].parent) {
        uint32_t position = pass->rows[a].position;
        for (uint32_t h = 0; h < m->kv_heads; h++) {
            unsigned char *page = page_head(pass, row, position / PAGE, layer, h);
            pass->kernels->store_key(page, pass->k + a * narrow + h * m->head_dim, m->head_dim,
                                     position % PAGE);
            pass->kernels->store_value(page, pass->v + a * narrow + h * m->head_dim, m->head_dim,
                                       position % PAGE);
        }
    }
}

static void build_tails(struct pass *pass, unsigned thread, uint32_t layer)
{
    size_t row;
    struct share share = share_of(pass, thread, pass->n, true);
    while (share_next(&share, &row))
        if (pass->rows[row].in_tree)
            build_tail(pass, (uint32_t)row, layer);
    pool_barrier(pass->pool);
}

/* ---- attention: looking ---- */

/* Query heads first_head..+n_heads, all of one KV head, of a tile's rows. */
static void attend_tile(struct pass *pass, unsigned thread, const struct pass_tile *tile, uint32_t layer,
                        uint32_t first_head, uint32_t n_heads)
{
    const struct model *m = pass->model;
    const float *queries[PASS_QUERIES];
    float *outs[PASS_QUERIES];
    uint32_t lengths[PASS_QUERIES], n = 0, kv_head = first_head / (m->heads / m->kv_heads);
    const struct pass_row *last = &pass->rows[tile->first + tile->count - 1];
    const unsigned char **pages = (const unsigned char **)(void *)pass->memory[thread].panel;
    for (uint32_t page = 0; page <= last->position / PAGE; page++)
        pages[page] = page_head(pass, last, page, layer, kv_head);
    for (uint32_t r = tile->first; r < tile->first + tile->count; r++)
        for (uint32_t h = first_head; h < first_head + n_heads; h++, n++) {
            size_t at = ((size_t)r * m->heads + h) * m->head_dim;
            queries[n] = pass->q + at;
            outs[n] = pass->attended + at;
            lengths[n] = pass->rows[r].position + 1;
        }
    pass->kernels->attend(&(struct attend){ .head_dim = m->head_dim,
                                            .n_queries = n,
                                            .queries = queries,
                                            .outs = outs,
                                            .lengths = lengths,
                                            .pages = pages,
                                            .scratch = pass->memory[thread].attend });
}

/* Few rows: heads one by one would read a KV head's keys again for each query head, so runs of them go together. */
static void attend_few(struct pass *pass, unsigned thread, uint32_t layer)
{
    const struct model *m = pass->model;
    uint32_t group = m->heads / m->kv_heads;
    struct share share = share_of(pass, thread, (size_t)pass->n_tiles * m->heads, false);
    while (share.at < share.end) {
        uint32_t tile = (uint32_t)(share.at / m->heads), head = (uint32_t)(share.at % m->heads);
        uint32_t run = (uint32_t)MIN(share.end - share.at, (size_t)(group - head % group));
        run = MIN(run, (uint32_t)PASS_QUERIES);
        attend_tile(pass, thread, &pass->tiles[tile], layer, head, run);
        share.at += run;
    }
}

/* Many rows: later tiles see more keys, so they go first and the threads end together. */
static void attend_many(struct pass *pass, unsigned thread, uint32_t layer)
{
    const struct model *m = pass->model;
    uint32_t group = m->heads / m->kv_heads;
    size_t item, total = (size_t)pass->n_tiles * m->kv_heads;
    struct share share = share_of(pass, thread, total, true);
    while (share_next(&share, &item)) {
        const struct pass_tile *tile = &pass->tiles[(total - 1 - item) / m->kv_heads];
        uint32_t kv_head = (uint32_t)((total - 1 - item) % m->kv_heads);
        uint32_t at_once = MIN(group, PASS_QUERIES / tile->count);
        for (uint32_t h = 0; h < group; h += at_once)
            attend_tile(pass, thread, tile, layer, kv_head * group + h, MIN(at_once, group - h));
    }
}

static void cut_into_tiles(struct pass *pass)
{
    uint32_t group = pass->model->heads / pass->model->kv_heads;
    uint32_t most = MAX(PASS_QUERIES / group, 1u);
    pass->n_tiles = 0;
    for (uint32_t r = 0; r < pass->n; r++) {
        const struct pass_row *row = &pass->rows[r];
        struct pass_tile *tile = pass->n_tiles ? &pass->tiles[pass->n_tiles - 1] : NULL;
        if (tile && tile->count < most && !row->in_tree && !row[-1].in_tree && row->pages == row[-1].pages)
            tile->count++;
        else
            pass->tiles[pass->n_tiles++] = (struct pass_tile){ r, 1 };
    }
}

/* After the last layer's keys and values are stored, only rows that give something go on. */
static void drop_silent_rows(struct pass *pass)
{
    const struct model *m = pass->model;
    size_t dim = m->dim, wide = (size_t)m->heads * m->head_dim;
    uint32_t kept = 0;
    for (uint32_t r = 0; r < pass->n; r++) {
        const struct pass_row *row = &pass->rows[r];
        if (!row->wants_hidden && !row->logits && !row->n_scores)
            continue;
        if (kept != r) {
            memcpy(pass->x + kept * dim, pass->x + r * dim, dim * sizeof(float));
            memcpy(pass->q + kept * wide, pass->q + r * wide, wide * sizeof(float));
            pass->rows[kept] = *row;
        }
        kept++;
    }
    pass->n = kept;
}

void block_attention(struct pass *pass, unsigned thread, uint32_t layer)
{
    const struct model *m = pass->model;
    const struct layer *l = &m->layer[layer];
    if (thread == 0 && layer == 0)
        cut_into_tiles(pass); /* read only after the barriers below */
    multiply_qkv(pass, thread, layer);
    finish_heads(pass, thread, layer);
    if (pass->has_tree)
        build_tails(pass, thread, layer);
    if (layer + 1 == m->layers) {
        if (thread == 0) {
            drop_silent_rows(pass);
            cut_into_tiles(pass);
        }
        pool_barrier(pass->pool);
        if (pass->n == 0)
            return;
    }
    if ((size_t)pass->n_tiles * m->kv_heads < 8 * pool_threads(pass->pool) && pass->n_tiles == pass->n)
        attend_few(pass, thread, layer);
    else
        attend_many(pass, thread, layer);
    pool_barrier(pass->pool);
    uint32_t wide = m->heads * m->head_dim;
    struct activations a =
        prepare(pass, thread, pass->attended, pass->n, wide, NULL, need_of(&l->attention_out));
    multiply_share(
        pass, thread, &l->attention_out, &a,
        &(struct product){ .out = pass->x, .stride = m->dim, .scale = m->residual_scale, .add = true });
    pool_barrier(pass->pool);
    adapter_apply(pass, thread, layer, ADAPTED_OUT, pass->attended, pass->x, m->residual_scale);
}

/* ---- feed-forward ---- */

/* Gate and up meet in silu() before the next matrix, so adapters have to come between. */
static void adapted_gate_up(struct pass *pass, unsigned thread, uint32_t layer, const struct activations *a)
{
    const struct layer *l = &pass->model->layer[layer];
    const float *x = normed_rows(pass, thread);
    multiply_share(pass, thread, &l->gate, a,
                   &(struct product){ .out = pass->gates, .stride = l->gate.rows, .scale = 1 });
    pool_barrier(pass->pool);
    multiply_share(pass, thread, &l->up, a,
                   &(struct product){ .out = pass->h, .stride = l->up.rows, .scale = 1 });
    pool_barrier(pass->pool);
    adapter_apply(pass, thread, layer, ADAPTED_GATE, x, pass->gates, 1);
    adapter_apply(pass, thread, layer, ADAPTED_UP, x, pass->h, 1);
    size_t row, ffn = l->up.rows;
    struct share share = share_of(pass, thread, pass->n, false);
    while (share_next(&share, &row))
        pass->kernels->silu_multiply(pass->h + row * ffn, pass->gates + row * ffn, pass->h + row * ffn, ffn);
    pool_barrier(pass->pool);
}

static void multiply_gate_up(struct pass *pass, unsigned thread, const struct layer *l,
                             const struct activations *a)
{
    struct pass_memory *own = &pass->memory[thread];
    struct product gate = { .out = own->gates, .stride = LANES, .scale = 1, .narrow = true };
    size_t group;
    struct share share = share_of(pass, thread, l->gate.groups, one_by_one(a));
    while (share_next(&share, &group)) {
        pass->kernels->multiply(&l->gate, (uint32_t)group, a, &gate, own->panel);
        struct product up = { .out = pass->h, .stride = l->up.rows, .scale = 1 };
        pass->kernels->multiply(&l->up, (uint32_t)group, a, &up, own->panel);
        for (uint32_t r = 0; r < a->rows; r++) {
            float *h = pass->h + (size_t)r * l->up.rows + group * LANES;
            pass->kernels->silu_multiply(h, own->gates + r * LANES, h, LANES);
        }
    }
    pool_barrier(pass->pool);
}

void block_dense_ffn(struct pass *pass, unsigned thread, uint32_t layer)
{
    const struct model *m = pass->model;
    const struct layer *l = &m->layer[layer];
    if (pass->n == 0)
        return;
    unsigned needs = need_of(&l->gate) | need_of(&l->up);
    struct activations a = prepare(pass, thread, pass->x, pass->n, m->dim, l->ffn_norm, needs);
    if (pass->has_adapter)
        adapted_gate_up(pass, thread, layer, &a);
    else
        multiply_gate_up(pass, thread, l, &a);
    a = prepare(pass, thread, pass->h, pass->n, m->ffn, NULL, need_of(&l->down));
    multiply_share(
        pass, thread, &l->down, &a,
        &(struct product){ .out = pass->x, .stride = m->dim, .scale = m->residual_scale, .add = true });
    pool_barrier(pass->pool);
    adapter_apply(pass, thread, layer, ADAPTED_DOWN, pass->h, pass->x, m->residual_scale);
}
