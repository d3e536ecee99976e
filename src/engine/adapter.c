/* Adapters in llama.cpp's layout: tensors "<matrix>.lora_a" [cols x rank] and "<matrix>.lora_b" [rank x rows]. */
#include "engine/adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/blocks.h"
#include "engine/engine_internal.h"
#include "engine/mapping.h"

struct engine_adapter {
    struct adapter adapter; /* first: rows point at it */
    const struct engine *engine;
};

const char *const adapted_names[ADAPTED_COUNT] = {
    [ADAPTED_QUERY] = "attn_q",    [ADAPTED_KEY] = "attn_k",    [ADAPTED_VALUE] = "attn_v",
    [ADAPTED_OUT] = "attn_output", [ADAPTED_GATE] = "ffn_gate", [ADAPTED_UP] = "ffn_up",
    [ADAPTED_DOWN] = "ffn_down",
};

struct matrix *adapted_matrix(struct layer *l, enum adapted which)
{
    struct matrix *matrices[ADAPTED_COUNT] = { &l->query, &l->key, &l->value, &l->attention_out,
                                               &l->gate,  &l->up,  &l->down };
    return matrices[which];
}

/* ---- reading ---- */

/* Rows of a thin matrix as floats, padded with zeros to `rows` x `cols`, and laid out. */
static bool take_matrix(struct matrix *matrix, const struct gguf_tensor *tensor, uint32_t rows, uint32_t cols,
                        struct error **err)
{
    const struct tensor_traits *traits = tensor_traits(tensor->type);
    uint32_t own_cols = (uint32_t)tensor->dims[0], own_rows = (uint32_t)tensor->dims[1];
    size_t row_bytes = (size_t)own_cols / traits->block * traits->bytes;
    *matrix = (struct matrix){ .type = TENSOR_F32,
                               .rows = rows,
                               .cols = cols,
                               .groups = (rows + LANES - 1) / LANES,
                               .group_bytes = packed_group_bytes(TENSOR_F32, cols) };
    unsigned char *packed = aligned_alloc(64, matrix->groups * matrix->group_bytes);
    float *group = calloc((size_t)LANES * cols, sizeof *group);
    matrix->packed = packed;
    for (uint32_t g = 0; packed && group && g < matrix->groups; g++) {
        memset(group, 0, (size_t)LANES * cols * sizeof *group);
        for (uint32_t r = g * LANES; r < (g + 1) * LANES && r < own_rows; r++)
            dequantize_row(tensor->type, (const unsigned char *)tensor->data + r * row_bytes,
                           group + (size_t)(r - g * LANES) * cols, own_cols);
        packed_write_group(TENSOR_F32, cols, LANES, group, packed + g * matrix->group_bytes);
    }
    bool ok = packed && group;
    free(group);
    return ok || error_set(err, ERROR_NO_MEMORY, "no memory for tensor " STR_FMT, STR_ARG(tensor->name));
}

static const struct gguf_tensor *find_half(const struct gguf *file, uint32_t layer, enum adapted which,
                                           char half)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%u.%s.weight.lora_%c", layer, adapted_names[which], half);
    return gguf_tensor_find(file, name);
}

static bool check_pair(const struct matrix *matrix, const struct gguf_tensor *a, const struct gguf_tensor *b,
                       struct error **err)
{
    if (!tensor_traits(a->type)->name || !tensor_traits(b->type)->name)
        return error_set(err, ERROR_UNSUPPORTED, "tensor " STR_FMT " is of type %u/%u", STR_ARG(a->name),
                         a->type, b->type);
    uint64_t rank = a->dims[1];
    if (a->dims[0] == matrix->cols && b->dims[1] == matrix->rows && b->dims[0] == rank &&
        rank <= ADAPTER_RANK_MAX && a->dims[2] * a->dims[3] * b->dims[2] * b->dims[3] == 1)
        return true;
    return error_set(
        err, ERROR_INVALID,
        "tensors " STR_FMT " and lora_b are %llu x %llu and %llu x %llu, beside a matrix of %u x %u",
        STR_ARG(a->name), (unsigned long long)a->dims[0], (unsigned long long)a->dims[1],
        (unsigned long long)b->dims[0], (unsigned long long)b->dims[1], matrix->cols, matrix->rows);
}

