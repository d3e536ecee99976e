#include "engine/pass.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/adapter.h"
#include "engine/blocks.h"
#include "engine/numeric.h"

/* ---- memory: one piece, cut up; nothing is allocated after this ---- */

static void *take(unsigned char *base, size_t *at, size_t bytes)
{
    unsigned char *piece = base ? base + *at : NULL;
    *at += (bytes + 63) & ~(size_t)63;
    return piece;
}

static size_t widest(const struct model *m)
{
    size_t wide = (size_t)m->heads * m->head_dim;
    return MAX(MAX((size_t)m->dim, (size_t)(m->experts ? 0 : m->ffn)), wide);
}

static void lay_out_thread(struct pass_memory *own, const struct model *m, uint32_t capacity,
                           uint32_t context, unsigned char *base, size_t *at)
{
    size_t cols = MAX(widest(m), (size_t)m->ffn);
    own->panel = take(
        base, at, MAX(multiply_panel_bytes((uint32_t)cols), (size_t)(context / PAGE + 1) * sizeof(void *)));
    own->gates = take(base, at, (size_t)capacity * LANES * sizeof(float));
    own->row = take(base, at, cols * sizeof(float));
    own->quants = take(base, at, activations_quant_bytes(1, (uint32_t)cols));
    own->floats = take(base, at, cols * sizeof(float));
    own->adapt = take(base, at, adapter_scratch_floats(cols) * sizeof(float));
    own->attend = take(base, at, attend_scratch_floats(m->head_dim, PASS_QUERIES) * sizeof(float));
}

static size_t lay_out(struct pass *p, const struct model *m, uint32_t capacity, uint32_t context,
                      unsigned threads, unsigned char *base)
{
    size_t at = 0, n = capacity, wide = (size_t)m->heads * m->head_dim,
           narrow = (size_t)m->kv_heads * m->head_dim;
    p->head_bytes = (size_t)m->head_dim * PAGE * 2 * sizeof(uint16_t);
    p->rows = take(base, &at, (n + 1) * sizeof *p->rows);
    p->tiles = take(base, &at, n * sizeof *p->tiles);
    p->x = take(base, &at, n * m->dim * sizeof(float));
    p->normed = take(base, &at, n * m->dim * sizeof(float));
    p->hidden = take(base, &at, (n + 1) * m->dim * sizeof(float));
    p->q = take(base, &at, n * wide * sizeof(float));
    p->k = take(base, &at, n * narrow * sizeof(float));
    p->v = take(base, &at, n * narrow * sizeof(float));
    p->attended = take(base, &at, n * wide * sizeof(float));
    p->h = take(base, &at, m->experts ? 0 : n * m->ffn * sizeof(float));
    p->gates = take(base, &at, m->experts ? 0 : n * m->ffn * sizeof(float));
    p->quants = take(base, &at, activations_quant_bytes(capacity, (uint32_t)widest(m)));
    p->floats = take(base, &at, n * widest(m) * sizeof(float));
    p->logits = take(base, &at, (size_t)PASS_HEAD_ROWS * m->vocab * sizeof(float));
    p->rope = take(base, &at, (size_t)context * 2 * m->head_dim * sizeof(float));
    p->tails = take(base, &at, (size_t)PASS_TAIL_PAGES * m->kv_heads * p->head_bytes);
    p->memory = take(base, &at, threads * sizeof *p->memory);
    for (unsigned i = 0; i < threads; i++) {
        struct pass_memory own;
        lay_out_thread(&own, m, capacity, context, base, &at);
        if (base)
            p->memory[i] = own;
    }
    return at;
}

size_t pass_bytes(const struct model *model, uint32_t capacity, uint32_t context, unsigned threads)
{
    struct pass unused;
    return lay_out(&unused, model, capacity, context, threads, NULL) + experts_bytes(model, capacity);
}

static void fill_rope(void *context, unsigned thread)
{
    struct pass *pass = context;
    unsigned threads = pool_threads(pass->pool);
    uint64_t n = pass->n; /* pass_new() lends it for the context's size */
    model_rope_table(pass->model, (uint32_t)(n * thread / threads), (uint32_t)(n * (thread + 1) / threads),
                     pass->rope);
}

struct pass *pass_new(const struct model *model, const struct kernels *kernels, struct pool *pool,
                      uint32_t capacity, uint32_t context, struct error **err)
{
    struct pass *pass = xcalloc(1, sizeof *pass);
    pass->arena_bytes = lay_out(pass, model, capacity, context, pool_threads(pool), NULL);
    pass->arena = mmap(NULL, pass->arena_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pass->arena == MAP_FAILED || (model->experts && !(pass->experts = experts_new(model, capacity)))) {
        pass->arena = pass->arena == MAP_FAILED ? NULL : pass->arena;
        pass_free(pass);
        error_set(err, ERROR_NO_MEMORY, "cannot reserve %zu bytes for activations", pass->arena_bytes);
        return NULL;
    }
    lay_out(pass, model, capacity, context, pool_threads(pool), pass->arena);
    pass->model = model;
    pass->kernels = kernels;
    pass->pool = pool;
    pass->capacity = capacity;
    pass->n = context;
    pool_run(pool, fill_rope, pass);
    return pass;
}

