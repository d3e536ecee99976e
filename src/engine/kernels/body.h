/* Every kernel, once, over the sixteen lanes of vec_*.h. Included by one .c file an instruction set, which has defined
 * KERNELS_NAME and can_run(). What is a sum here has one order, so that all of them give the same bits. */
#include <math.h>

#include "engine/gguf.h"
#include "engine/kernels/kernels.h"

/* ---- exp ------------------------------------------------------------------------------------------------------ */

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; ln 2 in two parts so that r is good to the last bit;
 * then the Taylor series to r^7 / 7!, whose next term is 5e-9. Below -64 it is 0: such a share of a softmax is under
 * 2e-28, and never turns into a subnormal by a multiplication. */
ALWAYS v16 v_exp(v16 x)
{
    v16 clipped = v_max(v_min(x, v_set(88.0f)), v_set(-64.0f));
    n16 n = v_round(v_mul(clipped, v_set(0x1.715476p+0f)));
    v16 r = v_fma(v_of_int(n), v_set(-0x1.62e400p-1f), clipped);
    r = v_fma(v_of_int(n), v_set(-0x1.7f7d1cp-20f), r);
    v16 p = v_fma(r, v_set(1.0f / 5040), v_set(1.0f / 720));
    p = v_fma(r, p, v_set(1.0f / 120));
    p = v_fma(r, p, v_set(1.0f / 24));
    p = v_fma(r, p, v_set(1.0f / 6));
    p = v_fma(r, p, v_set(0.5f));
    p = v_fma(r, p, v_set(1.0f));
    p = v_fma(r, p, v_set(1.0f));
    return v_zero_below(v_scale_by_power(p, n), x, -64.0f);
}

/* ---- activations ---------------------------------------------------------------------------------------------- */

/* Where row `row` lies: its tile's first record, the tile's width, and its place in the tile. */
struct place {
    unsigned char *tile;
    uint32_t width, at;
};

static struct place place_of(const struct activations *a, unsigned char *base, size_t row_bytes, uint32_t row)
{
    uint32_t first = row - row % a->tile;
    uint32_t width = a->rows - first < a->tile ? a->rows - first : a->tile;
    return (struct place){ base + first * row_bytes, width, row - first };
}

static void quantize_block(unsigned char *record, uint32_t width, uint32_t at, const float *x)
{
    v16 low = v_load(x), high = v_load(x + LANES);
    float amax = v_highest(v_max(v_abs(low), v_abs(high)));
    float d = amax > 1e-30f ? amax / 127 : 0, inverse = amax > 1e-30f ? 127 / amax : 0;
    n16 low_q = v_round(v_mul(low, v_set(inverse))), high_q = v_round(v_mul(high, v_set(inverse)));
    int32_t low_sum = n_sum(low_q), high_sum = n_sum(high_q);
    int8_t *quants = (int8_t *)record + 32 * at;
    n_store_i8(quants, low_q);
    n_store_i8(quants + LANES, high_q);
    float *scales = (float *)(record + 32 * width);
    scales[at] = d;
    scales[width + at] = d * (float)(low_sum + high_sum);
    int32_t *minus = (int32_t *)(scales + 2 * width);
    minus[at] = -(low_sum + high_sum);
    minus[width + at] = -low_sum;
    minus[2 * width + at] = -high_sum;
}

static void quantize(struct activations *a, const float *x, size_t stride, uint32_t first, uint32_t count)
{
    uint32_t blocks = a->cols / BLOCK;
    for (uint32_t row = first; row < first + count; row++) {
        struct place p = place_of(a, a->quants, (size_t)blocks * QUANT_BYTES, row);
        for (uint32_t b = 0; b < blocks; b++)
            quantize_block(p.tile + (size_t)b * p.width * QUANT_BYTES, p.width, p.at,
                           x + row * stride + b * BLOCK);
    }
}

static void arrange(struct activations *a, const float *x, size_t stride, uint32_t first, uint32_t count)
{
    for (uint32_t row = first; row < first + count; row++) {
        struct place p = place_of(a, (unsigned char *)a->floats, (size_t)a->cols * sizeof(float), row);
        float *tile = (float *)p.tile;
        for (uint32_t i = 0; i < a->cols; i++)
            tile[(size_t)i * p.width + p.at] = x[row * stride + i];
    }
}

/* ---- weights: a block of 16 rows by 32 columns into registers --------------------------------------------------- */

enum multiply_kind { WITH_MIN, WITH_ZERO, WITH_ZERO_HALVES, SIGNED_BYTES };

ALWAYS enum multiply_kind kind_of(uint32_t type)
{
    switch (type) {
    case TENSOR_Q4_0:
    case TENSOR_Q5_0:
        return WITH_ZERO;
    case TENSOR_Q8_0:
        return Q8_SHIFT >= 0 ? WITH_ZERO : SIGNED_BYTES;
    case TENSOR_Q6_K:
        return WITH_ZERO_HALVES;
    default:
        return WITH_MIN;
    }
}

/* The zero point of the unsigned weights is 2^shift. */
ALWAYS int zero_shift(uint32_t type)
{
    return type == TENSOR_Q4_0   ? 3
           : type == TENSOR_Q5_0 ? 4
           : type == TENSOR_Q6_K ? 5
           : Q8_SHIFT >= 0       ? Q8_SHIFT
                                 : 0;
}

