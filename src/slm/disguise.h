/* Text with its disguises taken off, for the eyes of cues.c alone: what it gives is searched, never shown. */
#ifndef SLM_DISGUISE_H
#define SLM_DISGUISE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

/* Sanitised, escapes (%41, &#65;, \u0041, \x41) resolved, in lower case, without accents, look-alikes as Latin. */
struct str disguise_skeleton(struct arena *arena, struct str text);

/* Digits and signs that stand for letters replaced: "dr41n_n0d3". */
struct str disguise_unleet(struct arena *arena, struct str skeleton);

struct str disguise_rot13(struct arena *arena, struct str skeleton);
struct str disguise_reverse(struct arena *arena, struct str skeleton);

/* Single letters with blanks between them joined: "d r a i n _ n o d e". */
struct str disguise_join(struct arena *arena, struct str skeleton);

/* Within each word the signs between letters left out: "drain-node", "drain.node", "DRAIN__NODE" are "drainnode". */
struct str disguise_compact(struct arena *arena, struct str skeleton);

/* The next run of `text` that base64 or hexadecimal digits make readable; *text goes on behind it. False: no more. */
bool disguise_decode_next(struct arena *arena, struct str *text, struct str *decoded);

/* How many of its characters were there to deceive: invisible, bidirectional, or look-alikes in Latin words. */
size_t disguise_count(struct str text);

#endif
