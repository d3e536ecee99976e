/* Laying weights out in groups of 16 rows, and reading a row of the file's own layout.
 * The formats are ggml's: a block of 32 (Q4_0 … Q8_0) or 256 (…_K) weights with its scales. */
#include <string.h>

#include "engine/gguf.h"
#include "engine/kernels/kernels.h"

float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023, bits;
    if (exponent == 31)
        bits = sign | 0x7f800000 | mantissa << 13;
    else if (exponent != 0)
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else { /* zero or subnormal: mantissa * 2^-24, exact in float */
        float value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t float_to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x47800000) /* 65536 and more */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
        float small;
        memcpy(&small, &magnitude, sizeof small);
        small += 0.5f; /* at 0.5 a float's last bit is 2^-24: the addition rounds for us */
        memcpy(&magnitude, &small, sizeof magnitude);
        return (uint16_t)(sign | (magnitude - 0x3f000000));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1); /* to nearest even; may carry into infinity, as it should */
    return (uint16_t)(sign | (magnitude - 0x38000000) >> 13);
}

static uint16_t load_u16(const unsigned char *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static float load_half(const unsigned char *bytes)
{
    return half_to_float(load_u16(bytes));
}

bool type_is_float(uint32_t type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16;
}

/* ---- sizes: where the parts of a group begin ---- */

/* A group of the 32-wide types is [quants of each block][high bits of each][scales of each]; of the 256-wide ones,
 * for each superblock [scales of its 8 blocks][quants][high bits], then all the superblocks' d (and dmin). */
struct packing {
    uint16_t quants, highs, scales; /* bytes of a block of 16 rows x 32 columns */
    uint16_t super;                 /* bytes of d and dmin a superblock of 16 x 256; 0: a 32-wide type */
};

static const struct packing packings[TENSOR_TYPE_MAX] = {
    [TENSOR_Q4_0] = { 256, 0, 32, 0 },   [TENSOR_Q4_1] = { 256, 0, 64, 0 },
    [TENSOR_Q5_0] = { 256, 64, 32, 0 },  [TENSOR_Q5_1] = { 256, 64, 64, 0 },
    [TENSOR_Q8_0] = { 512, 0, 32, 0 },   [TENSOR_Q4_K] = { 256, 0, 32, 64 },
    [TENSOR_Q5_K] = { 256, 64, 32, 64 }, [TENSOR_Q6_K] = { 256, 128, 32, 32 },
    [TENSOR_F32] = { 2048, 0, 0, 0 },    [TENSOR_F16] = { 1024, 0, 0, 0 },
    [TENSOR_BF16] = { 1024, 0, 0, 0 },
};

size_t packed_group_bytes(uint32_t type, uint32_t cols)
{
    const struct packing *p = &packings[type];
    size_t blocks = cols / BLOCK;
    size_t bytes = blocks * (p->quants + p->highs + p->scales) + (p->super ? blocks / 8 * p->super : 0);
    return (bytes + PACKED_ALIGNMENT - 1) & ~(size_t)(PACKED_ALIGNMENT - 1);
}

/* ---- writing: 32-wide types ---- */

/* Words of 4 bytes of one row, to their places among the 16 rows'. */
static void spread_words(unsigned char *out, uint32_t row, const unsigned char *words, uint32_t count)
{
    for (uint32_t j = 0; j < count; j++)
        memcpy(out + j * 64 + row * 4, words + j * 4, 4);
}

/* Bit k of a row's 32 high bits becomes bit 4 row + k%4 of the k/4-th 64-bit mask. */
static void spread_bits(unsigned char *out, uint32_t row, uint32_t bits)
{
    for (uint32_t j = 0; j < 8; j++)
        out[j * 8 + row / 2] |= (unsigned char)((bits >> 4 * j & 15) << (row % 2 * 4));
}

static uint32_t load_u32(const unsigned char *bytes)
{
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Offsets within a block of the file: d at 0; then m, the high bits, the quants. */
static void write_block_32(uint32_t type, uint32_t row, const unsigned char *block, unsigned char *quants,
                           unsigned char *highs, unsigned char *scales)
{
    bool has_min = type == TENSOR_Q4_1 || type == TENSOR_Q5_1;
    memcpy(scales + row * 2, block, 2);
    block += 2;
    if (has_min) {
        memcpy(scales + 32 + row * 2, block, 2);
        block += 2;
    }
    if (packings[type].highs) {
        spread_bits(highs, row, load_u32(block));
        block += 4;
    }
    spread_words(quants, row, block, type == TENSOR_Q8_0 ? 8 : 4);
}

/* ---- writing: 256-wide types ---- */

/* Q4_K and Q5_K: scale and min of 8 blocks in 6 bits each, packed into 12 bytes. */
static void scale_min_k(const unsigned char *packed, uint32_t j, unsigned char *scale, unsigned char *min)
{
    if (j < 4) {
        *scale = packed[j] & 63;
        *min = packed[j + 4] & 63;
    } else {
        *scale = (unsigned char)((packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4);
        *min = (unsigned char)(packed[j + 4] >> 4 | (packed[j] >> 6) << 4);
    }
}

/* The 32 quants of block j: pairs of blocks share 32 bytes, the even block in the low nibbles. */
static void nibbles_k(const unsigned char *quants, uint32_t j, unsigned char *q)
{
    for (uint32_t i = 0; i < 32; i++)
        q[i] = quants[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
}

/* Our pairing of nibbles: columns i and i + 16. */
static void pair_nibbles(const unsigned char *q, unsigned char *pairs)
{
    for (uint32_t i = 0; i < 16; i++)
        pairs[i] = (unsigned char)((q[i] & 15) | (q[i + 16] & 15) << 4);
}

static void write_super_45(uint32_t type, uint32_t row, const unsigned char *block, unsigned char *super,
                           unsigned char *tail)
{
    memcpy(tail + row * 2, block, 2);
    memcpy(tail + 32 + row * 2, block + 2, 2);
    const unsigned char *highs = block + 16, *quants = type == TENSOR_Q5_K ? block + 48 : block + 16;
    for (uint32_t j = 0; j < 8; j++) {
        unsigned char q[32], pairs[16];
        scale_min_k(block + 4, j, &super[j * 32 + row], &super[j * 32 + 16 + row]);
        nibbles_k(quants, j, q);
        pair_nibbles(q, pairs);
        spread_words(super + 256 + j * 256, row, pairs, 4);
        uint32_t bits = 0;
        for (uint32_t i = 0; type == TENSOR_Q5_K && i < 32; i++)
            bits |= (uint32_t)(highs[i] >> j & 1) << i;
        if (type == TENSOR_Q5_K)
            spread_bits(super + 256 + 2048 + j * 64, row, bits);
    }
}

/* Q6_K: per half of 128, 64 bytes of low nibbles and 32 of high pairs of bits; 16 scales, one for 16 columns. */
static void quants_6k(const unsigned char *block, uint32_t j, unsigned char *q)
{
    const unsigned char *low = block + j / 4 * 64 + j % 2 * 32, *high = block + 128 + j / 4 * 32;
    for (uint32_t i = 0; i < 32; i++)
        q[i] = (unsigned char)((low[i] >> (j % 4 / 2 * 4) & 15) | (high[i] >> (j % 4 * 2) & 3) << 4);
}

/* High pairs: byte of column i (of 4h'..) in word h: bits 2p hold word 4h + p's column. */
static void write_super_6(uint32_t row, const unsigned char *block, unsigned char *super, unsigned char *tail)
{
    memcpy(tail + row * 2, block + 208, 2);
    for (uint32_t j = 0; j < 8; j++) {
        unsigned char q[32], pairs[16], highs[8] = { 0 };
        quants_6k(block, j, q);
        pair_nibbles(q, pairs);
        for (uint32_t i = 0; i < 32; i++)
            highs[i / 16 * 4 + i % 4] |= (unsigned char)((q[i] >> 4) << (i % 16 / 4 * 2));
        super[j * 32 + row] = block[192 + 2 * j];
        super[j * 32 + 16 + row] = block[192 + 2 * j + 1];
        spread_words(super + 256 + j * 256, row, pairs, 4);
        spread_words(super + 256 + 2048 + j * 128, row, highs, 2);
    }
}

/* ---- writing: a group ---- */

static void write_float_row(uint32_t type, uint32_t cols, uint32_t row, const unsigned char *source,
                            unsigned char *group)
{
    uint32_t width = tensor_traits(type)->bytes;
    for (uint32_t i = 0; i < cols; i++)
        memcpy(group + ((size_t)i * LANES + row) * width, source + (size_t)i * width, width);
}

static void write_row(uint32_t type, uint32_t cols, uint32_t row, const unsigned char *source,
                      unsigned char *group)
{
    const struct packing *p = &packings[type];
    const struct tensor_traits *traits = tensor_traits(type);
    size_t blocks = cols / BLOCK;
    unsigned char *highs = group + blocks * p->quants, *scales = highs + blocks * p->highs;
    for (size_t b = 0; b < blocks && !p->super; b++)
        write_block_32(type, row, source + b * traits->bytes, group + b * p->quants, highs + b * p->highs,
                       scales + b * p->scales);
    size_t super_bytes = 8u * (p->quants + p->highs + p->scales);
    unsigned char *tail = group + blocks / 8 * super_bytes;
    for (size_t b = 0; b < blocks / 8 && p->super; b++) {
        const unsigned char *block = source + b * traits->bytes;
        if (type == TENSOR_Q6_K)
            write_super_6(row, block, group + b * super_bytes, tail + b * p->super);
        else
            write_super_45(type, row, block, group + b * super_bytes, tail + b * p->super);
    }
}

void packed_write_group(uint32_t type, uint32_t cols, uint32_t rows, const void *source, unsigned char *group)
{
    const struct tensor_traits *traits = tensor_traits(type);
    size_t row_bytes = (size_t)cols / traits->block * traits->bytes;
    memset(group, 0, packed_group_bytes(type, cols));
    for (uint32_t row = 0; row < rows; row++) {
        const unsigned char *from = (const unsigned char *)source + row * row_bytes;
        if (type_is_float(type))
            write_float_row(type, cols, row, from, group);
        else
            write_row(type, cols, row, from, group);
    }
}

/* ---- a row as floats ---- */

static void dequantize_block_32(uint32_t type, const unsigned char *block, float *out)
{
    bool has_min = type == TENSOR_Q4_1 || type == TENSOR_Q5_1, has_high = packings[type].highs != 0;
    int zero = type == TENSOR_Q4_0 ? 8 : type == TENSOR_Q5_0 ? 16 : 0;
    float d = load_half(block), m = has_min ? load_half(block + 2) : 0;
    block += has_min ? 4 : 2;
    uint32_t bits = has_high ? load_u32(block) : 0;
    block += has_high ? 4 : 0;
    for (uint32_t i = 0; i < 32; i++) {
        int q = type == TENSOR_Q8_0 ? (signed char)block[i] : block[i % 16] >> (i / 16 * 4) & 15;
        q |= (int)(bits >> i & 1) << 4;
        out[i] = d * (float)(q - zero) + m;
    }
}

static void dequantize_super(uint32_t type, const unsigned char *block, float *out)
{
    for (uint32_t j = 0; j < 8; j++) {
        unsigned char q[32], scale, min;
        if (type == TENSOR_Q6_K) {
            quants_6k(block, j, q);
            for (uint32_t i = 0; i < 32; i++)
                out[j * 32 + i] = load_half(block + 208) * (float)(signed char)block[192 + 2 * j + i / 16] *
                                  (float)(q[i] - 32);
            continue;
        }
        scale_min_k(block + 4, j, &scale, &min);
        nibbles_k(type == TENSOR_Q5_K ? block + 48 : block + 16, j, q);
        float d = load_half(block) * scale, m = load_half(block + 2) * min;
        for (uint32_t i = 0; i < 32; i++)
            out[j * 32 + i] =
                d * (float)(q[i] | (type == TENSOR_Q5_K ? (block[16 + i] >> j & 1) << 4 : 0)) - m;
    }
}

static float float_at(uint32_t type, const unsigned char *row, size_t i)
{
    uint32_t bits = type == TENSOR_F32 ? load_u32(row + i * 4) : (uint32_t)load_u16(row + i * 2) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return type == TENSOR_F16 ? load_half(row + i * 2) : value;
}

void dequantize_row(uint32_t type, const void *row, float *out, size_t cols)
{
    const struct tensor_traits *traits = tensor_traits(type);
    const unsigned char *bytes = row;
    for (size_t i = 0; i < cols; i += traits->block) {
        const unsigned char *block = bytes + i / traits->block * traits->bytes;
        if (type_is_float(type))
            out[i] = float_at(type, bytes, i);
        else if (traits->block == 32)
            dequantize_block_32(type, block, out + i);
        else
            dequantize_super(type, block, out + i);
    }
}