/* d: the scales; m: the mins, or for halves the scales of columns 16..31. */
ALWAYS void unpack_32(uint32_t type, const unsigned char *group, size_t blocks, size_t b, b64 w[8], v16 *d,
                      v16 *m)
{
    const size_t quants = type == TENSOR_Q8_0 ? 512 : 256,
                 highs = type == TENSOR_Q5_0 || type == TENSOR_Q5_1 ? 64 : 0;
    const size_t scales = type == TENSOR_Q4_1 || type == TENSOR_Q5_1 ? 64 : 32;
    const unsigned char *scale = group + blocks * (quants + highs) + b * scales;
    if (type == TENSOR_Q8_0)
        unpack_bytes(group + b * quants, w);
    else
        unpack_nibbles(group + b * quants, w);
    if (highs)
        unpack_bit(group + blocks * quants + b * highs, w);
    *d = v_load_half(scale);
    *m = scales == 64 ? v_load_half(scale + 32) : v_set(0);
}

ALWAYS void unpack_k(uint32_t type, const unsigned char *group, size_t blocks, size_t b, b64 w[8], v16 *d,
                     v16 *m)
{
    const size_t highs = type == TENSOR_Q5_K   ? 64
                         : type == TENSOR_Q6_K ? 128
                                               : 0,
                 tail = type == TENSOR_Q6_K ? 32 : 64;
    const size_t super_bytes = 8 * (32 + 256 + highs);
    const unsigned char *super = group + b / 8 * super_bytes, *scale = super + b % 8 * 32;
    const unsigned char *ends = group + blocks / 8 * super_bytes + b / 8 * tail;
    unpack_nibbles(super + 256 + b % 8 * 256, w);
    if (type == TENSOR_Q5_K)
        unpack_bit(super + 2304 + b % 8 * 64, w);
    if (type == TENSOR_Q6_K) {
        unpack_two_bits(super + 2304 + b % 8 * 128, w);
        *d = v_mul(v_load_half(ends), v_load_i8(scale));
        *m = v_mul(v_load_half(ends), v_load_i8(scale + 16));
    } else {
        *d = v_mul(v_load_half(ends), v_load_u8(scale));
        *m = v_sub(v_set(0), v_mul(v_load_half(ends + 32), v_load_u8(scale + 16)));
    }
}

ALWAYS void unpack(uint32_t type, const unsigned char *group, size_t blocks, size_t b, b64 w[8], v16 *d,
                   v16 *m)
{
    if (type == TENSOR_Q4_K || type == TENSOR_Q5_K || type == TENSOR_Q6_K)
        unpack_k(type, group, blocks, b, w, d, m);
    else
        unpack_32(type, group, blocks, b, w, d, m);
}

/* ---- products ------------------------------------------------------------------------------------------------- */

/* One block of `tokens` tokens, from the t-th of a record on: the definition at the head of kernels.h. */
ALWAYS void block_product(enum multiply_kind kind, int shift, const b64 w[8], v16 d, v16 m,
                          const unsigned char *record, const uint32_t width, const uint32_t t,
                          const uint32_t tokens, v16 *acc)
{
    const int8_t *a = (const int8_t *)record + 32 * t;
    const float *scales = (const float *)(record + 32 * width) + t, *sums = scales + width;
    const int32_t *minus = (const int32_t *)(scales + 2 * width);
    n16 low[VEC_TURNS], high[VEC_TURNS];
#pragma GCC unroll 16
    for (uint32_t i = 0; i < tokens; i++) {
        low[i] = kind == WITH_ZERO          ? n_set_shifted(minus[i], shift)
                 : kind == WITH_ZERO_HALVES ? n_set_shifted(minus[width + i], shift)
                                            : n_zero();
        if (kind == WITH_ZERO_HALVES)
            high[i] = n_set_shifted(minus[2 * width + i], shift);
    }
    if (kind == SIGNED_BYTES)
        dot_bytes(low, tokens, w, a);
    else
        dot_words(low, tokens, w, a, kind == WITH_ZERO_HALVES ? 4 : 8);
    if (kind == WITH_ZERO_HALVES)
        dot_words(high, tokens, w + 4, a + 16, 4);
#pragma GCC unroll 16
    for (uint32_t i = 0; i < tokens; i++) {
        acc[i] = v_fma(v_of_int(low[i]), v_mul(d, v_set(scales[i])), acc[i]);
        if (kind == WITH_ZERO_HALVES)
            acc[i] = v_fma(v_of_int(high[i]), v_mul(m, v_set(scales[i])), acc[i]);
        if (kind == WITH_MIN)
            acc[i] = v_fma(m, v_set(sums[i]), acc[i]);
    }
}

/* Weights are read once, in order, group after group: asked for this far ahead. The hardware's own prefetcher stops at
 * each 4 KiB, and a core that waits for every such page reads a third as fast. */
enum { PREFETCH_AHEAD = 8 * 1024 };

ALWAYS void prefetch_lines(const unsigned char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + PREFETCH_AHEAD + i, 0, 3);
}

