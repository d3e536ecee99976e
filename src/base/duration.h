/* Durations as Prometheus and Go write them: "5m", "1h30m", "250ms", "7d". */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Units ms, s, m, h, d, w, y (365 d), each at most once and in falling order, whole or decimal numbers ("1.5h");
 * a bare "0". False if it is not one, or over 100 years. */
bool duration_parse(struct str text, int64_t *ms);

enum { DURATION_TEXT_MAX = 40 };
const char *duration_format(int64_t ms,
                            char text[DURATION_TEXT_MAX]); /* "1h30m"; "0s"; negative with a '-' */

#endif
