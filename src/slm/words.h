/* Text as words: split at blanks, punctuation, digits and CamelCase, in lower case, stemmed. */
#ifndef SLM_WORDS_H
#define SLM_WORDS_H

#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

struct word_list {
    struct str *items; /* "#" stands for any number, "#%" for any percentage */
    size_t count;
};

/* At most `max` words; articles, prepositions and the like are left out where `without_stop_words`. ASCII letters make
 * words; other bytes separate them. */
struct word_list words_of(struct arena *arena, struct str text, size_t max, bool without_stop_words);

/* Some rule sets end every summary with the instance and every description with its value and label map, which only
 * say again what the labels say: the text without that. */
struct str text_without_echo(struct str text);

#endif
