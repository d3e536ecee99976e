/* Mixture of experts: a router picks a few experts for each row; rows are gathered by expert, so that an expert's
 * weights are read once for all its rows; the results are added row by row in the order of the router's preference. */
#include <stdlib.h>
#include <string.h>

#include "engine/blocks.h"

/* A row's turn with one expert; all turns are ordered by expert. */
struct turn {
    uint32_t row;
    float weight;
};

struct experts {
    float *routing;        /* [capacity][experts] */
    uint32_t *chosen;      /* [capacity][used]: experts, most probable first */
    uint32_t *turn_of;     /* [capacity][used]: where in `turns` */
    uint32_t *start;       /* [experts + 1]: an expert's first turn */
    struct turn *turns;    /* [capacity * used] */
    float *h, *out;        /* [capacity * used][ffn], [dim] */
    unsigned char *quants; /* of the gathered rows, expert after expert */
    float *floats;
    void *arena;
};

static void *take(unsigned char *base, size_t *at, size_t bytes)
{
    unsigned char *piece = base ? base + *at : NULL;
    *at += (bytes + 63) & ~(size_t)63;
    return piece;
}

/* Where the parts begin; with base NULL only the size is of interest. */
static size_t lay_out(struct experts *e, const struct model *m, uint32_t capacity, unsigned char *base)
{
    size_t at = 0, turns = (size_t)capacity * m->experts_used, widest = MAX(m->dim, m->ffn);
    e->routing = take(base, &at, (size_t)capacity * (m->experts + LANES) * sizeof(float));
    e->chosen = take(base, &at, turns * sizeof(uint32_t));
    e->turn_of = take(base, &at, turns * sizeof(uint32_t));
    e->start = take(base, &at, (m->experts + 1) * sizeof(uint32_t));
    e->turns = take(base, &at, turns * sizeof(struct turn));
    e->h = take(base, &at, turns * m->ffn * sizeof(float));
    e->out = take(base, &at, turns * m->dim * sizeof(float));
    e->quants = take(base, &at, turns * (widest / BLOCK) * QUANT_BYTES);
    e->floats = take(base, &at, turns * widest * sizeof(float));
    return at;
}

size_t experts_bytes(const struct model *model, uint32_t capacity)
{
    struct experts unused;
    return model->experts ? lay_out(&unused, model, capacity, NULL) : 0;
}

struct experts *experts_new(const struct model *model, uint32_t capacity)
{
    struct experts *experts = xcalloc(1, sizeof *experts);
    experts->arena = aligned_alloc(64, experts_bytes(model, capacity));
    if (!experts->arena) {
        free(experts);
        return NULL;
    }
    lay_out(experts, model, capacity, experts->arena);
    return experts;
}

void experts_free(struct experts *experts)
{
    if (experts)
        free(experts->arena);
    free(experts);
}

/* ---- routing ---- */

/* The `used` most probable experts of a row; of equals the one with the lower number. */
static void choose_experts(const float *probabilities, uint32_t experts, uint32_t used, uint32_t *chosen)
{
    for (uint32_t i = 0; i < used; i++) {
        uint32_t best = UINT32_MAX;
        for (uint32_t e = 0; e < experts; e++) {
            bool taken = false;
            for (uint32_t k = 0; k < i; k++)
                taken |= chosen[k] == e;
            if (!taken && (best == UINT32_MAX || probabilities[e] > probabilities[best]))
                best = e;
        }
        chosen[i] = best;
    }
}

static void route_rows(struct pass *pass, unsigned thread)
{
    const struct model *m = pass->model;
    struct experts *x = pass->experts;
    size_t row;
    struct share share = share_of(pass, thread, pass->n, false);
    while (share_next(&share, &row)) {
        pass->kernels->softmax(x->routing + row * m->experts, m->experts);
        choose_experts(x->routing + row * m->experts, m->experts, m->experts_used,
                       x->chosen + row * m->experts_used);
    }
    pool_barrier(pass->pool);
}

/* Their weights add up to 1. */
static void order_by_expert(struct pass *pass)
{
    const struct model *m = pass->model;
    struct experts *x = pass->experts;
    size_t turns = (size_t)pass->n * m->experts_used;
    memset(x->start, 0, (m->experts + 1) * sizeof *x->start);
    for (size_t i = 0; i < turns; i++)
        x->start[x->chosen[i] + 1]++;
    for (uint32_t e = 0; e < m->experts; e++)
        x->start[e + 1] += x->start[e];
    for (uint32_t row = 0; row < pass->n; row++) {
        const uint32_t *chosen = x->chosen + (size_t)row * m->experts_used;
        float sum = 0;
        for (uint32_t i = 0; i < m->experts_used; i++)
            sum += x->routing[row * m->experts + chosen[i]];
        for (uint32_t i = 0; i < m->experts_used; i++) {
            uint32_t turn = x->start[chosen[i]]++;
            x->turns[turn] = (struct turn){ row, x->routing[row * m->experts + chosen[i]] / sum };
            x->turn_of[(size_t)row * m->experts_used + i] = turn;
        }
    }
    for (uint32_t e = m->experts; e > 0; e--) /* each start has moved on to the next one's: move them back */
        x->start[e] = x->start[e - 1];
    x->start[0] = 0;
}

