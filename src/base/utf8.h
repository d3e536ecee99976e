/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define UTF8_INVALID UINT32_MAX

/* The first character of `s` (not empty) into *code; returns its length, 1..4. Where the bytes are not UTF-8, *code is
 * UTF8_INVALID and the length is that of the longest prefix that could have begun a character, at least 1. */
size_t utf8_decode(struct str s, uint32_t *code);

/* Write `code` (a valid one) to `out`; returns 1..4. */
size_t utf8_encode(uint32_t code, char out[4]);

bool utf8_is_valid(struct str s);

/* The longest prefix of at most `max` bytes that does not end within a character. */
struct str utf8_prefix(struct str s, size_t max);

#endif
