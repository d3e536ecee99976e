/* Sixteen lanes in two registers. For what each function means, see vec_scalar.h. */
#ifndef ENGINE_VEC_AVX2_H
#define ENGINE_VEC_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS static inline __attribute__((always_inline))

typedef struct {
    __m256 a, b;
} v16;
typedef struct {
    __m256i a, b;
} n16;
typedef struct {
    __m256i a, b;
} b64;

enum { VEC_TILE = 4, VEC_TURNS = 1, VEC_QUERIES = 1, Q8_SHIFT = -1 };

#define BOTH(type, function, ...) ((type){ function(x.a, ##__VA_ARGS__), function(x.b, ##__VA_ARGS__) })
#define PAIR(type, function) ((type){ function(x.a, y.a), function(x.b, y.b) })

ALWAYS v16 v_load(const float *p)
{
    return (v16){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}
ALWAYS void v_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
ALWAYS v16 v_set(float a)
{
    return (v16){ _mm256_set1_ps(a), _mm256_set1_ps(a) };
}
ALWAYS v16 v_add(v16 x, v16 y)
{
    return PAIR(v16, _mm256_add_ps);
}
ALWAYS v16 v_sub(v16 x, v16 y)
{
    return PAIR(v16, _mm256_sub_ps);
}
ALWAYS v16 v_mul(v16 x, v16 y)
{
    return PAIR(v16, _mm256_mul_ps);
}
ALWAYS v16 v_div(v16 x, v16 y)
{
    return PAIR(v16, _mm256_div_ps);
}
ALWAYS v16 v_max(v16 x, v16 y)
{
    return PAIR(v16, _mm256_max_ps);
}
ALWAYS v16 v_min(v16 x, v16 y)
{
    return PAIR(v16, _mm256_min_ps);
}
ALWAYS v16 v_fma(v16 x, v16 y, v16 z)
{
    return (v16){ _mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b) };
}
ALWAYS v16 v_abs(v16 x)
{
    __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    return BOTH(v16, _mm256_and_ps, mask);
}
ALWAYS v16 v_sqrt(v16 x)
{
    return BOTH(v16, _mm256_sqrt_ps);
}
ALWAYS n16 v_round(v16 x)
{
    return BOTH(n16, _mm256_cvtps_epi32);
}
ALWAYS v16 v_of_int(n16 x)
{
    return BOTH(v16, _mm256_cvtepi32_ps);
}
ALWAYS __m256 power_of_two(__m256i power)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(power, _mm256_set1_epi32(127)), 23));
}
ALWAYS v16 v_scale_by_power(v16 x, n16 power)
{
    return (v16){ _mm256_mul_ps(x.a, power_of_two(power.a)), _mm256_mul_ps(x.b, power_of_two(power.b)) };
}
ALWAYS v16 v_zero_below(v16 value, v16 x, float limit)
{
    __m256 l = _mm256_set1_ps(limit);
    return (v16){ _mm256_and_ps(value.a, _mm256_cmp_ps(x.a, l, _CMP_GE_OQ)),
                  _mm256_and_ps(value.b, _mm256_cmp_ps(x.b, l, _CMP_GE_OQ)) };
}
ALWAYS v16 v_keep_first(v16 x, uint32_t count, float other)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
            n = _mm256_set1_epi32(count > 16 ? 16 : (int)count);
    __m256 low = _mm256_castsi256_ps(_mm256_cmpgt_epi32(n, lane));
    __m256 high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(n, _mm256_add_epi32(lane, _mm256_set1_epi32(8))));
    __m256 o = _mm256_set1_ps(other);
    return (v16){ _mm256_blendv_ps(o, x.a, low), _mm256_blendv_ps(o, x.b, high) };
}
ALWAYS __m128i load_half_register(const void *p, int at)
{
    return _mm_loadu_si128((const __m128i *)p + at);
}
ALWAYS v16 v_load_half(const void *p)
{
    return (v16){ _mm256_cvtph_ps(load_half_register(p, 0)), _mm256_cvtph_ps(load_half_register(p, 1)) };
}
ALWAYS void v_store_half(void *p, v16 x)
{
    _mm_storeu_si128(p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)p + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
ALWAYS __m256 from_bf16(__m128i x)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
ALWAYS v16 v_load_bf16(const void *p)
{
    return (v16){ from_bf16(load_half_register(p, 0)), from_bf16(load_half_register(p, 1)) };
}
ALWAYS v16 v_load_u8(const unsigned char *p)
{
    __m128i bytes = load_half_register(p, 0);
    return (v16){ _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
                  _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))) };
}
ALWAYS v16 v_load_i8(const unsigned char *p)
{
    __m128i bytes = load_half_register(p, 0);
    return (v16){ _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                  _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))) };
}
ALWAYS float v_sum(v16 x)
{
    __m256 b = _mm256_add_ps(x.a, x.b);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
ALWAYS float v_highest(v16 x)
{
    __m256 b = _mm256_max_ps(x.a, x.b);
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
ALWAYS v16 v_swap_pairs(v16 x)
{
    return BOTH(v16, _mm256_permute_ps, 0xb1);
}

ALWAYS n16 n_zero(void)
{
    return (n16){ _mm256_setzero_si256(), _mm256_setzero_si256() };
}
ALWAYS n16 n_set_shifted(int32_t a, int shift)
{
    __m256i x = _mm256_slli_epi32(_mm256_set1_epi32(a), shift);
    return (n16){ x, x };
}
ALWAYS int32_t n_sum(n16 x)
{
    __m256i b = _mm256_add_epi32(x.a, x.b);
    __m128i c = _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
    c = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_shuffle_epi32(c, 0xb1)));
}
ALWAYS void n_store_i8(int8_t *p, n16 x) /* the values fit, so that saturation changes nothing */
{
    int32_t lanes[16];
    _mm256_storeu_si256((__m256i *)lanes, x.a);
    _mm256_storeu_si256((__m256i *)(lanes + 8), x.b);
    for (int i = 0; i < 16; i++)
        p[i] = (int8_t)(uint8_t)lanes[i];
}