static void route(struct pass *pass, unsigned thread, const struct layer *l, const struct activations *a)
{
    struct product product = { .out = pass->experts->routing, .stride = pass->model->experts, .scale = 1 };
    multiply_share(pass, thread, &l->router, a, &product);
    pool_barrier(pass->pool);
    route_rows(pass, thread);
    if (thread == 0)
        order_by_expert(pass);
    pool_barrier(pass->pool);
}

/* ---- gathering ---- */

static struct activations activations_of(const struct pass *pass, uint32_t expert, uint32_t cols,
                                         unsigned needs)
{
    const struct experts *x = pass->experts;
    size_t start = x->start[expert];
    return (struct activations){
        .rows = x->start[expert + 1] - x->start[expert],
        .cols = cols,
        .tile = pass->kernels->tile,
        .quants = needs & NEED_QUANTS ? x->quants + activations_quant_bytes((uint32_t)start, cols) : NULL,
        .floats = needs & NEED_FLOATS ? x->floats + start * cols : NULL,
    };
}

/* A quantised row lies in pieces, one a block; see struct activations. */
static void copy_quants(const struct activations *to, uint32_t to_row, const struct activations *from,
                        uint32_t from_row)
{
    size_t row_bytes = activations_quant_bytes(1, to->cols);
    uint32_t to_first = to_row - to_row % to->tile, from_first = from_row - from_row % from->tile;
    uint32_t to_width = MIN(to->rows - to_first, to->tile),
             from_width = MIN(from->rows - from_first, from->tile);
    unsigned char *out = to->quants + to_first * row_bytes;
    const unsigned char *in = from->quants + from_first * row_bytes;
    to_row -= to_first;
    from_row -= from_first;
    for (uint32_t b = 0; b < to->cols / BLOCK;
         b++, out += to_width * QUANT_BYTES, in += from_width * QUANT_BYTES) {
        memcpy(out + 32 * to_row, in + 32 * from_row, 32);
        for (uint32_t i = 0; i < 5; i++)
            memcpy(out + 32 * to_width + 4 * (i * to_width + to_row),
                   in + 32 * from_width + 4 * (i * from_width + from_row), 4);
    }
}

static void copy_floats(const struct activations *to, uint32_t to_row, const struct activations *from,
                        uint32_t from_row)
{
    uint32_t to_first = to_row - to_row % to->tile, from_first = from_row - from_row % from->tile;
    uint32_t to_width = MIN(to->rows - to_first, to->tile),
             from_width = MIN(from->rows - from_first, from->tile);
    float *out = to->floats + (size_t)to_first * to->cols + to_row - to_first;
    const float *in = from->floats + (size_t)from_first * from->cols + from_row - from_first;
    for (size_t i = 0; i < to->cols; i++)
        out[i * to_width] = in[i * from_width];
}

static void gather_rows(struct pass *pass, unsigned thread, const struct activations *rows, unsigned needs)
{
    const struct experts *x = pass->experts;
    size_t expert;
    struct share share = share_of(pass, thread, pass->model->experts, true);
    while (share_next(&share, &expert)) {
        struct activations a = activations_of(pass, (uint32_t)expert, rows->cols, needs);
        for (uint32_t i = 0; i < a.rows; i++) {
            uint32_t row = x->turns[x->start[expert] + i].row;
            if (a.quants)
                copy_quants(&a, i, rows, row);
            if (a.floats)
                copy_floats(&a, i, rows, row);
        }
    }
    pool_barrier(pass->pool);
}

/* ---- the experts' work: items are (expert with rows, group of 16 output rows) ---- */

struct work {
    struct share share;
    const struct experts *experts;
    uint32_t expert, groups; /* where the walk over the experts has come to */
    size_t before;           /* items of the experts before it */
};

static struct work work_of(const struct pass *pass, unsigned thread, uint32_t groups)
{
    const struct experts *x = pass->experts;
    size_t busy = 0;
    for (uint32_t e = 0; e < pass->model->experts; e++)
        busy += x->start[e + 1] > x->start[e];
    return (struct work){ share_of(pass, thread, busy * groups, pass->n > 1), x, 0, groups, 0 };
}