static bool read_pair(struct adapter *adapter, const struct model *model, const struct gguf *file,
                      uint32_t layer, enum adapted which, size_t *found, struct error **err)
{
    const struct gguf_tensor *a = find_half(file, layer, which, 'a'), *b = find_half(file, layer, which, 'b');
    const struct matrix *matrix = adapted_matrix(&model->layer[layer], which);
    if (!a && !b)
        return true;
    if (!a || !b || matrix->rows == 0)
        return error_set(err, ERROR_INVALID,
                         "layer %u: half of %s's pair is missing, or the model has no such matrix", layer,
                         adapted_names[which]);
    if (!check_pair(matrix, a, b, err))
        return false;
    struct adapter_pair *pair = &adapter->pairs[layer * ADAPTED_COUNT + which];
    uint32_t rank = ((uint32_t)a->dims[1] + BLOCK - 1) / BLOCK * BLOCK;
    pair->scale = adapter->alpha != 0 ? adapter->alpha / (float)a->dims[1] : 1;
    *found += 2;
    return take_matrix(&pair->a, a, rank, matrix->cols, err) &&
           take_matrix(&pair->b, b, matrix->rows, rank, err);
}

static bool read_head(const struct engine *engine, const struct gguf *file, float *alpha, struct error **err)
{
    struct str kind, architecture;
    if (!gguf_get_str(file, "adapter.type", &kind) || !str_eq(kind, STR("lora")))
        return error_set(err, ERROR_INVALID, "not a LoRA adapter: adapter.type is not \"lora\"");
    if (!gguf_get_str(file, "general.architecture", &architecture) ||
        !str_eq(architecture, str_of(engine->info.architecture)))
        return error_set(err, ERROR_INVALID, "an adapter for another architecture than %s",
                         engine->info.architecture);
    if (!gguf_get_f32(file, "adapter.lora.alpha", alpha))
        return error_set(err, ERROR_INVALID, "metadata adapter.lora.alpha is missing");
    return true;
}

static bool read_pairs(struct engine_adapter *adapter, const struct engine *engine, const struct gguf *file,
                       struct error **err)
{
    size_t found = 0;
    for (uint32_t layer = 0; layer < engine->info.layers; layer++)
        for (int which = 0; which < ADAPTED_COUNT; which++)
            if (!read_pair(&adapter->adapter, engine->model, file, layer, (enum adapted)which, &found, err))
                return false;
    if (found == 0 || found != gguf_tensor_count(file))
        return error_set(
            err, ERROR_UNSUPPORTED,
            "%zu of %zu tensors adapt attention or a dense feed-forward: the others cannot be used", found,
            gguf_tensor_count(file));
    return true;
}

struct engine_adapter *engine_adapter_open(struct engine *engine, const char *path, struct error **err)
{
    AUTO(gguf) struct gguf *file = gguf_open(path, err);
    if (!file)
        return NULL;
    AUTO(engine_adapter) struct engine_adapter *adapter = xcalloc(1, sizeof *adapter);
    adapter->engine = engine;
    adapter->adapter.layers = engine->info.layers;
    adapter->adapter.pairs =
        xcalloc((size_t)engine->info.layers * ADAPTED_COUNT, sizeof(struct adapter_pair));
    if (!read_head(engine, file, &adapter->adapter.alpha, err) || !read_pairs(adapter, engine, file, err)) {
        error_wrap(err, "%s", path);
        return NULL;
    }
    if (mapping_failed(gguf_mapping(file))) {
        error_set(err, ERROR_IO, "%s was cut short, or its storage failed, while it was read", path);
        return NULL;
    }
    return STEAL(adapter);
}

const struct engine *adapter_engine(const struct engine_adapter *adapter)
{
    return adapter->engine;
}