ALWAYS b64 b_load(const unsigned char *p)
{
    return (b64){ _mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1) };
}
ALWAYS void b_store(unsigned char *p, b64 x)
{
    _mm256_storeu_si256((__m256i *)p, x.a);
    _mm256_storeu_si256((__m256i *)p + 1, x.b);
}

ALWAYS void unpack_nibbles(const unsigned char *p, b64 w[8])
{
    const __m256i low = _mm256_set1_epi8(15);
    for (int j = 0; j < 4; j++) {
        b64 x = b_load(p + 64 * j);
        w[j] = BOTH(b64, _mm256_and_si256, low);
        x = BOTH(b64, _mm256_srli_epi16, 4);
        w[j + 4] = BOTH(b64, _mm256_and_si256, low);
    }
}

/* 32 bits to 32 bytes of 16 or 0: each byte gets the mask's byte it belongs to, and looks at its own bit. */
ALWAYS __m256i spread_mask(uint32_t mask)
{
    const __m256i owner = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
                                           2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201ull);
    __m256i bytes = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)mask), owner), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(bytes, bit), _mm256_set1_epi8(16));
}

ALWAYS void unpack_bit(const unsigned char *masks, b64 w[8])
{
    for (int j = 0; j < 8; j++) {
        uint32_t mask[2];
        memcpy(mask, masks + 8 * j, 8);
        w[j] = (b64){ _mm256_or_si256(w[j].a, spread_mask(mask[0])),
                      _mm256_or_si256(w[j].b, spread_mask(mask[1])) };
    }
}

ALWAYS b64 or_masked(b64 x, b64 y)
{
    const __m256i mask = _mm256_set1_epi8(0x30);
    return (b64){ _mm256_or_si256(x.a, _mm256_and_si256(y.a, mask)),
                  _mm256_or_si256(x.b, _mm256_and_si256(y.b, mask)) };
}

ALWAYS void unpack_two_bits(const unsigned char *p, b64 w[8])
{
    for (int h = 0; h < 2; h++) {
        b64 x = b_load(p + 64 * h);
        w[4 * h] = or_masked(w[4 * h], BOTH(b64, _mm256_slli_epi16, 4));
        w[4 * h + 1] = or_masked(w[4 * h + 1], BOTH(b64, _mm256_slli_epi16, 2));
        w[4 * h + 2] = or_masked(w[4 * h + 2], x);
        w[4 * h + 3] = or_masked(w[4 * h + 3], BOTH(b64, _mm256_srli_epi16, 2));
    }
}

ALWAYS void unpack_bytes(const unsigned char *p, b64 w[8])
{
    for (int j = 0; j < 8; j++)
        w[j] = b_load(p + 64 * j);
}

/* Pairs add up in 16 bits: a weight is under 64, so a word gives at most 2 * 63 * 127 = 16002 a pair of columns and
 * two words 32004, which fits; then pairs of those in 32. */
ALWAYS n16 dot_token(n16 sum, const b64 *w, const int8_t *a, int words)
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (int j = 0; j < words; j += 2) {
        int32_t word[2];
        memcpy(word, a + 4 * j, 8);
        __m256i first = _mm256_set1_epi32(word[0]), second = _mm256_set1_epi32(word[1]);
        __m256i low =
            _mm256_add_epi16(_mm256_maddubs_epi16(w[j].a, first), _mm256_maddubs_epi16(w[j + 1].a, second));
        __m256i high =
            _mm256_add_epi16(_mm256_maddubs_epi16(w[j].b, first), _mm256_maddubs_epi16(w[j + 1].b, second));
        sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(low, ones));
        sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(high, ones));
    }
    return sum;
}

/* |w| times a with w's sign: at most 2 * 128 * 127 = 32512 a pair, which fits 16 bits by itself only. */
ALWAYS n16 dot_bytes_token(n16 sum, const b64 *w, const int8_t *a)
{
    const __m256i ones = _mm256_set1_epi16(1);
    for (int j = 0; j < 8; j++) {
        int32_t word;
        memcpy(&word, a + 4 * j, 4);
        __m256i x = _mm256_set1_epi32(word);
        __m256i low = _mm256_maddubs_epi16(_mm256_abs_epi8(w[j].a), _mm256_sign_epi8(x, w[j].a));
        __m256i high = _mm256_maddubs_epi16(_mm256_abs_epi8(w[j].b), _mm256_sign_epi8(x, w[j].b));
        sum.a = _mm256_add_epi32(sum.a, _mm256_madd_epi16(low, ones));
        sum.b = _mm256_add_epi32(sum.b, _mm256_madd_epi16(high, ones));
    }
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
