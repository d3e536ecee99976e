/* Sixteen lanes in four registers, for AArch64 with the dot product extension (ARMv8.2 and later).
 * For what each function means, see vec_scalar.h. */
#ifndef ENGINE_VEC_NEON_H
#define ENGINE_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define ALWAYS static inline __attribute__((always_inline))

typedef struct {
    float32x4_t q[4];
} v16;
typedef struct {
    int32x4_t q[4];
} n16;
typedef struct {
    uint8x16_t q[4];
} b64;

enum { VEC_TILE = 4, VEC_TURNS = 1, VEC_QUERIES = 1, Q8_SHIFT = -1 };

#define QUARTERS(type, expression)                                                                           \
    type r;                                                                                                  \
    for (int i = 0; i < 4; i++)                                                                              \
        r.q[i] = (expression);                                                                               \
    return r

ALWAYS v16 v_load(const float *p)
{
    QUARTERS(v16, vld1q_f32(p + 4 * i));
}
ALWAYS void v_store(float *p, v16 a)
{
    for (int i = 0; i < 4; i++)
        vst1q_f32(p + 4 * i, a.q[i]);
}
ALWAYS v16 v_set(float a)
{
    QUARTERS(v16, vdupq_n_f32(a));
}
ALWAYS v16 v_add(v16 a, v16 b)
{
    QUARTERS(v16, vaddq_f32(a.q[i], b.q[i]));
}
ALWAYS v16 v_sub(v16 a, v16 b)
{
    QUARTERS(v16, vsubq_f32(a.q[i], b.q[i]));
}
ALWAYS v16 v_mul(v16 a, v16 b)
{
    QUARTERS(v16, vmulq_f32(a.q[i], b.q[i]));
}
ALWAYS v16 v_div(v16 a, v16 b)
{
    QUARTERS(v16, vdivq_f32(a.q[i], b.q[i]));
}
ALWAYS v16 v_fma(v16 a, v16 b, v16 c)
{
    QUARTERS(v16, vfmaq_f32(c.q[i], a.q[i], b.q[i]));
}
ALWAYS float32x4_t larger(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
ALWAYS v16 v_max(v16 a, v16 b)
{
    QUARTERS(v16, larger(a.q[i], b.q[i]));
}
ALWAYS v16 v_min(v16 a, v16 b)
{
    QUARTERS(v16, vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]));
}
ALWAYS v16 v_abs(v16 a)
{
    QUARTERS(v16, vabsq_f32(a.q[i]));
}
ALWAYS v16 v_sqrt(v16 a)
{
    QUARTERS(v16, vsqrtq_f32(a.q[i]));
}
ALWAYS n16 v_round(v16 a)
{
    QUARTERS(n16, vcvtnq_s32_f32(a.q[i]));
}
ALWAYS v16 v_of_int(n16 a)
{
    QUARTERS(v16, vcvtq_f32_s32(a.q[i]));
}
ALWAYS v16 v_scale_by_power(v16 a, n16 power)
{
    QUARTERS(v16, vmulq_f32(a.q[i],
                            vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(power.q[i], vdupq_n_s32(127)), 23))));
}
ALWAYS v16 v_zero_below(v16 value, v16 x, float limit)
{
    QUARTERS(v16, vbslq_f32(vcgeq_f32(x.q[i], vdupq_n_f32(limit)), value.q[i], vdupq_n_f32(0)));
}
ALWAYS v16 v_keep_first(v16 a, uint32_t count, float other)
{
    static const uint32_t lanes[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    QUARTERS(v16,
             vbslq_f32(vcltq_u32(vld1q_u32(lanes + 4 * i), vdupq_n_u32(count)), a.q[i], vdupq_n_f32(other)));
}
ALWAYS v16 v_load_half(const void *p)
{
    QUARTERS(v16, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)p + 4 * i))));
}
ALWAYS void v_store_half(void *p, v16 a)
{
    for (int i = 0; i < 4; i++)
        vst1_u16((uint16_t *)p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.q[i])));
}
ALWAYS v16 v_load_bf16(const void *p)
{
    QUARTERS(v16, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16((const uint16_t *)p + 4 * i), 16)));
}
ALWAYS v16 v_load_u8(const unsigned char *p)
{
    uint8x16_t bytes = vld1q_u8(p);
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_u8(vget_high_u8(bytes));
    return (v16){ { vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(low))),
                    vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))),
                    vcvtq_f32_u32(vmovl_u16(vget_high_u16(high))) } };
}
ALWAYS v16 v_load_i8(const unsigned char *p)
{
    int8x16_t bytes = vld1q_s8((const int8_t *)p);
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return (v16){ { vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
                    vcvtq_f32_s32(vmovl_s16(vget_high_s16(high))) } };
}
ALWAYS float v_sum(v16 a)
{
    float32x4_t b = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
    float32x2_t c = vadd_f32(vget_low_f32(b), vget_high_f32(b));
    return vget_lane_f32(c, 0) + vget_lane_f32(c, 1);
}
ALWAYS float v_highest(v16 a)
{
    float32x4_t b = larger(larger(a.q[0], a.q[2]), larger(a.q[1], a.q[3]));
    b = larger(b, vextq_f32(b, b, 2));
    return vgetq_lane_f32(larger(b, vextq_f32(b, b, 1)), 0);
}
ALWAYS v16 v_swap_pairs(v16 a)
{
    QUARTERS(v16, vrev64q_f32(a.q[i]));
}