void pass_free(struct pass *pass)
{
    if (!pass)
        return;
    if (pass->arena)
        munmap(pass->arena, pass->arena_bytes);
    experts_free(pass->experts);
    free(pass);
}

/* ---- running ---- */

static void embed(struct pass *pass, unsigned thread)
{
    const struct model *m = pass->model;
    const struct tensor_traits *traits = tensor_traits(m->embedding->type);
    size_t row, row_bytes = (size_t)m->dim / traits->block * traits->bytes;
    struct share share = share_of(pass, thread, pass->n, false);
    while (share_next(&share, &row)) {
        float *x = pass->x + row * m->dim;
        const unsigned char *from =
            (const unsigned char *)m->embedding->data + (size_t)pass->rows[row].token * row_bytes;
        dequantize_row(m->embedding->type, from, x, m->dim);
        pass->kernels->scale(x, m->embedding_scale, m->dim);
    }
    pool_barrier(pass->pool);
}

static void final_norm(struct pass *pass, unsigned thread)
{
    const struct model *m = pass->model;
    size_t row;
    struct share share = share_of(pass, thread, pass->n, false);
    while (share_next(&share, &row))
        pass->kernels->rmsnorm(pass->hidden + row * m->dim, pass->x + row * m->dim, m->output_norm, m->dim,
                               m->rms_eps);
    pool_barrier(pass->pool);
}

/* The next rows that want logits, at most PASS_HEAD_ROWS: their hidden states side by side in `normed`. */
static uint32_t collect_head_rows(struct pass *pass, uint32_t *next)
{
    const struct model *m = pass->model;
    uint32_t n = 0;
    for (; *next < pass->n && n < PASS_HEAD_ROWS; ++*next) {
        const struct pass_row *row = &pass->rows[*next];
        if (!row->logits && !row->n_scores)
            continue;
        memcpy(pass->normed + (size_t)n * m->dim, pass->hidden + (size_t)*next * m->dim,
               m->dim * sizeof(float));
        pass->logit_rows[n] = row->logits ? row->logits : pass->logits + (size_t)n * m->vocab;
        pass->logit_of[n++] = *next;
    }
    return n;
}

static void score_row(const struct pass *pass, const struct pass_row *row, const float *logits)
{
    const struct kernels *k = pass->kernels;
    float max = k->max(logits, pass->model->vocab);
    double log_sum = numeric_log(k->sum_exp(logits, pass->model->vocab, max));
    for (uint32_t i = 0; i < row->n_scores; i++)
        row->scores[i].log_probability = (double)logits[row->scores[i].token] - (double)max - log_sum;
}

static void give_logits(struct pass *pass, unsigned thread)
{
    const struct model *m = pass->model;
    for (uint32_t next = 0;;) {
        uint32_t begin = next;
        uint32_t n = 0, at = begin;
        for (; at < pass->n && n < PASS_HEAD_ROWS; at++)
            n += pass->rows[at].logits || pass->rows[at].n_scores;
        next = at;
        if (n == 0)
            return;
        if (thread == 0)
            collect_head_rows(pass, &begin);
        pool_barrier(pass->pool);
        struct activations a = prepare(pass, thread, pass->normed, n, m->dim, NULL, need_of(&m->output));
        multiply_share(pass, thread, &m->output, &a,
                       &(struct product){ .rows = pass->logit_rows, .scale = m->logit_scale });
        pool_barrier(pass->pool);
        size_t i;
        struct share share = share_of(pass, thread, n, false);
        while (share_next(&share, &i))
            if (pass->rows[pass->logit_of[i]].n_scores)
                score_row(pass, &pass->rows[pass->logit_of[i]], pass->logit_rows[i]);
        pool_barrier(pass->pool);
    }
}

/* A row whose hidden state is known joins the others where they want their logits. */
static void add_given_row(struct pass *pass)
{
    if (!pass->given)
        return;
    memcpy(pass->hidden + (size_t)pass->n * pass->model->dim, pass->given, pass->model->dim * sizeof(float));
    pass->rows[pass->n++] = pass->given_row;
}

static void run(void *context, unsigned thread)
{
    struct pass *pass = context;
    bool is_empty = pass->n == 0;
    pool_barrier(pass->pool); /* before anyone changes n */
    if (!is_empty)
        embed(pass, thread);
    for (uint32_t layer = 0; layer < pass->model->layers && !is_empty; layer++)
        pass->model->architecture->run(pass, thread, layer);
    final_norm(pass, thread);
    if (thread == 0)
        add_given_row(pass);
    pool_barrier(pass->pool);
    give_logits(pass, thread);
}

void pass_run(struct pass *pass, uint32_t n)
{
    uint32_t tails = 0;
    pass->n = n;
    pass->has_tree = pass->has_adapter = false;
    for (uint32_t i = 0; i < n; i++) {
        struct pass_row *row = &pass->rows[i];
        pass->has_adapter |= row->adapter != NULL;
        if (!row->in_tree)
            continue;
        pass->has_tree = true;
        row->tail = pass->tails + (size_t)tails * pass->model->kv_heads * pass->head_bytes;
        tails += pass_tail_pages(row->base, row->position);
    }
    pool_run(pass->pool, run, pass);
}
