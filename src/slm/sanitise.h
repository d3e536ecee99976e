/* Foreign text made safe for a prompt. What comes out reads the same to a person and holds nothing that a tokenizer, a
 * chat template or a terminal would take for its own:
 *
 *   - one form for each character (NFKC); letters that only look Latin become Latin where they stand in a Latin word
 *   - no control characters, no zero-width, bidirectional, tag, variation or other invisible ones, no private use
 *   - what looks like a model's special token ("<|im_start|>", "</s>", "[INST]", "<<SYS>>") is broken up by blanks, so
 *     that it is punctuation and a word
 *   - runs of the same punctuation, with which text draws rules and fences, are cut to three; backticks to one
 *   - bytes that are not UTF-8 become U+FFFD
 */
#ifndef SLM_SANITISE_H
#define SLM_SANITISE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

/* At most `max` bytes, cut at a character; on one line: line ends and tabs are blanks, blanks never double, none at
 * either end. What is not cut is not changed by doing it again. */
struct str sanitise(struct arena *arena, struct str text, size_t max);

/* The same, line by line: line ends stay, empty lines go. */
struct str sanitise_lines(struct arena *arena, struct str text, size_t max);

#endif