ALWAYS n16 n_zero(void)
{
    QUARTERS(n16, vdupq_n_s32(0));
}
ALWAYS n16 n_set_shifted(int32_t a, int shift)
{
    QUARTERS(n16, vdupq_n_s32((int32_t)((uint32_t)a << shift)));
}
ALWAYS int32_t n_sum(n16 a)
{
    return vaddvq_s32(vaddq_s32(vaddq_s32(a.q[0], a.q[1]), vaddq_s32(a.q[2], a.q[3])));
}
ALWAYS void n_store_i8(int8_t *p, n16 a)
{
    int16x8_t low = vcombine_s16(vmovn_s32(a.q[0]), vmovn_s32(a.q[1]));
    int16x8_t high = vcombine_s16(vmovn_s32(a.q[2]), vmovn_s32(a.q[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

ALWAYS b64 b_load(const unsigned char *p)
{
    QUARTERS(b64, vld1q_u8(p + 16 * i));
}
ALWAYS void b_store(unsigned char *p, b64 a)
{
    for (int i = 0; i < 4; i++)
        vst1q_u8(p + 16 * i, a.q[i]);
}

ALWAYS void unpack_nibbles(const unsigned char *p, b64 w[8])
{
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            uint8x16_t pair = vld1q_u8(p + 64 * j + 16 * i);
            w[j].q[i] = vandq_u8(pair, vdupq_n_u8(15));
            w[j + 4].q[i] = vshrq_n_u8(pair, 4);
        }
}

ALWAYS void unpack_bit(const unsigned char *masks, b64 w[8])
{
    static const uint8_t bits[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
    const uint8x16_t bit = vld1q_u8(bits);
    for (int j = 0; j < 8; j++)
        for (int i = 0; i < 4; i++) {
            uint8x16_t mask =
                vcombine_u8(vdup_n_u8(masks[8 * j + 2 * i]), vdup_n_u8(masks[8 * j + 2 * i + 1]));
            w[j].q[i] = vorrq_u8(w[j].q[i], vandq_u8(vtstq_u8(mask, bit), vdupq_n_u8(16)));
        }
}

ALWAYS void unpack_two_bits(const unsigned char *p, b64 w[8])
{
    const uint8x16_t mask = vdupq_n_u8(0x30);
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 4; i++) {
            uint8x16_t bits = vld1q_u8(p + 64 * h + 16 * i);
            b64 *to = w + 4 * h;
            to[0].q[i] = vorrq_u8(to[0].q[i], vandq_u8(vshlq_n_u8(bits, 4), mask));
            to[1].q[i] = vorrq_u8(to[1].q[i], vandq_u8(vshlq_n_u8(bits, 2), mask));
            to[2].q[i] = vorrq_u8(to[2].q[i], vandq_u8(bits, mask));
            to[3].q[i] = vorrq_u8(to[3].q[i], vandq_u8(vshrq_n_u8(bits, 2), mask));
        }
}

ALWAYS void unpack_bytes(const unsigned char *p, b64 w[8])
{
    for (int j = 0; j < 8; j++)
        w[j] = b_load(p + 64 * j);
}

/* sdot: four signed products a lane; unsigned weights are below 64, so they are signed ones too. The lane that holds
 * the activations' word is part of the instruction, hence four of them. */
ALWAYS n16 dot_four_words(n16 sum, const b64 *w, const int8_t *a)
{
    int8x16_t x = vld1q_s8(a);
    for (int i = 0; i < 4; i++) {
        sum.q[i] = vdotq_laneq_s32(sum.q[i], vreinterpretq_s8_u8(w[0].q[i]), x, 0);
        sum.q[i] = vdotq_laneq_s32(sum.q[i], vreinterpretq_s8_u8(w[1].q[i]), x, 1);
        sum.q[i] = vdotq_laneq_s32(sum.q[i], vreinterpretq_s8_u8(w[2].q[i]), x, 2);
        sum.q[i] = vdotq_laneq_s32(sum.q[i], vreinterpretq_s8_u8(w[3].q[i]), x, 3);
    }
    return sum;
}
ALWAYS void dot_words(n16 *sums, uint32_t tokens, const b64 *w, const int8_t *a, int words)
{
    for (uint32_t t = 0; t < tokens; t++)
        for (int j = 0; j < words; j += 4)
            sums[t] = dot_four_words(sums[t], w + j, a + 32 * t + 4 * j);
}
ALWAYS void dot_bytes(n16 *sums, uint32_t tokens, const b64 *w, const int8_t *a)
{
    dot_words(sums, tokens, w, a, 8);
}

#endif
