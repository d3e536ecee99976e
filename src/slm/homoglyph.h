/* Characters of other scripts that look like ASCII: what an attacker writes "іgnоrе" with. */
#ifndef SLM_HOMOGLYPH_H
#define SLM_HOMOGLYPH_H

#include <stdint.h>

/* The ASCII character that `code` passes for, or 0. Letters only; compatibility forms (full width, mathematical,
 * circled …) are NFKC's work and not listed. */
uint32_t homoglyph_letter(uint32_t code);

/* Likewise for brackets, bars, quotes, dashes and dots. */
uint32_t homoglyph_mark(uint32_t code);

#endif
