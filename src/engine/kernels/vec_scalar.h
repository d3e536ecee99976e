/* The meaning of every vector operation, in plain C: sixteen lanes, each for itself.
 * vec_avx512.h, vec_avx2.h and vec_neon.h do the same with registers; body.h is written over these names. */
#ifndef ENGINE_VEC_SCALAR_H
#define ENGINE_VEC_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "engine/kernels/kernels.h"

#define ALWAYS static inline

typedef struct {
    float f[16];
} v16; /* floats */
typedef struct {
    int32_t n[16];
} n16; /* integers */
typedef struct {
    unsigned char b[64];
} b64; /* a word of 4 weights for each of 16 rows */

/* Tokens in a tile, and how many of them take turns in it; queries in a block of attention; and how Q8_0's signed bytes are multiplied: -1 as they are,
 * 7 made unsigned by adding 2^7, which is taken away again as 2^7 times the activations' sum. */
enum { VEC_TILE = 4, VEC_TURNS = 1, VEC_QUERIES = 1, Q8_SHIFT = -1 };

#define LANEWISE(expression)                                                                                 \
    v16 r;                                                                                                   \
    for (int i = 0; i < 16; i++)                                                                             \
        r.f[i] = (expression);                                                                               \
    return r

ALWAYS v16 v_load(const float *p)
{
    LANEWISE(p[i]);
}
ALWAYS void v_store(float *p, v16 a)
{
    memcpy(p, a.f, sizeof a.f);
}
ALWAYS v16 v_set(float a)
{
    LANEWISE(a);
}
ALWAYS v16 v_add(v16 a, v16 b)
{
    LANEWISE(a.f[i] + b.f[i]);
}
ALWAYS v16 v_sub(v16 a, v16 b)
{
    LANEWISE(a.f[i] - b.f[i]);
}
ALWAYS v16 v_mul(v16 a, v16 b)
{
    LANEWISE(a.f[i] * b.f[i]);
}
ALWAYS v16 v_div(v16 a, v16 b)
{
    LANEWISE(a.f[i] / b.f[i]);
}
ALWAYS v16 v_fma(v16 a, v16 b, v16 c)
{
    LANEWISE(fmaf(a.f[i], b.f[i], c.f[i]));
}
ALWAYS v16 v_max(v16 a, v16 b)
{
    LANEWISE(a.f[i] > b.f[i] ? a.f[i] : b.f[i]);
} /* b if either is not a number */
ALWAYS v16 v_min(v16 a, v16 b)
{
    LANEWISE(a.f[i] < b.f[i] ? a.f[i] : b.f[i]);
}
ALWAYS v16 v_abs(v16 a)
{
    LANEWISE(fabsf(a.f[i]));
}
ALWAYS v16 v_sqrt(v16 a)
{
    LANEWISE(sqrtf(a.f[i]));
}
ALWAYS n16 v_round(v16 a) /* to nearest even */
{
    n16 r;
    for (int i = 0; i < 16; i++)
        r.n[i] = a.f[i] >= -2147483648.0f && a.f[i] < 2147483648.0f ? (int32_t)rintf(a.f[i]) : INT32_MIN;
    return r;
}
ALWAYS v16 v_of_int(n16 a)
{
    LANEWISE((float)a.n[i]);
}
ALWAYS v16 v_scale_by_power(v16 a, n16 power) /* a * 2^power; power in -126..127 */
{
    v16 r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits = (uint32_t)(power.n[i] + 127) << 23;
        float factor;
        memcpy(&factor, &bits, sizeof factor);
        r.f[i] = a.f[i] * factor;
    }
    return r;
}
ALWAYS v16 v_zero_below(v16 value, v16 x, float limit)
{
    LANEWISE(x.f[i] >= limit ? value.f[i] : 0.0f);
}
ALWAYS v16 v_keep_first(v16 a, uint32_t count, float other)
{
    LANEWISE((uint32_t)i < count ? a.f[i] : other);
}
ALWAYS v16 v_load_half(const void *p)
{
    uint16_t half[16];
    memcpy(half, p, sizeof half);
    LANEWISE(half_to_float(half[i]));
}
ALWAYS void v_store_half(void *p, v16 a)
{
    uint16_t half[16];
    for (int i = 0; i < 16; i++)
        half[i] = float_to_half(a.f[i]);
    memcpy(p, half, sizeof half);
}
ALWAYS v16 v_load_bf16(const void *p)
{
    uint32_t bits[16];
    for (int i = 0; i < 16; i++)
        bits[i] = (uint32_t)((const unsigned char *)p)[2 * i] << 16 |
                  (uint32_t)((const unsigned char *)p)[2 * i + 1] << 24;
    v16 r;
    memcpy(r.f, bits, sizeof bits);
    return r;
}
ALWAYS v16 v_load_u8(const unsigned char *p)
{
    LANEWISE((float)p[i]);
}
ALWAYS v16 v_load_i8(const unsigned char *p)
{
    LANEWISE((float)(int8_t)p[i]);
}
ALWAYS float v_sum(v16 a) /* the tree: lane i + lane i+8, then 4, 2, 1 */
{
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a.f[i] += a.f[i + half];
    return a.f[0];
}
ALWAYS float v_highest(v16 a)
{
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            a.f[i] = a.f[i] > a.f[i + half] ? a.f[i] : a.f[i + half];
    return a.f[0];
}
ALWAYS v16 v_swap_pairs(v16 a)
{
    LANEWISE(a.f[i ^ 1]);
}

