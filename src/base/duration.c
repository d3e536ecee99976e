#include "base/duration.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

static const struct {
    struct str name;
    int64_t ms;
} units[] = {
    { STR("y"), INT64_C(365) * 86400000 },
    { STR("w"), INT64_C(7) * 86400000 },
    { STR("d"), 86400000 },
    { STR("h"), 3600000 },
    { STR("m"), 60000 },
    { STR("s"), 1000 },
    { STR("ms"), 1 },
};

static size_t number_len(struct str s)
{
    size_t len = 0;
    while (len < s.len && ((s.ptr[len] >= '0' && s.ptr[len] <= '9') || s.ptr[len] == '.'))
        len++;
    return len;
}

static size_t unit_len(struct str s)
{
    size_t len = 0;
    while (len < s.len && s.ptr[len] >= 'a' && s.ptr[len] <= 'z')
        len++;
    return len;
}

bool duration_parse(struct str s, int64_t *ms)
{
    double total = 0;
    size_t next_unit = 0;
    if (str_eq(s, STR("0"))) {
        *ms = 0;
        return true;
    }
    if (!s.len)
        return false;
    while (s.len) {
        double number;
        size_t digits = number_len(s), letters = unit_len(str_slice(s, digits, s.len));
        struct str unit = str_slice(s, digits, digits + letters);
        if (!str_to_double(str_slice(s, 0, digits), &number))
            return false;
        while (next_unit < ARRAY_LEN(units) && !str_eq(units[next_unit].name, unit))
            next_unit++;
        if (next_unit == ARRAY_LEN(units))
            return false;
        total += number * (double)units[next_unit++].ms;
        s = str_slice(s, digits + letters, s.len);
    }
    if (total > 100.0 * 365 * 86400000)
        return false;
    *ms = (int64_t)llround(total);
    return true;
}

const char *duration_format(int64_t ms, char text[DURATION_TEXT_MAX])
{
    int len = 0;
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (ms == 0)
        snprintf(text, DURATION_TEXT_MAX, "0s");
    else if (ms < 0)
        len = snprintf(text, DURATION_TEXT_MAX, "-");
    for (size_t i = 2; i < ARRAY_LEN(units) && len >= 0 && len < DURATION_TEXT_MAX; i++) {
        uint64_t count = left / (uint64_t)units[i].ms;
        left %= (uint64_t)units[i].ms;
        if (count)
            len += snprintf(text + len, (size_t)(DURATION_TEXT_MAX - len), "%llu" STR_FMT,
                            (unsigned long long)count, STR_ARG(units[i].name));
    }
    return text;
}
