#include "base/quantity.h"

#include <stdio.h>

#include "base/mem.h"

enum { DIGITS_MAX = 18 };

static const struct {
    struct str name;
    int64_t numerator, denominator; /* of one unit, as a factor */
} suffixes[] = {
    { STR(""), 1, 1 },
    { STR("n"), 1, 1000000000 },
    { STR("u"), 1, 1000000 },
    { STR("m"), 1, 1000 },
    { STR("k"), 1000, 1 },
    { STR("M"), 1000000, 1 },
    { STR("G"), 1000000000, 1 },
    { STR("T"), INT64_C(1000000000000), 1 },
    { STR("P"), INT64_C(1000000000000000), 1 },
    { STR("E"), INT64_C(1000000000000000000), 1 },
    { STR("Ki"), INT64_C(1) << 10, 1 },
    { STR("Mi"), INT64_C(1) << 20, 1 },
    { STR("Gi"), INT64_C(1) << 30, 1 },
    { STR("Ti"), INT64_C(1) << 40, 1 },
    { STR("Pi"), INT64_C(1) << 50, 1 },
    { STR("Ei"), INT64_C(1) << 60, 1 },
};

/* The digits of "12.34" as 1234 with a scale of 2; false without a digit or with too many. */
static bool take_decimal(struct str *s, __int128 *digits, int *scale)
{
    size_t i = 0, count = 0;
    bool point = false;
    *digits = 0, *scale = 0;
    for (; i < s->len; i++) {
        char c = s->ptr[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (++count > DIGITS_MAX)
            return false;
        *digits = *digits * 10 + (c - '0');
        *scale += point;
    }
    *s = str_slice(*s, i, s->len);
    return count > 0;
}

static bool suffix_factor(struct str suffix, __int128 *numerator, __int128 *denominator)
{
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (str_eq(suffix, suffixes[i].name)) {
            *numerator = suffixes[i].numerator;
            *denominator = suffixes[i].denominator;
            return true;
        }
    int64_t exponent;
    if (suffix.len < 2 || (suffix.ptr[0] != 'e' && suffix.ptr[0] != 'E'))
        return false;
    struct str number = str_slice(suffix, 1, suffix.len);
    if (number.ptr[0] == '+')
        number = str_slice(number, 1, number.len);
    if (!str_to_i64(number, &exponent) || exponent < -18 || exponent > 18)
        return false;
    *numerator = *denominator = 1;
    for (int64_t i = 0; i < (exponent < 0 ? -exponent : exponent); i++)
        *(exponent < 0 ? denominator : numerator) *= 10;
    return true;
}

bool quantity_parse(struct str s, int64_t *milli)
{
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        s = str_slice(s, 1, s.len);
    __int128 digits, numerator, denominator, product;
    int scale;
    if (!take_decimal(&s, &digits, &scale) || !suffix_factor(s, &numerator, &denominator))
        return false;
    for (int i = 0; i < scale; i++)
        denominator *= 10;
    if (__builtin_mul_overflow(digits, numerator, &product) ||
        __builtin_mul_overflow(product, (__int128)1000, &product))
        return false;
    __int128 value = product / denominator + (product % denominator != 0);
    if (value > INT64_MAX)
        return false;
    *milli = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

const char *quantity_format(int64_t milli, enum quantity_style style, char text[QUANTITY_TEXT_MAX])
{
    static const char *const binary[] = { "Ei", "Pi", "Ti", "Gi", "Mi", "Ki" };
    if (milli % 1000 != 0) {
        snprintf(text, QUANTITY_TEXT_MAX, "%lldm", (long long)milli);
        return text;
    }
    int64_t units = milli / 1000;
    for (int i = 0; style == QUANTITY_BYTES && units != 0 && i < 6; i++) {
        int64_t size = INT64_C(1) << (10 * (6 - i));
        if (units % size == 0) {
            snprintf(text, QUANTITY_TEXT_MAX, "%lld%s", (long long)(units / size), binary[i]);
            return text;
        }
    }
    snprintf(text, QUANTITY_TEXT_MAX, "%lld", (long long)units);
    return text;
}
