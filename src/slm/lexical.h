/* An alert as a bag of words: what the lexical prior is made of. */
#ifndef SLM_LEXICAL_H
#define SLM_LEXICAL_H

#include <stddef.h>
#include <stdint.h>

#include "alert/alert.h"
#include "base/arena.h"
#include "base/str.h"

struct feature {
    uint64_t key; /* hash of the name */
    float value;
    struct str name; /* "crash_loop", "n:crash" (in the alert's name), "k:node" (a label's name) … */
};

struct feature_list { /* sorted by key, each key once, of length 1 as a vector */
    struct feature *items;
    size_t count;
};

/* Words of the alert's name, summary, description and telling labels, stemmed, with runs of two and three of them,
 * and which labels there are. Names and values that only identify (hosts, hashes, addresses) hardly count. */
struct feature_list features_of_alert(struct arena *arena, const struct alert *alert);

#endif