static bool work_next(struct work *work, uint32_t *expert, uint32_t *group)
{
    size_t item;
    if (!share_next(&work->share, &item))
        return false;
    const uint32_t *start = work->experts->start;
    while (start[work->expert + 1] == start[work->expert] || item >= work->before + work->groups) {
        work->before += start[work->expert + 1] > start[work->expert] ? work->groups : 0;
        work->expert++;
    }
    *expert = work->expert;
    *group = (uint32_t)(item - work->before);
    return true;
}

static void experts_gate_up(struct pass *pass, unsigned thread, const struct layer *l, unsigned needs)
{
    const struct model *m = pass->model;
    const struct experts *x = pass->experts;
    const struct kernels *k = pass->kernels;
    struct pass_memory *own = &pass->memory[thread];
    struct work work = work_of(pass, thread, l->gates[0].groups);
    uint32_t expert, group;
    while (work_next(&work, &expert, &group)) {
        struct activations a = activations_of(pass, expert, m->dim, needs);
        float *h = x->h + (size_t)x->start[expert] * m->ffn;
        k->multiply(&l->gates[expert], group, &a,
                    &(struct product){ .out = own->gates, .stride = LANES, .scale = 1, .narrow = true },
                    own->panel);
        k->multiply(&l->ups[expert], group, &a, &(struct product){ .out = h, .stride = m->ffn, .scale = 1 },
                    own->panel);
        for (uint32_t r = 0; r < a.rows; r++) {
            float *to = h + (size_t)r * m->ffn + group * LANES;
            k->silu_multiply(to, own->gates + r * LANES, to, LANES);
        }
    }
    pool_barrier(pass->pool);
}

static void experts_requantize(struct pass *pass, unsigned thread, unsigned needs)
{
    const struct experts *x = pass->experts;
    size_t expert;
    struct share share = share_of(pass, thread, pass->model->experts, true);
    while (share_next(&share, &expert)) {
        struct activations a = activations_of(pass, (uint32_t)expert, pass->model->ffn, needs);
        const float *h = x->h + (size_t)x->start[expert] * a.cols;
        if (a.quants)
            pass->kernels->quantize(&a, h, a.cols, 0, a.rows);
        if (a.floats)
            pass->kernels->arrange(&a, h, a.cols, 0, a.rows);
    }
    pool_barrier(pass->pool);
}

static void experts_down(struct pass *pass, unsigned thread, const struct layer *l, unsigned needs)
{
    const struct model *m = pass->model;
    const struct experts *x = pass->experts;
    struct work work = work_of(pass, thread, l->downs[0].groups);
    uint32_t expert, group;
    while (work_next(&work, &expert, &group)) {
        struct activations a = activations_of(pass, expert, m->ffn, needs);
        struct product product = { .out = x->out + (size_t)x->start[expert] * m->dim,
                                   .stride = m->dim,
                                   .scale = 1 };
        pass->kernels->multiply(&l->downs[expert], group, &a, &product, pass->memory[thread].panel);
    }
    pool_barrier(pass->pool);
}

static void add_up(struct pass *pass, unsigned thread)
{
    const struct model *m = pass->model;
    const struct experts *x = pass->experts;
    size_t row;
    struct share share = share_of(pass, thread, pass->n, false);
    while (share_next(&share, &row)) {
        float *sum = pass->normed + row * m->dim;
        memset(sum, 0, m->dim * sizeof *sum);
        for (uint32_t i = 0; i < m->experts_used; i++) {
            uint32_t turn = x->turn_of[row * m->experts_used + i];
            pass->kernels->scale_add(sum, x->out + (size_t)turn * m->dim, x->turns[turn].weight, m->dim);
        }
        pass->kernels->scale_add(pass->x + row * m->dim, sum, m->residual_scale, m->dim);
    }
    pool_barrier(pass->pool);
}

void block_experts_ffn(struct pass *pass, unsigned thread, uint32_t layer)
{
    const struct layer *l = &pass->model->layer[layer];
    if (pass->n == 0)
        return;
    unsigned in = need_of(&l->gates[0]) | need_of(&l->ups[0]), out = need_of(&l->downs[0]);
    struct activations a =
        prepare(pass, thread, pass->x, pass->n, pass->model->dim, l->ffn_norm, in | need_of(&l->router));
    route(pass, thread, l, &a);
    gather_rows(pass, thread, &a, in);
    experts_gate_up(pass, thread, l, in);
    experts_requantize(pass, thread, out);
    experts_down(pass, thread, l, out);
    add_up(pass, thread);
}