/* Bytes of a group a block, rounded down to whole lines; what is left over the hardware finds. */
ALWAYS size_t stride_of(uint32_t type)
{
    return type == TENSOR_Q8_0 ? 512 : type == TENSOR_Q6_K ? 384 : 320;
}

/* A panel: the group unpacked, for each block 8 words of 64 bytes, then d and m. */
enum { PANEL_BLOCK = 640 };

ALWAYS void fill_panel(uint32_t type, const unsigned char *group, size_t blocks, unsigned char *panel)
{
    for (size_t b = 0; b < blocks; b++, panel += PANEL_BLOCK) {
        b64 w[8];
        v16 d, m;
        prefetch_lines(group + b * stride_of(type), stride_of(type));
        unpack(type, group, blocks, b, w, &d, &m);
        for (int j = 0; j < 8; j++)
            b_store(panel + 64 * j, w[j]);
        v_store((float *)(panel + 512), d);
        v_store((float *)(panel + 576), m);
    }
}

ALWAYS void tile_product(enum multiply_kind kind, int shift, const uint32_t width, const unsigned char *panel,
                         size_t blocks, const unsigned char *record, float *out)
{
    v16 acc[VEC_TILE];
    for (uint32_t t = 0; t < width; t++)
        acc[t] = v_set(0);
    for (size_t b = 0; b < blocks; b++, panel += PANEL_BLOCK, record += width * QUANT_BYTES) {
        b64 w[8];
        for (int j = 0; j < 8; j++)
            w[j] = b_load(panel + 64 * j);
        v16 d = v_load((const float *)(panel + 512)), m = v_load((const float *)(panel + 576));
#pragma GCC unroll 16
        for (uint32_t t = 0; t < width; t += VEC_TURNS)
            block_product(kind, shift, w, d, m, record, width, t,
                          width - t < VEC_TURNS ? width - t : VEC_TURNS, acc + t);
    }
    for (uint32_t t = 0; t < width; t++)
        v_store(out + t * LANES, acc[t]);
}

/* A lone token: the group is used as it is unpacked. */
ALWAYS void vector_product(uint32_t type, const unsigned char *group, size_t blocks,
                           const unsigned char *record, float *out)
{
    v16 acc = v_set(0);
    for (size_t b = 0; b < blocks; b++, record += QUANT_BYTES) {
        b64 w[8];
        v16 d, m;
        prefetch_lines(group + b * stride_of(type), stride_of(type));
        unpack(type, group, blocks, b, w, &d, &m);
        block_product(kind_of(type), zero_shift(type), w, d, m, record, 1, 0, 1, &acc);
    }
    v_store(out, acc);
}

ALWAYS void direct_turn(uint32_t type, const b64 w[8], v16 d, v16 m, const unsigned char *record,
                        uint32_t width, uint32_t t, const uint32_t tokens, float *out)
{
    v16 acc[VEC_TURNS];
#pragma GCC unroll 16
    for (uint32_t i = 0; i < tokens; i++)
        acc[i] = v_load(out + i * LANES);
    block_product(kind_of(type), zero_shift(type), w, d, m, record, width, t, tokens, acc);
#pragma GCC unroll 16
    for (uint32_t i = 0; i < tokens; i++)
        v_store(out + i * LANES, acc[i]);
}

/* A few tokens, one tile: the group is used as it is unpacked, too; the sums wait in `out` for the next block. */
ALWAYS void direct_product(uint32_t type, const unsigned char *group, size_t blocks,
                           const unsigned char *record, uint32_t width, float *out)
{
    for (uint32_t t = 0; t < width; t++)
        v_store(out + t * LANES, v_set(0));
    for (size_t b = 0; b < blocks; b++, record += width * QUANT_BYTES) {
        b64 w[8];
        v16 d, m;
        prefetch_lines(group + b * stride_of(type), stride_of(type));
        unpack(type, group, blocks, b, w, &d, &m);
        uint32_t t = 0;
#pragma GCC unroll 4
        for (uint32_t turn = VEC_TURNS; turn; turn /= 2)
            for (; t + turn <= width; t += turn)
                direct_turn(type, w, d, m, record, width, t, turn, out + t * LANES);
    }
}

/* ---- products with float weights: one chain a row, column after column ---------------------------------------- */

ALWAYS v16 load_column(uint32_t type, const unsigned char *group, size_t i)
{
    if (type == TENSOR_F32)
        return v_load((const float *)(group + i * 64));
    return type == TENSOR_F16 ? v_load_half(group + i * 32) : v_load_bf16(group + i * 32);
}

ALWAYS void fill_float_panel(uint32_t type, const unsigned char *group, size_t cols, unsigned char *panel)
{
    for (size_t i = 0; i < cols; i++)
        v_store((float *)panel + i * LANES, load_column(type, group, i));
}

ALWAYS void float_tile_product(const uint32_t width, const unsigned char *panel, size_t cols, const float *x,
                               float *out)
{
    v16 acc[VEC_TILE];
    for (uint32_t t = 0; t < width; t++)
        acc[t] = v_set(0);
    for (size_t i = 0; i < cols; i++, x += width) {
        v16 w = v_load((const float *)panel + i * LANES);
#pragma GCC unroll 16
        for (uint32_t t = 0; t < width; t++)
            acc[t] = v_fma(w, v_set(x[t]), acc[t]);
    }
    for (uint32_t t = 0; t < width; t++)
        v_store(out + t * LANES, acc[t]);
}

