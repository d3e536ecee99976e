/* Time windows: days of the week, a part of the day (also over midnight), a span of dates. */
#include "policy/policy_internal.h"

enum { DAY_MIN = 24 * 60, MINUTE_MS = 60 * 1000 };

static const char *const day_names[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

static bool parse_clock(struct str text, int *minutes)
{
    struct str hours, mins;
    int64_t h, m;
    if (text.len != 5 || !str_split(&text, ':', &hours) || !str_split(&text, ':', &mins) || hours.len != 2 ||
        !str_to_i64(hours, &h) || !str_to_i64(mins, &m) || h < 0 || m < 0 || m > 59 || h > 24 ||
        (h == 24 && m))
        return false;
    *minutes = (int)(h * 60 + m);
    return true;
}

static bool read_clock(const struct reading *in, const struct yaml *map, const char *key, int *minutes)
{
    struct str text;
    if (!policy_read_text(in, map, key, false, &text))
        return false;
    return !text.len || parse_clock(text, minutes) ||
           policy_read_fail(in, yaml_get(map, key), "`%s` is a time of day in quotes: \"22:00\"", key);
}

static bool read_offset(const struct reading *in, const struct yaml *map, int *minutes)
{
    struct str text;
    if (!policy_read_text(in, map, "utc_offset", false, &text))
        return false;
    if (!text.len || str_eq(text, STR("Z")))
        return true;
    int sign = text.ptr[0] == '-' ? -1 : 1;
    if ((text.ptr[0] != '+' && text.ptr[0] != '-') || !parse_clock(str_slice(text, 1, text.len), minutes) ||
        *minutes > 14 * 60)
        return policy_read_fail(in, yaml_get(map, "utc_offset"), "`utc_offset` is like \"+02:00\"");
    *minutes *= sign;
    return true;
}

static bool read_moment(const struct reading *in, const struct yaml *map, const char *key, int64_t *ms)
{
    struct str text;
    if (!policy_read_text(in, map, key, false, &text))
        return false;
    return !text.len || clock_parse(text, ms) ||
           policy_read_fail(in, yaml_get(map, key), "`%s` is a time like 2026-12-24T00:00:00Z", key);
}

static bool day_of(struct str text, unsigned *bits)
{
    for (unsigned i = 0; i < ARRAY_LEN(day_names); i++)
        if (str_eq_nocase(text, str_of(day_names[i]))) {
            *bits |= BIT(i);
            return true;
        }
    return false;
}

static bool read_days(const struct reading *in, const struct yaml *map, unsigned *bits)
{
    struct patterns days = { 0 };
    if (!policy_read_patterns(in, map, "days", &days))
        return false;
    for (size_t i = 0; i < days.count; i++)
        if (!day_of(days.items[i], bits))
            return policy_read_fail(in, yaml_get(map, "days"),
                                    "`" STR_FMT "` is no day: mon tue wed thu fri sat sun",
                                    STR_ARG(days.items[i]));
    return true;
}

bool policy_read_window(const struct reading *in, const struct yaml *map, struct window *window)
{
    if (map->kind != YAML_MAP)
        return policy_read_fail(in, map,
                                "a window is a mapping with days, from, to, utc_offset, starts, ends");
    if (!read_days(in, map, &window->days) || !read_clock(in, map, "from", &window->from_min) ||
        !read_clock(in, map, "to", &window->to_min) || !read_offset(in, map, &window->offset_min) ||
        !read_moment(in, map, "starts", &window->starts) || !read_moment(in, map, "ends", &window->ends))
        return false;
    if (window->starts && window->ends && window->ends <= window->starts)
        return policy_read_fail(in, map, "the window ends before it starts");
    return true;
}

static bool day_holds(const struct window *window, int64_t day)
{
    int64_t weekday = ((day + 3) % 7 + 7) % 7; /* 1 January 1970 was a Thursday */
    return !window->days || window->days & BIT(weekday);
}

/* Of a window over midnight, the part after midnight belongs to the day before. */
bool policy_window_holds(const struct window *window, int64_t at)
{
    if ((window->starts && at < window->starts) || (window->ends && at >= window->ends))
        return false;
    int64_t minutes = at / MINUTE_MS + window->offset_min;
    int64_t day = minutes / DAY_MIN, minute = minutes % DAY_MIN;
    if (window->from_min == window->to_min)
        return day_holds(window, day);
    if (window->from_min < window->to_min)
        return day_holds(window, day) && minute >= window->from_min && minute < window->to_min;
    return minute >= window->from_min ? day_holds(window, day)
                                      : minute < window->to_min && day_holds(window, day - 1);
}
