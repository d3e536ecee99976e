/* From a GGUF file to a model: read the numbers, ask for the tensors, check that they fit, lay them out. */
#include "engine/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/numeric.h"

enum { LAYERS_MAX = 512, DIM_MAX = 64 * 1024, VOCAB_MAX = 4 * 1000 * 1000, EXPERTS_MAX = 256, KEY_LEN = 128 };

/* ---- numbers ---- */

bool model_get_u32(const struct model *model, const char *key, uint32_t *value)
{
    char full[KEY_LEN];
    snprintf(full, sizeof full, "%s.%s", model->architecture->name, key);
    return gguf_get_u32(model->file, full, value);
}

bool model_get_f32(const struct model *model, const char *key, float *value)
{
    char full[KEY_LEN];
    snprintf(full, sizeof full, "%s.%s", model->architecture->name, key);
    float got;
    if (!gguf_get_f32(model->file, full, &got) || !isfinite(got))
        return false;
    *value = got;
    return true;
}

static const struct architecture *architecture_find(struct str name)
{
    for (const struct architecture *const *a = architectures; *a; a++)
        if (str_eq(name, str_of((*a)->name)))
            return *a;
    return NULL;
}

static bool read_count(const struct model *model, const char *key, uint32_t *value, uint32_t max,
                       struct error **err)
{
    if (!model_get_u32(model, key, value))
        return error_set(err, ERROR_INVALID, "metadata %s.%s is missing", model->architecture->name, key);
    if (*value == 0 || *value > max)
        return error_set(err, ERROR_INVALID, "metadata %s.%s is %u: 1 to %u are possible",
                         model->architecture->name, key, *value, max);
    return true;
}

static bool read_shape(struct model *m, struct error **err)
{
    if (!read_count(m, "block_count", &m->layers, LAYERS_MAX, err) ||
        !read_count(m, "embedding_length", &m->dim, DIM_MAX, err) ||
        !read_count(m, "feed_forward_length", &m->ffn, 16 * DIM_MAX, err) ||
        !read_count(m, "attention.head_count", &m->heads, 4096, err) ||
        !read_count(m, "context_length", &m->context_trained, 1u << 30, err))
        return false;
    m->kv_heads = m->heads;
    model_get_u32(m, "attention.head_count_kv", &m->kv_heads);
    m->head_dim = m->dim / m->heads;
    model_get_u32(m, "attention.key_length", &m->head_dim);
    uint32_t value_dim = m->head_dim;
    model_get_u32(m, "attention.value_length", &value_dim);
    m->rope_dim = m->head_dim;
    model_get_u32(m, "rope.dimension_count", &m->rope_dim);
    if (m->kv_heads == 0 || m->heads % m->kv_heads != 0)
        return error_set(err, ERROR_INVALID, "%u heads cannot share %u key/value heads", m->heads,
                         m->kv_heads);
    if (m->dim % BLOCK || m->ffn % BLOCK || m->head_dim % LANES || m->head_dim == 0 || m->head_dim > 1024 ||
        value_dim != m->head_dim || m->heads * m->head_dim % BLOCK)
        return error_set(err, ERROR_UNSUPPORTED, "width %u, feed-forward %u, head %u/%u: not whole blocks",
                         m->dim, m->ffn, m->head_dim, value_dim);
    if (m->rope_dim != m->head_dim)
        return error_set(err, ERROR_UNSUPPORTED, "rotates %u of a head's %u columns", m->rope_dim,
                         m->head_dim);
    return true;
}

static bool read_rope(struct model *m, struct error **err)
{
    float base = 10000, factor = 1;
    struct str kind = STR("none");
    char key[KEY_LEN];
    snprintf(key, sizeof key, "%s.rope.scaling.type", m->architecture->name);
    model_get_f32(m, "rope.freq_base", &base);
    gguf_get_str(m->file, key, &kind);
    if (str_eq(kind, STR("linear"))) {
        if (!model_get_f32(m, "rope.scaling.factor", &factor))
            model_get_f32(m, "rope.scale_linear", &factor);
    } else if (!str_eq(kind, STR("none")) && !str_eq(kind, STR("llama3")))
        return error_set(err, ERROR_UNSUPPORTED, "rope scaling \"" STR_FMT "\"", STR_ARG(kind));
    if (!(base > 0) || !(factor > 0))
        return error_set(err, ERROR_INVALID, "rope base %g and factor %g must be positive", (double)base,
                         (double)factor);
    m->rope_base = base;
    m->rope_factor = factor;
    return true;
}

/* Granite's four, by which it differs from Llama: 1, and 1 / sqrt(width of a head), where the file has none. Its
 * logit_scale divides: 8 means logits / 8. */
