/* Sixteen lanes in one register. For what each function means, see vec_scalar.h. */
#ifndef ENGINE_VEC_AVX512_H
#define ENGINE_VEC_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS static inline __attribute__((always_inline))

typedef __m512 v16;
typedef __m512i n16;
typedef __m512i b64;

enum { VEC_TILE = 16, VEC_TURNS = 4, VEC_QUERIES = 6, Q8_SHIFT = 7 };

ALWAYS v16 v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
ALWAYS void v_store(float *p, v16 a)
{
    _mm512_storeu_ps(p, a);
}
ALWAYS v16 v_set(float a)
{
    return _mm512_set1_ps(a);
}
ALWAYS v16 v_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}
ALWAYS v16 v_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}
ALWAYS v16 v_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}
ALWAYS v16 v_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}
ALWAYS v16 v_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
ALWAYS v16 v_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}
ALWAYS v16 v_min(v16 a, v16 b)
{
    return _mm512_min_ps(a, b);
}
ALWAYS v16 v_abs(v16 a)
{
    return _mm512_abs_ps(a);
}
ALWAYS v16 v_sqrt(v16 a)
{
    return _mm512_sqrt_ps(a);
}
ALWAYS n16 v_round(v16 a)
{
    return _mm512_cvtps_epi32(a);
}
ALWAYS v16 v_of_int(n16 a)
{
    return _mm512_cvtepi32_ps(a);
}
ALWAYS v16 v_scale_by_power(v16 a, n16 power)
{
    n16 bits = _mm512_slli_epi32(_mm512_add_epi32(power, _mm512_set1_epi32(127)), 23);
    return _mm512_mul_ps(a, _mm512_castsi512_ps(bits));
}
ALWAYS v16 v_zero_below(v16 value, v16 x, float limit)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_GE_OQ), value);
}
ALWAYS v16 v_keep_first(v16 a, uint32_t count, float other)
{
    __mmask16 keep = count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1);
    return _mm512_mask_mov_ps(_mm512_set1_ps(other), keep, a);
}
ALWAYS v16 v_load_half(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}
ALWAYS void v_store_half(void *p, v16 a)
{
    _mm256_storeu_si256(p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
ALWAYS v16 v_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}
ALWAYS v16 v_load_u8(const unsigned char *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
ALWAYS v16 v_load_i8(const unsigned char *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
ALWAYS float v_sum(v16 a)
{
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
ALWAYS float v_highest(v16 a)
{
    __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
ALWAYS v16 v_swap_pairs(v16 a)
{
    return _mm512_permute_ps(a, 0xb1);
}

ALWAYS n16 n_zero(void) /* made anew each time: kept in a register it would push another out */
{
    n16 zero;
    __asm__ volatile("vpxord %0, %0, %0" : "=v"(zero));
    return zero;
}
ALWAYS n16 n_set_shifted(int32_t a, int shift)
{
    return _mm512_slli_epi32(_mm512_set1_epi32(a), (unsigned)shift);
}
ALWAYS int32_t n_sum(n16 a)
{
    return _mm512_reduce_add_epi32(a);
}
ALWAYS void n_store_i8(int8_t *p, n16 a)
{
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a));
}

ALWAYS b64 b_load(const unsigned char *p)
{
    return _mm512_loadu_si512(p);
}
ALWAYS void b_store(unsigned char *p, b64 a)
{
    _mm512_storeu_si512(p, a);
}

ALWAYS void unpack_nibbles(const unsigned char *p, b64 w[8])
{
    const b64 low = _mm512_set1_epi8(15);
    for (int j = 0; j < 4; j++) {
        b64 pair = b_load(p + 64 * j);
        w[j] = _mm512_and_si512(pair, low);
        w[j + 4] = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low);
    }
}

ALWAYS void unpack_bit(const unsigned char *masks, b64 w[8])
{
    const b64 sixteen = _mm512_set1_epi8(16);
    for (int j = 0; j < 8; j++) {
        uint64_t mask;
        memcpy(&mask, masks + 8 * j, 8);
        w[j] = _mm512_mask_add_epi8(w[j], mask, w[j], sixteen);
    }
}

ALWAYS void unpack_two_bits(const unsigned char *p, b64 w[8])
{
    const b64 mask = _mm512_set1_epi8(0x30);
    for (int h = 0; h < 2; h++) {
        b64 bits = b_load(p + 64 * h);
        w[4 * h] = _mm512_or_si512(w[4 * h], _mm512_and_si512(_mm512_slli_epi16(bits, 4), mask));
        w[4 * h + 1] = _mm512_or_si512(w[4 * h + 1], _mm512_and_si512(_mm512_slli_epi16(bits, 2), mask));
        w[4 * h + 2] = _mm512_or_si512(w[4 * h + 2], _mm512_and_si512(bits, mask));
        w[4 * h + 3] = _mm512_or_si512(w[4 * h + 3], _mm512_and_si512(_mm512_srli_epi16(bits, 2), mask));
    }
}

ALWAYS void unpack_bytes(const unsigned char *p, b64 w[8])
{
    const b64 flip = _mm512_set1_epi8((char)0x80);
    for (int j = 0; j < 8; j++)
        w[j] = _mm512_xor_si512(b_load(p + 64 * j), flip);
}

/* vpdpbusd: four unsigned by signed products a lane, added to it. The activations' word is the instruction's own
 * broadcast operand: written out, since gcc makes a load of its own of it, and the scheduler is what is short here.
 * Tokens take turns, so that neighbours do not wait for each other (the latency is 5 cycles, two start in each). */
ALWAYS n16 dot_word(n16 sum, b64 w, const int8_t *a)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int32_t *)a));
    return sum;
}
ALWAYS void dot_words(n16 *sums, uint32_t tokens, const b64 *w, const int8_t *a, int words)
{
#pragma GCC unroll 8
    for (int j = 0; j < words; j++)
#pragma GCC unroll 8
        for (uint32_t t = 0; t < tokens; t++)
            sums[t] = dot_word(sums[t], w[j], a + 32 * t + 4 * j);
}
ALWAYS void dot_bytes(n16 *sums, uint32_t tokens, const b64 *w, const int8_t *a)
{
    dot_words(sums, tokens, w, a, 8);
}

#endif