ALWAYS n16 n_zero(void)
{
    return (n16){ { 0 } };
}
ALWAYS n16 n_set_shifted(int32_t a, int shift) /* a * 2^shift in every lane */
{
    n16 r;
    for (int i = 0; i < 16; i++)
        r.n[i] = (int32_t)((uint32_t)a << shift);
    return r;
}
ALWAYS int32_t n_sum(n16 a)
{
    int32_t sum = 0;
    for (int i = 0; i < 16; i++)
        sum += a.n[i];
    return sum;
}
ALWAYS void n_store_i8(int8_t *p, n16 a) /* the low byte of each lane */
{
    for (int i = 0; i < 16; i++)
        p[i] = (int8_t)(uint8_t)a.n[i];
}

ALWAYS b64 b_load(const unsigned char *p)
{
    b64 r;
    memcpy(r.b, p, sizeof r.b);
    return r;
}
ALWAYS void b_store(unsigned char *p, b64 a)
{
    memcpy(p, a.b, sizeof a.b);
}

/* 256 bytes: low nibbles are words 0..3, high ones 4..7. */
ALWAYS void unpack_nibbles(const unsigned char *p, b64 w[8])
{
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 64; i++) {
            w[j].b[i] = p[64 * j + i] & 15;
            w[j + 4].b[i] = p[64 * j + i] >> 4;
        }
}

/* Eight masks of 64 bits: a set bit adds 16 to its byte. */
ALWAYS void unpack_bit(const unsigned char *masks, b64 w[8])
{
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 64; i++)
            w[j].b[i] += (masks[8 * j + i / 8] >> i % 8 & 1) * 16;
}

/* 2 x 64 bytes: bits 2p, 2p+1 of byte i of half h are bits 4, 5 of byte i of word 4h + p. */
ALWAYS void unpack_two_bits(const unsigned char *p, b64 w[8])
{
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 64; i++)
            w[j].b[i] |= (p[64 * (j / 4) + i] >> j % 4 * 2 & 3) << 4;
}

/* Q8_0's bytes, ready for dot_bytes(). */
ALWAYS void unpack_bytes(const unsigned char *p, b64 w[8])
{
    for (int j = 0; j < 8; j++)
        w[j] = b_load(p + 64 * j);
}

/* sum[row] += Σ w * a over `words` words of 4 columns; w unsigned, below 64. dot_words() does it for several tokens,
 * whose activations lie 32 bytes apart. */
ALWAYS n16 dot_token(n16 sum, const b64 *w, const int8_t *a, int words)
{
    for (int j = 0; j < words; j++)
        for (int i = 0; i < 64; i++)
            sum.n[i / 4] += w[j].b[i] * a[4 * j + i % 4];
    return sum;
}

/* The same for Q8_0: 8 words that unpack_bytes() gave. */
ALWAYS n16 dot_bytes_token(n16 sum, const b64 *w, const int8_t *a)
{
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 64; i++)
            sum.n[i / 4] += (int8_t)w[j].b[i] * a[4 * j + i % 4];
    return sum;
}

ALWAYS void dot_words(n16 *sums, uint32_t tokens, const b64 *w, const int8_t *a, int words)
{
    for (uint32_t t = 0; t < tokens; t++)
        sums[t] = dot_token(sums[t], w, a + 32 * t, words);
}
ALWAYS void dot_bytes(n16 *sums, uint32_t tokens, const b64 *w, const int8_t *a)
{
    for (uint32_t t = 0; t < tokens; t++)
        sums[t] = dot_bytes_token(sums[t], w, a + 32 * t);
}

#endif