static bool read_scales(struct model *m, struct error **err)
{
    float divisor = 1;
    m->embedding_scale = m->residual_scale = 1;
    m->attention_scale = (float)(1 / sqrt(m->head_dim));
    model_get_f32(m, "embedding_scale", &m->embedding_scale);
    model_get_f32(m, "residual_scale", &m->residual_scale);
    model_get_f32(m, "attention.scale", &m->attention_scale);
    model_get_f32(m, "logit_scale", &divisor);
    if (divisor == 0)
        return error_set(err, ERROR_INVALID, "metadata %s.logit_scale is 0", m->architecture->name);
    m->logit_scale = 1 / divisor;
    return true;
}

static bool read_numbers(struct model *m, struct error **err)
{
    if (!read_shape(m, err) || !read_rope(m, err))
        return false;
    if (!model_get_f32(m, "attention.layer_norm_rms_epsilon", &m->rms_eps) || !(m->rms_eps > 0))
        return error_set(err, ERROR_INVALID,
                         "metadata %s.attention.layer_norm_rms_epsilon is missing or not positive",
                         m->architecture->name);
    if (!read_scales(m, err))
        return false;
    model_get_u32(m, "expert_count", &m->experts);
    model_get_u32(m, "expert_used_count", &m->experts_used);
    if (m->experts > EXPERTS_MAX || m->experts_used > m->experts)
        return error_set(err, ERROR_INVALID, "uses %u of %u experts", m->experts_used, m->experts);
    return m->architecture->read(m, err);
}

/* ---- tensors ---- */

struct loader {
    struct model *model;
    struct layer *layer;
    uint32_t number;
    struct error *error; /* the first one */
};

struct layer *loader_layer(struct loader *loader)
{
    return loader->layer;
}
const struct model *loader_model(const struct loader *loader)
{
    return loader->model;
}

static const struct gguf_tensor *find_tensor(struct loader *loader, const char *name, bool must)
{
    char full[KEY_LEN];
    if (loader->layer)
        snprintf(full, sizeof full, "blk.%u.%s", loader->number, name);
    else
        snprintf(full, sizeof full, "%s", name);
    const struct gguf_tensor *tensor = gguf_tensor_find(loader->model->file, full);
    if (!tensor && must && !loader->error)
        error_set(&loader->error, ERROR_INVALID, "tensor %s is missing", full);
    if (tensor && !tensor_traits(tensor->type)->name && !loader->error)
        error_set(&loader->error, ERROR_UNSUPPORTED, "tensor %s is of type %u, which is not supported", full,
                  tensor->type);
    return loader->error ? NULL : tensor;
}

static bool has_shape(struct loader *loader, const struct gguf_tensor *t, uint64_t rows, uint64_t cols,
                      uint64_t depth)
{
    if (!t || loader->error)
        return false;
    if (t->dims[0] == cols && t->dims[1] == rows && t->dims[2] == depth && t->dims[3] == 1)
        return true;
    return error_set(&loader->error, ERROR_INVALID,
                     "tensor " STR_FMT " is %llu x %llu x %llu, expected %llu x %llu x %llu",
                     STR_ARG(t->name), (unsigned long long)t->dims[0], (unsigned long long)t->dims[1],
                     (unsigned long long)t->dims[2], (unsigned long long)cols, (unsigned long long)rows,
                     (unsigned long long)depth);
}

static void add_slot(struct model *model, const struct gguf_tensor *tensor, uint32_t part,
                     struct matrix *matrix)
{
    uint32_t rows = (uint32_t)tensor->dims[1], cols = (uint32_t)tensor->dims[0];
    const struct tensor_traits *traits = tensor_traits(tensor->type);
    *matrix = (struct matrix){ .type = tensor->type,
                               .rows = rows,
                               .cols = cols,
                               .groups = (rows + LANES - 1) / LANES,
                               .group_bytes = packed_group_bytes(tensor->type, cols) };
    model->slots = xrealloc(model->slots, (model->n_slots + 1) * sizeof *model->slots);
    model->slots[model->n_slots++] = (struct slot){
        .tensor = tensor,
        .matrix = matrix,
        .source = (const unsigned char *)tensor->data +
                  (size_t)part * rows * (cols / traits->block) * traits->bytes,
        .offset = model->packed_bytes,
    };
    model->packed_bytes += matrix->groups * matrix->group_bytes;
    model->parameters += (uint64_t)rows * cols;
}

void want_matrix(struct loader *loader, struct matrix *matrix, const char *name, uint64_t rows, uint64_t cols)
{
    const struct gguf_tensor *tensor = find_tensor(loader, name, true);
    if (has_shape(loader, tensor, rows, cols, 1))
        add_slot(loader->model, tensor, 0, matrix);
}