ALWAYS void float_vector_product(uint32_t type, const unsigned char *group, size_t cols, const float *x,
                                 float *out)
{
    v16 acc = v_set(0);
    for (size_t i = 0; i < cols; i++)
        acc = v_fma(load_column(type, group, i), v_set(x[i]), acc);
    v_store(out, acc);
}

/* ---- the variants: each type, each kind, each width of a tile ---------------------------------------------------- */

#define EACH_TYPE(X) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q4_K) X(Q5_K) X(Q6_K)
#define EACH_FLOAT(X) X(F32) X(F16) X(BF16)

#define TYPE_FUNCTIONS(T)                                                                                    \
    static void fill_panel_##T(const unsigned char *group, size_t blocks, unsigned char *panel)              \
    {                                                                                                        \
        fill_panel(TENSOR_##T, group, blocks, panel);                                                        \
    }                                                                                                        \
    static void vector_product_##T(const unsigned char *group, size_t blocks, const void *record,            \
                                   float *out)                                                               \
    {                                                                                                        \
        vector_product(TENSOR_##T, group, blocks, record, out);                                              \
    }                                                                                                        \
    static void direct_product_##T(const unsigned char *group, size_t blocks, const void *record,            \
                                   uint32_t width, float *out)                                               \
    {                                                                                                        \
        direct_product(TENSOR_##T, group, blocks, record, width, out);                                       \
    }
EACH_TYPE(TYPE_FUNCTIONS)

#define FLOAT_FUNCTIONS(T)                                                                                   \
    static void fill_panel_##T(const unsigned char *group, size_t cols, unsigned char *panel)                \
    {                                                                                                        \
        fill_float_panel(TENSOR_##T, group, cols, panel);                                                    \
    }                                                                                                        \
    static void vector_product_##T(const unsigned char *group, size_t cols, const void *x, float *out)       \
    {                                                                                                        \
        float_vector_product(TENSOR_##T, group, cols, x, out);                                               \
    }
EACH_FLOAT(FLOAT_FUNCTIONS)

typedef void fill_function(const unsigned char *group, size_t blocks, unsigned char *panel);
typedef void vector_function(const unsigned char *group, size_t blocks, const void *record, float *out);
typedef void direct_function(const unsigned char *group, size_t blocks, const void *record, uint32_t width,
                             float *out);
typedef void tile_function(const unsigned char *panel, size_t blocks, const void *record, float *out);

#define TYPE_ENTRY(T) [TENSOR_##T] = fill_panel_##T,
static fill_function *const fill_panels[TENSOR_TYPE_MAX] = { EACH_TYPE(TYPE_ENTRY) EACH_FLOAT(TYPE_ENTRY) };
#undef TYPE_ENTRY
#define TYPE_ENTRY(T) [TENSOR_##T] = vector_product_##T,
static vector_function *const vector_products[TENSOR_TYPE_MAX] = { EACH_TYPE(TYPE_ENTRY)
                                                                       EACH_FLOAT(TYPE_ENTRY) };

#undef TYPE_ENTRY
#define TYPE_ENTRY(T) [TENSOR_##T] = direct_product_##T,
static direct_function *const direct_products[TENSOR_TYPE_MAX] = { EACH_TYPE(TYPE_ENTRY) };

#define TILE_FUNCTION(NAME, KIND, SHIFT, WIDTH)                                                              \
    static void tile_##NAME##_##WIDTH(const unsigned char *panel, size_t blocks, const void *record,         \
                                      float *out)                                                            \
    {                                                                                                        \
        tile_product(KIND, SHIFT, WIDTH, panel, blocks, record, out);                                        \
    }
#define FLOAT_TILE_FUNCTION(WIDTH)                                                                           \
    static void tile_float_##WIDTH(const unsigned char *panel, size_t cols, const void *x, float *out)       \
    {                                                                                                        \
        float_tile_product(WIDTH, panel, cols, x, out);                                                      \
    }
#define WIDTH_FUNCTIONS(WIDTH)                                                                               \
    TILE_FUNCTION(min, WITH_MIN, 0, WIDTH)                                                                   \
    TILE_FUNCTION(zero3, WITH_ZERO, 3, WIDTH)                                                                \
    TILE_FUNCTION(zero4, WITH_ZERO, 4, WIDTH)                                                                \
    TILE_FUNCTION(halves, WITH_ZERO_HALVES, 5, WIDTH)                                                        \
    TILE_FUNCTION(bytes, Q8_SHIFT >= 0 ? WITH_ZERO : SIGNED_BYTES, Q8_SHIFT >= 0 ? Q8_SHIFT : 0, WIDTH)      \
    FLOAT_TILE_FUNCTION(WIDTH)

WIDTH_FUNCTIONS(1)
WIDTH_FUNCTIONS(2)
WIDTH_FUNCTIONS(3)
WIDTH_FUNCTIONS(4)
#ifdef VEC_WIDE_TILES
WIDTH_FUNCTIONS(5)
WIDTH_FUNCTIONS(6)
WIDTH_FUNCTIONS(7)
WIDTH_FUNCTIONS(8)
WIDTH_FUNCTIONS(9)
WIDTH_FUNCTIONS(10)
WIDTH_FUNCTIONS(11)
WIDTH_FUNCTIONS(12)
WIDTH_FUNCTIONS(13)
WIDTH_FUNCTIONS(14)
WIDTH_FUNCTIONS(15)
WIDTH_FUNCTIONS(16)
#define WIDTHS(NAME)                                                                                         \
    { NULL,                                                                                                  \
      tile_##NAME##_1,                                                                                       \
      tile_##NAME##_2,                                                                                       \
      tile_##NAME##_3,                                                                                       \
      tile_##NAME##_4,                                                                                       \
      tile_##NAME##_5,                                                                                       \
      tile_##NAME##_6,                                                                                       \
      tile_##NAME##_7,                                                                                       \
      tile_##NAME##_8,                                                                                       \
      tile_##NAME##_9,                                                                                       \
      tile_##NAME##_10,                                                                                      \
      tile_##NAME##_11,                                                                                      \
      tile_##NAME##_12,                                                                                      \
      tile_##NAME##_13,                                                                                      \
      tile_##NAME##_14,                                                                                      \
      tile_##NAME##_15,                                                                                      \
      tile_##NAME##_16 }
#else
#define WIDTHS(NAME) { NULL, tile_##NAME##_1, tile_##NAME##_2, tile_##NAME##_3, tile_##NAME##_4 }
#endif

static tile_function *const tile_min[VEC_TILE + 1] = WIDTHS(min),
                                                *const tile_zero3[VEC_TILE + 1] = WIDTHS(zero3),
                                                *const tile_zero4[VEC_TILE + 1] = WIDTHS(zero4),
                                                *const tile_halves[VEC_TILE + 1] = WIDTHS(halves),
                                                *const tile_bytes[VEC_TILE + 1] = WIDTHS(bytes),
                                                *const tile_float[VEC_TILE + 1] = WIDTHS(float);

static tile_function *const *const tile_functions[TENSOR_TYPE_MAX] = {
    [TENSOR_F32] = tile_float,  [TENSOR_F16] = tile_float,   [TENSOR_BF16] = tile_float,
    [TENSOR_Q4_0] = tile_zero3, [TENSOR_Q4_1] = tile_min,    [TENSOR_Q5_0] = tile_zero4,
    [TENSOR_Q5_1] = tile_min,   [TENSOR_Q8_0] = tile_bytes,  [TENSOR_Q4_K] = tile_min,
    [TENSOR_Q5_K] = tile_min,   [TENSOR_Q6_K] = tile_halves,
};

/* ---- a group times all activations ---------------------------------------------------------------------------- */

static void deliver(const struct matrix *matrix, uint32_t group, const struct product *product, uint32_t row,
                    const float *lanes)
{
    uint32_t first = group * LANES, count = matrix->rows - first < LANES ? matrix->rows - first : LANES;
    float *out = (product->rows ? product->rows[row] : product->out + row * product->stride), old[LANES];
    out += product->narrow ? 0 : first;
    v16 result = v_mul(v_load(lanes), v_set(product->scale));
    if (count == LANES) {
        v_store(out, product->add ? v_add(v_load(out), result) : result);
        return;
    }
    v_store(old, result);
    for (uint32_t i = 0; i < count; i++)
        out[i] = product->add ? out[i] + old[i] : old[i];
}

static void multiply(const struct matrix *matrix, uint32_t group, const struct activations *a,
                     const struct product *product, unsigned char *panel)
{
    const unsigned char *weights = matrix_group(matrix, group);
    bool is_float = type_is_float(matrix->type);
    size_t steps = is_float ? matrix->cols : matrix->cols / BLOCK;
    size_t row_bytes = is_float ? matrix->cols * sizeof(float) : steps * QUANT_BYTES;
    const unsigned char *tiles = is_float ? (const unsigned char *)a->floats : a->quants;
    float lanes[VEC_TILE * LANES];
    if (a->rows == 1) {
        vector_products[matrix->type](weights, steps, tiles, lanes);
        deliver(matrix, group, product, 0, lanes);
        return;
    }
    if (a->rows <= VEC_TILE && direct_products[matrix->type]) {
        direct_products[matrix->type](weights, steps, tiles, a->rows, lanes);
        for (uint32_t t = 0; t < a->rows; t++)
            deliver(matrix, group, product, t, lanes + t * LANES);
        return;
    }
    fill_panels[matrix->type](weights, steps, panel);
    for (uint32_t first = 0; first < a->rows; first += VEC_TILE) {
        uint32_t width = a->rows - first < VEC_TILE ? a->rows - first : VEC_TILE;
        tile_functions[matrix->type][width](panel, steps, tiles + first * row_bytes, lanes);
        for (uint32_t t = 0; t < width; t++)
            deliver(matrix, group, product, first + t, lanes + t * LANES);
    }
}

/* ---- vectors -------------------------------------------------------------------------------------------------- */

static void rmsnorm(float *out, const float *x, const float *weight, size_t dim, float eps)
{
    v16 squares = v_set(0);
    for (size_t i = 0; i < dim; i += LANES)
        squares = v_fma(v_load(x + i), v_load(x + i), squares);
    v16 mean = v_div(v_set(v_sum(squares)), v_set((float)dim));
    v16 scale = v_div(v_set(1), v_sqrt(v_add(mean, v_set(eps))));
    for (size_t i = 0; i < dim; i += LANES)
        v_store(out + i, v_mul(v_mul(v_load(x + i), scale), v_load(weight + i)));
}

/* cosines and sines: [dim], each angle's value for both of its columns, the sine of the first one negated. */
static void rope_pairs(float *x, const float *cosines, const float *sines, size_t dim)
{
    for (size_t i = 0; i < dim; i += LANES) {
        v16 a = v_load(x + i);
        v_store(x + i, v_fma(a, v_load(cosines + i), v_mul(v_swap_pairs(a), v_load(sines + i))));
    }
}

static void rope_halves(float *x, const float *cosines, const float *sines, size_t dim)
{
    for (size_t i = 0; i < dim / 2; i += LANES) {
        v16 a = v_load(x + i), b = v_load(x + dim / 2 + i);
        v_store(x + i, v_fma(a, v_load(cosines + i), v_mul(b, v_load(sines + i))));
        v_store(x + dim / 2 + i,
                v_fma(b, v_load(cosines + dim / 2 + i), v_mul(a, v_load(sines + dim / 2 + i))));
    }
}

static void silu_multiply(float *out, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        v16 g = v_load(gate + i);
        v16 silu = v_div(g, v_add(v_set(1), v_exp(v_sub(v_set(0), g))));
        v_store(out + i, v_mul(silu, v_load(up + i)));
    }
}

static void scale_add(float *out, const float *x, float scale, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        v_store(out + i, v_fma(v_load(x + i), v_set(scale), v_load(out + i)));
}

static void scale(float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        v_store(x + i, v_mul(v_load(x + i), v_set(factor)));
}

/* n need not be whole lanes: what is missing counts as -infinity. */
static v16 load_some(const float *x, size_t n)
{
    float some[LANES];
    for (size_t i = 0; i < LANES; i++)
        some[i] = i < n ? x[i] : -INFINITY;
    return v_load(some);
}

ALWAYS v16 load_up_to(const float *x, size_t n)
{
    return n >= LANES ? v_load(x) : load_some(x, n);
}

static float highest(const float *x, size_t n)
{
    v16 high = v_set(-INFINITY);
    for (size_t i = 0; i < n; i += LANES)
        high = v_max(high, load_up_to(x + i, n - i));
    return v_highest(high);
}

static double sum_exp(const float *x, size_t n, float max)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += LANES)
        sum += (double)v_sum(v_exp(v_sub(load_up_to(x + i, n - i), v_set(max))));
    return sum;
}

