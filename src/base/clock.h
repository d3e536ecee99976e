/* Time: monotonic for durations, UTC for what is stored. Tests replace both. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

int64_t clock_mono_ms(void); /* CLOCK_MONOTONIC; for durations within this process */
int64_t clock_mono_us(void);
int64_t clock_boot_ms(void); /* CLOCK_BOOTTIME: leases between processes of one machine */
int64_t clock_utc_ms(void);  /* since 1970, for what is stored and shown */
int64_t clock_utc_ns(void);
void clock_sleep_ms(int64_t ms); /* a replaced clock advances instead of sleeping */

/* A clock for tests: stands still until advanced. NULL gives the real one back. Process-wide. */
struct clock_fake {
    int64_t mono_us, utc_ms;
};
void clock_replace(struct clock_fake *fake);
void clock_advance(struct clock_fake *fake, int64_t ms);

/* RFC 3339: "2026-11-21T10:04:46.123Z". */
enum { CLOCK_TEXT_MAX = 32 };
const char *clock_format(int64_t utc_ms, char text[CLOCK_TEXT_MAX]);

/* Any RFC 3339 time, with up to 9 fraction digits, Z or an offset; years 0001..9999. False if it is not one. */
bool clock_parse(struct str text, int64_t *utc_ms);

/* Alertmanager's "no time": 0001-01-01T00:00:00Z. */
#define CLOCK_ZERO_TIME_MS INT64_C(-62135596800000)

#endif
