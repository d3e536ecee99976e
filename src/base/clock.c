#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static struct clock_fake *fake_clock;

static struct clock_fake *fake(void)
{
    return __atomic_load_n(&fake_clock, __ATOMIC_ACQUIRE);
}

static int64_t now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_mono_us(void)
{
    struct clock_fake *f = fake();
    return f ? __atomic_load_n(&f->mono_us, __ATOMIC_RELAXED) : now_ns(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_boot_ms(void)
{
    struct clock_fake *f = fake();
    return f ? __atomic_load_n(&f->mono_us, __ATOMIC_RELAXED) / 1000 : now_ns(CLOCK_BOOTTIME) / 1000000;
}

int64_t clock_utc_ns(void)
{
    struct clock_fake *f = fake();
    return f ? __atomic_load_n(&f->utc_ms, __ATOMIC_RELAXED) * 1000000 : now_ns(CLOCK_REALTIME);
}

int64_t clock_utc_ms(void)
{
    return clock_utc_ns() / 1000000;
}

void clock_sleep_ms(int64_t ms)
{
    struct clock_fake *f = fake();
    if (f) {
        clock_advance(f, ms);
        return;
    }
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (nanosleep(&t, &t) != 0)
        ;
}

void clock_replace(struct clock_fake *f)
{
    __atomic_store_n(&fake_clock, f, __ATOMIC_RELEASE);
}

void clock_advance(struct clock_fake *f, int64_t ms)
{
    __atomic_add_fetch(&f->mono_us, ms * 1000, __ATOMIC_RELAXED);
    __atomic_add_fetch(&f->utc_ms, ms, __ATOMIC_RELAXED);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back: H. Hinnant, "chrono-compatible low-level date
 * algorithms". The C library's functions depend on the zone and on the width of time_t. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

const char *clock_format(int64_t utc_ms, char text[CLOCK_TEXT_MAX])
{
    int64_t days = utc_ms / 86400000, in_day = utc_ms % 86400000;
    if (in_day < 0)
        days--, in_day += 86400000;
    int year, month, day;
    civil_from_days(days, &year, &month, &day);
    snprintf(text, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year % 10000, month, day,
             (int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
             (int)(in_day % 1000));
    return text;
}

/* `count` digits at the head of *s into *value. */
static bool take_digits(struct str *s, size_t count, int *value)
{
    if (s->len < count)
        return false;
    *value = 0;
    for (size_t i = 0; i < count; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        *value = *value * 10 + (s->ptr[i] - '0');
    }
    *s = str_slice(*s, count, s->len);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (!s->len || s->ptr[0] != c)
        return false;
    *s = str_slice(*s, 1, s->len);
    return true;
}

static bool take_fraction_ms(struct str *s, int *ms)
{
    *ms = 0;
    if (!take_char(s, '.'))
        return true;
    int digits = 0, digit;
    for (; take_digits(s, 1, &digit); digits++)
        if (digits < 3)
            *ms = *ms * 10 + digit;
    for (int i = digits; i < 3; i++)
        *ms *= 10;
    return digits >= 1 && digits <= 9;
}

static bool take_offset_minutes(struct str *s, int *minutes)
{
    *minutes = 0;
    if (take_char(s, 'Z') || take_char(s, 'z'))
        return true;
    int sign = take_char(s, '+') ? 1 : take_char(s, '-') ? -1 : 0, hour, minute;
    if (!sign || !take_digits(s, 2, &hour) || !take_char(s, ':') || !take_digits(s, 2, &minute))
        return false;
    *minutes = sign * (hour * 60 + minute);
    return hour <= 23 && minute <= 59;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool clock_parse(struct str s, int64_t *utc_ms)
{
    int year, month, day, hour, minute, second, ms, offset;
    bool ok = take_digits(&s, 4, &year) && take_char(&s, '-') && take_digits(&s, 2, &month) &&
              take_char(&s, '-') && take_digits(&s, 2, &day) &&
              (take_char(&s, 'T') || take_char(&s, 't') || take_char(&s, ' ')) && take_digits(&s, 2, &hour) &&
              take_char(&s, ':') && take_digits(&s, 2, &minute) && take_char(&s, ':') &&
              take_digits(&s, 2, &second) && take_fraction_ms(&s, &ms) && take_offset_minutes(&s, &offset) &&
              !s.len;
    /* A leap second (60) is accepted and counts as the next second. */
    if (!ok || year < 1 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 60)
        return false;
    *utc_ms =
        (days_from_civil(year, month, day) * 1440 + hour * 60 + minute - offset) * 60000 + second * 1000 + ms;
    return true;
}