static void softmax(float *x, size_t n)
{
    float max = highest(x, n), sum = (float)sum_exp(x, n, max), some[LANES];
    for (size_t i = 0; i < n; i += LANES) {
        v_store(some, v_div(v_exp(v_sub(load_up_to(x + i, n - i), v_set(max))), v_set(sum)));
        for (size_t k = 0; k < LANES && i + k < n; k++)
            x[i + k] = some[k];
    }
}

/* ---- attention ------------------------------------------------------------------------------------------------ */

static void store_key(unsigned char *page, const float *key, uint32_t head_dim, uint32_t slot)
{
    uint16_t half[LANES], *keys = (uint16_t *)page;
    for (uint32_t i = 0; i < head_dim; i += LANES) {
        v_store_half(half, v_load(key + i));
        for (uint32_t k = 0; k < LANES; k++)
            keys[(i + k) * PAGE + slot] = half[k];
    }
}

static void store_value(unsigned char *page, const float *value, uint32_t head_dim, uint32_t slot)
{
    uint16_t *values = (uint16_t *)page + (size_t)head_dim * PAGE + (size_t)slot * head_dim;
    for (uint32_t i = 0; i < head_dim; i += LANES)
        v_store_half(values + i, v_load(value + i));
}

enum { GROUPS = ATTEND_KEYS / PAGE };