void want_experts(struct loader *loader, struct matrix **matrices, const char *name, uint64_t rows,
                  uint64_t cols)
{
    uint32_t experts = loader->model->experts;
    const struct gguf_tensor *tensor = find_tensor(loader, name, true);
    if (!has_shape(loader, tensor, rows, cols, experts))
        return;
    *matrices = xcalloc(experts, sizeof **matrices);
    for (uint32_t i = 0; i < experts; i++)
        add_slot(loader->model, tensor, i, &(*matrices)[i]);
}

static void take_vector(struct loader *loader, float **vector, const struct gguf_tensor *tensor, uint64_t len)
{
    if (!has_shape(loader, tensor, 1, len, 1))
        return;
    *vector = aligned_alloc(PACKED_ALIGNMENT, (len * sizeof(float) + 63) / 64 * 64);
    if (*vector)
        dequantize_row(tensor->type, tensor->data, *vector, len);
    else
        error_set(&loader->error, ERROR_NO_MEMORY, "no memory for tensor " STR_FMT, STR_ARG(tensor->name));
    loader->model->parameters += len;
}

void want_vector(struct loader *loader, float **vector, const char *name, uint64_t len)
{
    take_vector(loader, vector, find_tensor(loader, name, true), len);
}

void want_vector_if_there(struct loader *loader, float **vector, const char *name, uint64_t len)
{
    const struct gguf_tensor *tensor = find_tensor(loader, name, false);
    if (tensor)
        take_vector(loader, vector, tensor, len);
}

void want_attention(struct loader *loader)
{
    const struct model *m = loader->model;
    struct layer *l = loader->layer;
    uint64_t wide = (uint64_t)m->heads * m->head_dim, narrow = (uint64_t)m->kv_heads * m->head_dim;
    want_vector(loader, &l->attention_norm, "attn_norm.weight", m->dim);
    want_matrix(loader, &l->query, "attn_q.weight", wide, m->dim);
    want_matrix(loader, &l->key, "attn_k.weight", narrow, m->dim);
    want_matrix(loader, &l->value, "attn_v.weight", narrow, m->dim);
    want_matrix(loader, &l->attention_out, "attn_output.weight", m->dim, wide);
    want_vector_if_there(loader, &l->query_bias, "attn_q.bias", wide);
    want_vector_if_there(loader, &l->key_bias, "attn_k.bias", narrow);
    want_vector_if_there(loader, &l->value_bias, "attn_v.bias", narrow);
}

void want_dense_ffn(struct loader *loader)
{
    const struct model *m = loader->model;
    struct layer *l = loader->layer;
    want_vector(loader, &l->ffn_norm, "ffn_norm.weight", m->dim);
    want_matrix(loader, &l->gate, "ffn_gate.weight", m->ffn, m->dim);
    want_matrix(loader, &l->up, "ffn_up.weight", m->ffn, m->dim);
    want_matrix(loader, &l->down, "ffn_down.weight", m->dim, m->ffn);
}

void want_experts_ffn(struct loader *loader)
{
    const struct model *m = loader->model;
    struct layer *l = loader->layer;
    want_vector(loader, &l->ffn_norm, "ffn_norm.weight", m->dim);
    want_matrix(loader, &l->router, "ffn_gate_inp.weight", m->experts, m->dim);
    want_experts(loader, &l->gates, "ffn_gate_exps.weight", m->ffn, m->dim);
    want_experts(loader, &l->ups, "ffn_up_exps.weight", m->ffn, m->dim);
    want_experts(loader, &l->downs, "ffn_down_exps.weight", m->dim, m->ffn);
}

/* The vocabulary's size is the embedding's; the output matrix is the embedding where the file has none of its own. */
static bool want_ends(struct loader *loader)
{
    struct model *m = loader->model;
    m->embedding = find_tensor(loader, "token_embd.weight", true);
    if (!m->embedding)
        return false;
    if (m->embedding->dims[1] > VOCAB_MAX)
        return error_set(&loader->error, ERROR_INVALID, "a vocabulary of %llu",
                         (unsigned long long)m->embedding->dims[1]);
    m->vocab = (uint32_t)m->embedding->dims[1];
    const struct gguf_tensor *own = find_tensor(loader, "output.weight", false);
    const struct gguf_tensor *output = own ? own : m->embedding;
    if (!has_shape(loader, m->embedding, m->vocab, m->dim, 1) ||
        !has_shape(loader, output, m->vocab, m->dim, 1))
        return false;
    want_vector(loader, &m->output_norm, "output_norm.weight", m->dim);
    want_vector_if_there(loader, &m->rope_factors, "rope_freqs.weight", m->head_dim / 2);
    add_slot(m, output, 0, &m->output);
    m->parameters += own ? (uint64_t)m->vocab * m->dim : 0;
    return true;
}

