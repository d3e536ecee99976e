/* The phrases of instructions, as patterns over words:
 *
 *   word|other    either            word*   a word that begins so            ~3    up to three words between
 *
 * A row may speak of any product or none; what it must not do is to name an alert. */
#ifndef SLM_PHRASES_H
#define SLM_PHRASES_H

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "slm/cues.h"

struct phrase {
    enum cue cue;
    double weight;
    const char *pattern;
};
extern const struct phrase phrases[]; /* ended by a NULL pattern */

/* Words in lower case: runs of letters and digits of any script. */
struct phrase_words {
    struct str *items;
    size_t count;
};
struct phrase_words phrase_words_of(struct arena *arena, struct str text);

/* Call `found` with every phrase that matches. */
void phrases_find(const struct phrase_words *words, void (*found)(const struct phrase *phrase, void *context),
                  void *context);

#endif