/* What attend() keeps in its scratch. */
struct attention {
    float *keys;                        /* [GROUPS][head_dim][16] */
    float *values;                      /* [ATTEND_KEYS][head_dim] */
    float *shares;                      /* [n_queries][ATTEND_KEYS]: scores, then exp(score - max) */
    float *max, *sum, *decay;           /* [n_queries][LANES]: the same number in all lanes of `sum` */
    const unsigned char *pages[GROUPS]; /* of the block at hand; those past the end repeat the last */
    const unsigned char *later[GROUPS]; /* of the next one */
};

/* Pages lie anywhere, so the hardware cannot guess the next ones: they are asked for while these are in use. */
static void choose_pages(const struct attend *x, struct attention *s, uint32_t first_page, uint32_t all_pages)
{
    for (uint32_t g = 0; g < GROUPS; g++) {
        uint32_t now = first_page + g, later = now + GROUPS;
        s->pages[g] = x->pages[now < all_pages ? now : all_pages - 1];
        s->later[g] = x->pages[later < all_pages ? later : all_pages - 1];
    }
}

/* Where many queries look at the same keys, these are made floats once for all. */
static void load_pages(const struct attend *x, const struct attention *s, uint32_t n_pages)
{
    size_t size = (size_t)x->head_dim * PAGE;
    for (uint32_t g = 0; g < n_pages; g++) {
        const uint16_t *page = (const uint16_t *)s->pages[g];
        for (size_t i = 0; i < size; i += LANES) {
            __builtin_prefetch(s->later[g] + 4 * i, 0, 3);
            v_store(s->keys + g * size + i, v_load_half(page + i));
            v_store(s->values + g * size + i, v_load_half(page + size + i));
        }
    }
}