static bool want_all(struct model *m, struct error **err)
{
    struct loader loader = { .model = m };
    m->layer = xcalloc(m->layers, sizeof *m->layer);
    for (loader.number = 0; loader.number < m->layers && !loader.error; loader.number++) {
        loader.layer = &m->layer[loader.number];
        m->architecture->want(&loader, loader.number);
    }
    loader.layer = NULL;
    if (!loader.error)
        want_ends(&loader);
    if (!loader.error)
        return true;
    error_move(err, &loader.error);
    return false;
}

struct model *model_new(const struct gguf *file, struct error **err)
{
    AUTO(model) struct model *model = xcalloc(1, sizeof *model);
    struct str name;
    model->file = file;
    if (!gguf_get_str(file, "general.architecture", &name)) {
        error_set(err, ERROR_INVALID, "metadata general.architecture is missing");
        return NULL;
    }
    model->architecture = architecture_find(name);
    if (!model->architecture) {
        error_set(err, ERROR_UNSUPPORTED, "architecture \"" STR_FMT "\" is not supported", STR_ARG(name));
        return NULL;
    }
    return read_numbers(model, err) && want_all(model, err) ? STEAL(model) : NULL;
}

static void layer_free(struct layer *layer)
{
    free(layer->attention_norm);
    free(layer->ffn_norm);
    free(layer->query_bias);
    free(layer->key_bias);
    free(layer->value_bias);
    free(layer->gates);
    free(layer->ups);
    free(layer->downs);
}

void model_free(struct model *model)
{
    if (!model)
        return;
    for (uint32_t i = 0; model->layer && i < model->layers; i++)
        layer_free(&model->layer[i]);
    free(model->layer);
    free(model->output_norm);
    free(model->rope_factors);
    free(model->slots);
    free(model);
}

/* ---- laying out ---- */

void model_place(struct model *model, unsigned char *packed)
{
    model->packed = packed;
    for (size_t i = 0; i < model->n_slots; i++)
        model->slots[i].matrix->packed = packed + model->slots[i].offset;
}

size_t model_group_count(const struct model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < model->n_slots; i++)
        count += model->slots[i].matrix->groups;
    return count;
}

static void pack_group(const struct slot *slot, uint32_t group)
{
    const struct matrix *m = slot->matrix;
    const struct tensor_traits *traits = tensor_traits(m->type);
    size_t row_bytes = (size_t)m->cols / traits->block * traits->bytes;
    uint32_t first = group * LANES, rows = MIN(m->rows - first, (uint32_t)LANES);
    packed_write_group(m->type, m->cols, rows, slot->source + first * row_bytes,
                       (unsigned char *)matrix_group(m, group));
}

void model_pack(const struct model *model, size_t first, size_t last)
{
    size_t at = 0;
    for (size_t i = 0; i < model->n_slots && at < last; i++) {
        const struct slot *slot = &model->slots[i];
        for (uint32_t g = 0; g < slot->matrix->groups; g++)
            if (at + g >= first && at + g < last)
                pack_group(slot, g);
        at += slot->matrix->groups;
    }
}

/* ---- angles ---- */

static double frequency(const struct model *m, uint32_t i)
{
    double f = numeric_exp(-2.0 * i / m->head_dim * numeric_log(m->rope_base)) / m->rope_factor;
    return m->rope_factors ? f / (double)m->rope_factors[i] : f;
}

/* Both columns of a pair get the pair's cosine; the sine of the first is negated. */
static void rope_row(const struct model *m, const double *frequencies, uint32_t position, float *cosines,
                     float *sines)
{
    for (uint32_t i = 0; i < m->head_dim / 2; i++) {
        double sine, cosine;
        numeric_sincos(position * frequencies[i], &sine, &cosine);
        uint32_t a = m->architecture->rope == ROPE_PAIRS ? 2 * i : i;
        uint32_t b = m->architecture->rope == ROPE_PAIRS ? 2 * i + 1 : i + m->head_dim / 2;
        cosines[a] = cosines[b] = (float)cosine;
        sines[a] = (float)-sine;
        sines[b] = (float)sine;
    }
}

void model_rope_table(const struct model *model, uint32_t first, uint32_t last, float *table)
{
    double frequencies[1024 / 2];
    for (uint32_t i = 0; i < model->head_dim / 2; i++)
        frequencies[i] = frequency(model, i);
    for (uint32_t p = first; p < last; p++)
        rope_row(model, frequencies, p, table + (size_t)p * 2 * model->head_dim,
                 table + ((size_t)p * 2 + 1) * model->head_dim);
}
