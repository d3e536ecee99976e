/* The numeric core: one table of functions an instruction set, all of which give the same bits.
 *
 * How the same bits come about. Weights lie in groups of 16 rows, and each output row is one lane of 16: whatever the
 * width of the registers, the sum of a row is one chain, block after block of 32 columns. Inside a block the products
 * are integers (int8 activations, weights of up to 8 bits), whose sum is exact in any order; so only two or three float
 * operations a block have to agree, and those are IEEE multiplications and fused multiply-adds, spelled out. Sums
 * across lanes (norms, softmax) have one tree: lane i + lane i+8, then 4, 2, 1. exp() is our own (body.h).
 *
 * A block's share of a row, for weights w = scale * q + min and activations x = d * a:
 *     acc = fma((float)Σ q a, scale * d, acc);   acc = fma(min, d * Σ a, acc)   the second only for types with a min */
#ifndef ENGINE_KERNELS_H
#define ENGINE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LANES = 16,       /* rows in a group, lanes of every defined sum */
    BLOCK = 32,       /* columns that share an activation scale */
    TILE_MAX = 16,    /* most tokens in a tile */
    PAGE = 16,        /* positions in a page of the key/value cache */
    ATTEND_KEYS = 64, /* keys between two updates of the online softmax */
    PACKED_ALIGNMENT = 64,
};

/* ---- weights: packed.c ---------------------------------------------------------------------------------------- */

/* A matrix laid out in groups of 16 rows (the last one padded with zero rows). Within a group, block after block,
 * the 4-byte words of the 16 rows stand side by side: word j of a block holds columns 4j..4j+3 of one row. Nibbles
 * keep the files' pairing: low nibbles are columns 0..15 of a block, high ones 16..31. Scales follow the quants. */
struct matrix {
    const unsigned char *packed; /* aligned to PACKED_ALIGNMENT */
    size_t group_bytes;
    uint32_t type;               /* enum tensor_type */
    uint32_t rows, cols, groups; /* cols: a multiple of BLOCK */
};

size_t packed_group_bytes(uint32_t type, uint32_t cols);
void packed_write_group(uint32_t type, uint32_t cols, uint32_t rows, const void *source,
                        unsigned char *group);
static inline const unsigned char *matrix_group(const struct matrix *matrix, uint32_t group)
{
    return matrix->packed + (size_t)group * matrix->group_bytes;
}
bool type_is_float(uint32_t type); /* F32, F16, BF16: multiplied as floats, not as int8 */

/* One row of a tensor as it lies in the file, as floats: w[i] = what the format says, rounded once. */
void dequantize_row(uint32_t type, const void *row, float *out, size_t cols);

float half_to_float(uint16_t half);
uint16_t float_to_half(float value); /* to nearest even, overflow to infinity */

/* ---- activations ---------------------------------------------------------------------------------------------- */

/* Rows of activations, cut into tiles of `tile` rows (the last one as wide as what is left, so that a lone token lies
 * without gaps). In a tile of W rows, a block's record is
 *     int8 a[W][32]; float d[W]; float sum[W] = d Σa; int32 minus[W] = -Σa; minus_low[W], minus_high[W]: its halves
 * and for float weights float x[32][W]. */
struct activations {
    unsigned char *quants; /* NULL: not made */
    float *floats;         /* NULL: not made */
    uint32_t rows, cols, tile;
};
enum { QUANT_BYTES = 52 }; /* of a block of one row */

static inline size_t activations_quant_bytes(uint32_t rows, uint32_t cols)
{
    return (size_t)rows * (cols / BLOCK) * QUANT_BYTES;
}

/* What becomes of the products of a group of 16 rows with all activation rows. */
struct product {
    float **rows; /* out[i] = rows[i] + first row of the group; or NULL: */
    float *out;   /* [activations->rows][stride] */
    size_t stride;
    float scale; /* multiplies the product; 1 changes nothing */
    bool add;    /* out += product, else out = product */
    bool narrow; /* `out` is 16 wide: this group's lanes alone, not whole rows */
};

/* ---- attention ------------------------------------------------------------------------------------------------ */

/* Queries that look at the same keys and values (a KV head's), each up to its own length. */
struct attend {
    uint32_t head_dim; /* a multiple of 16 */
    uint32_t n_queries;
    const float *const *queries;       /* [n][head_dim], already scaled */
    float *const *outs;                /* [n][head_dim] */
    const uint32_t *lengths;           /* keys that each may see, >= 1 */
    const unsigned char *const *pages; /* of 16 positions: f16 keys [head_dim][16], values [16][head_dim] */
    float *scratch;                    /* attend_scratch_floats() */
};
static inline size_t attend_scratch_floats(uint32_t head_dim, uint32_t n_queries)
{
    return (size_t)ATTEND_KEYS * head_dim * 2 + (size_t)n_queries * (ATTEND_KEYS + 2 * LANES + 1);
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

struct kernels {
    const char *name;
    bool (*can_run)(void); /* asks the CPU and the operating system; scalar's says yes */
    uint32_t tile;         /* rows of activations in a full tile */

    /* Rows first..first+count of x ([..][cols], stride apart) into a's tiles; first: a multiple of tile. */
    void (*quantize)(struct activations *a, const float *x, size_t stride, uint32_t first, uint32_t count);
    void (*arrange)(struct activations *a, const float *x, size_t stride, uint32_t first, uint32_t count);

    /* One group of 16 rows of a matrix times all activations. panel: multiply_panel_bytes(cols). */
    void (*multiply)(const struct matrix *matrix, uint32_t group, const struct activations *a,
                     const struct product *product, unsigned char *panel);

    void (*rmsnorm)(float *out, const float *x, const float *weight, size_t dim, float eps);
    void (*rope_pairs)(float *x, const float *cosines, const float *sines, size_t dim); /* (0,1), (2,3), … */
    void (*rope_halves)(float *x, const float *cosines, const float *sines,
                        size_t dim); /* (0,n/2), (1,n/2+1), … */
    void (*silu_multiply)(float *out, const float *gate, const float *up, size_t n); /* silu(gate) * up */
    void (*scale_add)(float *out, const float *x, float scale, size_t n);            /* out += scale * x */
    void (*scale)(float *x, float scale, size_t n);
    void (*softmax)(float *x, size_t n);
    double (*sum_exp)(const float *x, size_t n, float max); /* Σ exp(x - max) */
    float (*max)(const float *x, size_t n);
    void (*store_key)(unsigned char *page, const float *key, uint32_t head_dim, uint32_t slot);
    void (*store_value)(unsigned char *page, const float *value, uint32_t head_dim, uint32_t slot);
    void (*attend)(const struct attend *attend);
};

static inline size_t multiply_panel_bytes(uint32_t cols) /* room for the widest: F32, 64 bytes a column */
{
    return (size_t)cols * 64 + (size_t)TILE_MAX * LANES * sizeof(float);
}

extern const struct kernels kernels_scalar, kernels_avx2, kernels_avx512vnni, kernels_neon;
extern const struct kernels
    *const kernels_all[]; /* fastest first, NULL at the end; only this architecture's */
const struct kernels *kernels_find(const char *name); /* NULL name: the fastest that runs; NULL: none such */

#endif