/* Scores of `count` queries with all keys of the block: a chain over the head's columns, a lane a key. */
ALWAYS void score(const struct attend *x, const struct attention *s, uint32_t first, const uint32_t count,
                  const bool direct)
{
    v16 acc[VEC_QUERIES][GROUPS];
    for (uint32_t q = 0; q < count; q++)
        for (int g = 0; g < GROUPS; g++)
            acc[q][g] = v_set(0);
    size_t size = (size_t)x->head_dim * PAGE;
    for (uint32_t i = 0; i < x->head_dim; i++) {
        v16 key[GROUPS];
        for (int g = 0; g < GROUPS; g++) {
            if (direct)
                __builtin_prefetch(s->later[g] + i * 64, 0, 3); /* a page has 64 bytes a column */
            key[g] = direct ? v_load_half(s->pages[g] + i * PAGE * 2) : v_load(s->keys + g * size + i * PAGE);
        }
        for (uint32_t q = 0; q < count; q++) {
            v16 query = v_set(x->queries[first + q][i]);
            for (int g = 0; g < GROUPS; g++)
                acc[q][g] = v_fma(query, key[g], acc[q][g]);
        }
    }
    for (uint32_t q = 0; q < count; q++)
        for (int g = 0; g < GROUPS; g++)
            v_store(s->shares + (first + q) * ATTEND_KEYS + g * LANES, acc[q][g]);
}

/* Scores to shares; the running maximum and sum move on. */
static void update(const struct attend *x, const struct attention *s, uint32_t q, uint32_t begin)
{
    uint32_t visible = x->lengths[q] > begin ? x->lengths[q] - begin : 0;
    float *shares = s->shares + q * ATTEND_KEYS;
    v16 p[GROUPS], high = v_set(s->max[q]);
    for (uint32_t g = 0; g < GROUPS; g++) {
        p[g] = v_keep_first(v_load(shares + g * LANES), visible > g * LANES ? visible - g * LANES : 0,
                            -INFINITY);
        high = v_max(high, p[g]);
    }
    float max = v_highest(high);
    v16 decay = v_exp(v_sub(v_set(s->max[q]), v_set(max)));
    for (uint32_t g = 0; g < GROUPS; g++) {
        p[g] = v_exp(v_sub(p[g], v_set(max)));
        v_store(shares + g * LANES, p[g]);
    }
    v16 sum = v_set(v_sum(v_add(v_add(p[0], p[1]), v_add(p[2], p[3]))));
    v_store(s->sum + q * LANES, v_fma(v_load(s->sum + q * LANES), decay, sum));
    v_store(s->decay + q * LANES, decay);
    s->max[q] = max;
}

/* outs = outs * decay + Σ share * value, key after key; for `vectors` lanes from column `from`. */
ALWAYS void gather(const struct attend *x, const struct attention *s, uint32_t first, const uint32_t count,
                   uint32_t from, const uint32_t vectors, uint32_t n_keys, const bool direct)
{
    v16 acc[VEC_QUERIES][4];
    for (uint32_t q = 0; q < count; q++)
        for (uint32_t v = 0; v < vectors; v++)
            acc[q][v] =
                v_mul(v_load(x->outs[first + q] + from + v * LANES), v_load(s->decay + (first + q) * LANES));
    for (uint32_t k = 0; k < n_keys; k++) {
        v16 value[4];
        const uint16_t *halves =
            (const uint16_t *)s->pages[k / PAGE] + (size_t)(PAGE + k % PAGE) * x->head_dim;
        for (uint32_t v = 0; v < vectors; v++)
            value[v] = direct ? v_load_half(halves + from + v * LANES)
                              : v_load(s->values + (size_t)k * x->head_dim + from + v * LANES);
        for (uint32_t q = 0; q < count; q++) {
            v16 share = v_set(s->shares[(first + q) * ATTEND_KEYS + k]);
            for (uint32_t v = 0; v < vectors; v++)
                acc[q][v] = v_fma(share, value[v], acc[q][v]);
        }
    }
    for (uint32_t q = 0; q < count; q++)
        for (uint32_t v = 0; v < vectors; v++)
            v_store(x->outs[first + q] + from + v * LANES, acc[q][v]);
}

ALWAYS void gather_all(const struct attend *x, const struct attention *s, uint32_t first,
                       const uint32_t count, uint32_t n_keys, const bool direct)
{
    uint32_t from = 0;
    for (; from + 4 * LANES <= x->head_dim; from += 4 * LANES)
        gather(x, s, first, count, from, 4, n_keys, direct);
    for (; from < x->head_dim; from += LANES)
        gather(x, s, first, count, from, 1, n_keys, direct);
}