void engine_adapter_close(struct engine_adapter *adapter)
{
    if (!adapter)
        return;
    for (size_t i = 0; i < (size_t)adapter->adapter.layers * ADAPTED_COUNT; i++) {
        free((void *)adapter->adapter.pairs[i].a.packed);
        free((void *)adapter->adapter.pairs[i].b.packed);
    }
    free(adapter->adapter.pairs);
    free(adapter);
}

bool engine_sequence_set_adapter(struct engine_sequence *sequence, struct engine_adapter *adapter,
                                 float scale, struct error **err)
{
    if (adapter && adapter->engine != sequence->engine)
        return error_set(err, ERROR_INVALID, "the adapter was opened for another engine");
    if (sequence->len > 0 && (sequence->adapter != adapter || sequence->adapter_scale != scale))
        return error_set(err, ERROR_CONFLICT, "the sequence holds %zu tokens computed otherwise",
                         sequence->len);
    sequence->adapter = adapter;
    sequence->adapter_scale = scale;
    return true;
}

/* ---- applying ---- */

size_t adapter_scratch_floats(size_t widest)
{
    return TILE_MAX * (widest + 2 * ADAPTER_RANK_MAX);
}

static const struct adapter_pair *pair_of(const struct pass_row *row, uint32_t layer, enum adapted which)
{
    const struct adapter_pair *pair =
        row->adapter ? &row->adapter->pairs[layer * ADAPTED_COUNT + which] : NULL;
    return pair && pair->a.rows ? pair : NULL;
}

static void multiply_all(struct pass *pass, unsigned thread, const struct matrix *matrix, const float *x,
                         float *arranged, uint32_t n, const struct product *product)
{
    struct activations a = {
        .floats = arranged, .rows = n, .cols = matrix->cols, .tile = pass->kernels->tile
    };
    pass->kernels->arrange(&a, x, matrix->cols, 0, n);
    for (uint32_t g = 0; g < matrix->groups; g++)
        pass->kernels->multiply(matrix, g, &a, product, pass->memory[thread].panel);
}

/* Rows of one tile that have the same adapter, at most a kernel's tile of them. */
static void apply_run(struct pass *pass, unsigned thread, const struct adapter_pair *pair, uint32_t first,
                      uint32_t n, const float *x, float *out, float scale)
{
    const struct pass_row *row = &pass->rows[first];
    float *arranged = pass->memory[thread].adapt, *inner = arranged + (size_t)TILE_MAX * pair->a.cols;
    float *inner_arranged = inner + (size_t)TILE_MAX * pair->a.rows;
    multiply_all(pass, thread, &pair->a, x + (size_t)first * pair->a.cols, arranged, n,
                 &(struct product){ .out = inner, .stride = pair->a.rows, .scale = 1 });
    multiply_all(pass, thread, &pair->b, inner, inner_arranged, n,
                 &(struct product){ .out = out + (size_t)first * pair->b.rows,
                                    .stride = pair->b.rows,
                                    .add = true,
                                    .scale = scale * row->adapter_scale * pair->scale });
}

void adapter_apply(struct pass *pass, unsigned thread, uint32_t layer, enum adapted which, const float *x,
                   float *out, float scale)
{
    if (!pass->has_adapter)
        return;
    size_t tile;
    struct share share =
        share_of(pass, thread, (pass->n + pass->kernels->tile - 1) / pass->kernels->tile, true);
    while (share_next(&share, &tile)) {
        uint32_t first = (uint32_t)tile * pass->kernels->tile,
                 end = MIN(first + pass->kernels->tile, pass->n);
        while (first < end) {
            const struct pass_row *row = &pass->rows[first];
            const struct adapter_pair *pair = pair_of(row, layer, which);
            uint32_t n = 1;
            while (first + n < end && row[n].adapter == row->adapter &&
                   row[n].adapter_scale == row->adapter_scale)
                n++;
            if (pair)
                apply_run(pass, thread, pair, first, n, x, out, scale);
            first += n;
        }
    }
    pool_barrier(pass->pool);
}