/* As many queries at once as the registers hold; what is left over in one go too, since a query alone leaves the
 * multipliers waiting for their own results. */
ALWAYS void score_some(const struct attend *x, const struct attention *s, uint32_t first, uint32_t count,
                       bool direct)
{
    switch (count) {
#if VEC_MANY_QUERIES
    case 6:
        score(x, s, first, 6, direct);
        return;
    case 5:
        score(x, s, first, 5, direct);
        return;
    case 4:
        score(x, s, first, 4, direct);
        return;
    case 3:
        score(x, s, first, 3, direct);
        return;
    case 2:
        score(x, s, first, 2, direct);
        return;
#endif
    default:
        score(x, s, first, 1, direct);
        return;
    }
}

ALWAYS void gather_some(const struct attend *x, const struct attention *s, uint32_t first, uint32_t count,
                        uint32_t n_keys, bool direct)
{
    switch (count) {
#if VEC_MANY_QUERIES
    case 6:
        gather_all(x, s, first, 6, n_keys, direct);
        return;
    case 5:
        gather_all(x, s, first, 5, n_keys, direct);
        return;
    case 4:
        gather_all(x, s, first, 4, n_keys, direct);
        return;
    case 3:
        gather_all(x, s, first, 3, n_keys, direct);
        return;
    case 2:
        gather_all(x, s, first, 2, n_keys, direct);
        return;
#endif
    default:
        gather_all(x, s, first, 1, n_keys, direct);
        return;
    }
}

static void attend_block(const struct attend *x, const struct attention *s, uint32_t begin, uint32_t n_keys)
{
    uint32_t n = x->n_queries, step = VEC_QUERIES;
    for (uint32_t q = 0; q < n; q += step)
        score_some(x, s, q, n - q < step ? n - q : step, false);
    for (uint32_t q = 0; q < n; q++)
        update(x, s, q, begin);
    for (uint32_t q = 0; q < n; q += step)
        gather_some(x, s, q, n - q < step ? n - q : step, n_keys, false);
}

/* Few queries: each half is used once, so it goes to a register and nowhere else. */
static void attend_block_directly(const struct attend *x, const struct attention *s, uint32_t begin,
                                  uint32_t n_keys)
{
    score_some(x, s, 0, x->n_queries, true);
    for (uint32_t q = 0; q < x->n_queries; q++)
        update(x, s, q, begin);
    gather_some(x, s, 0, x->n_queries, n_keys, true);
}

static struct attention attention_begin(const struct attend *x, bool direct)
{
    size_t block = (size_t)ATTEND_KEYS * x->head_dim;
    struct attention s = { .keys = x->scratch,
                           .values = x->scratch + block,
                           .shares = x->scratch + 2 * block };
    s.sum = s.shares + x->n_queries * ATTEND_KEYS;
    s.decay = s.sum + x->n_queries * LANES;
    s.max = s.decay + x->n_queries * LANES;
    if (!direct)
        memset(s.keys, 0, 2 * block * sizeof(float));
    for (uint32_t q = 0; q < x->n_queries; q++) {
        s.max[q] = -INFINITY;
        v_store(s.sum + q * LANES, v_set(0));
        memset(x->outs[q], 0, x->head_dim * sizeof(float));
    }
    return s;
}

static void attend(const struct attend *x)
{
    bool direct = x->n_queries <= VEC_QUERIES;
    struct attention s = attention_begin(x, direct);
    uint32_t longest = 0;
    for (uint32_t q = 0; q < x->n_queries; q++)
        longest = longest > x->lengths[q] ? longest : x->lengths[q];
    for (uint32_t begin = 0; begin < longest; begin += ATTEND_KEYS) {
        uint32_t n_keys = longest - begin < ATTEND_KEYS ? longest - begin : ATTEND_KEYS;
        choose_pages(x, &s, begin / PAGE, (longest + PAGE - 1) / PAGE);
        if (direct) {
            attend_block_directly(x, &s, begin, n_keys);
            continue;
        }
        load_pages(x, &s, (n_keys + PAGE - 1) / PAGE);
        attend_block(x, &s, begin, n_keys);
    }
    for (uint32_t q = 0; q < x->n_queries; q++) /* + 0: a negative zero becomes a positive one */
        for (uint32_t i = 0; i < x->head_dim; i += LANES)
            v_store(x->outs[q] + i,
                    v_add(v_div(v_load(x->outs[q] + i), v_load(s.sum + q * LANES)), v_set(0)));
}

const struct kernels KERNELS_NAME = {
    .name = KERNELS_TEXT,
    .can_run = can_run,
    .tile = VEC_TILE,
    .quantize = quantize,
    .arrange = arrange,
    .multiply = multiply,
    .rmsnorm = rmsnorm,
    .rope_pairs = rope_pairs,
    .rope_halves = rope_halves,
    .silu_multiply = silu_multiply,
    .scale_add = scale_add,
    .scale = scale,
    .softmax = softmax,
    .sum_exp = sum_exp,
    .max = highest,
    .store_key = store_key,
    .store_value = store_value,
    .attend = attend,
};
