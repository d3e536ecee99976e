/* Automata over bytes, from regular expressions and JSON schemas: what a decoder may write next.
 *
 * Everything here is bounded, for patterns and schemas may be foreign: nodes, states, and the work to build them. Over
 * a bound is ERROR_LIMIT. The same source always gives the same automaton. */
#ifndef ENGINE_AUTOMATON_H
#define ENGINE_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    AUTOMATON_NODES_MAX = 1 << 18,  /* of the nondeterministic automaton */
    AUTOMATON_STATES_MAX = 1 << 15, /* of the deterministic one */
    AUTOMATON_WORK_MAX = 1 << 27,   /* node visits while it is made: a second at most */
    PATTERN_LEN_MAX = 64 * 1024,    /* bytes of an expression */
    PATTERN_DEPTH_MAX = 64,         /* brackets within brackets */
    PATTERN_REPEAT_MAX = 4096,      /* x{n} */
    SCHEMA_DEPTH_MAX = 16
};

/* ---- building, from the end to the beginning: each call puts something in front of `next` and returns where that
 * begins. Once a bound is passed, all calls return 0 and nfa.failed is set. */

struct nfa_node {
    enum { NFA_RANGE, NFA_SPLIT, NFA_ACCEPT } kind;
    unsigned char low, high; /* RANGE */
    uint32_t next, other;    /* other: SPLIT */
};
struct nfa {
    struct nfa_node *nodes;
    uint32_t count, cap;
    uint32_t work; /* steps of building that made no node */
    bool failed;
};
uint32_t nfa_accept(struct nfa *nfa);
uint32_t nfa_range(struct nfa *nfa, unsigned char low, unsigned char high, uint32_t next);
uint32_t nfa_either(struct nfa *nfa, uint32_t a, uint32_t b);
uint32_t nfa_text(struct nfa *nfa, struct str text, uint32_t next);
uint32_t nfa_code_points(struct nfa *nfa, uint32_t low, uint32_t high, uint32_t next); /* as UTF-8 */
void nfa_set(struct nfa *nfa, uint32_t node, uint32_t next,
             uint32_t other); /* change a SPLIT: loops are made so */
void nfa_free(struct nfa *nfa);

/* ---- regular expressions (regex.c)
 *
 * Literals, . [] [^] \d \w \s and their negations, \n \r \t \f \v \xHH, \u{HHHH}, (...), (?:...), |, * + ? {m} {m,} {m,n};
 * ^ and $ at the ends, where they change nothing: an expression always matches the whole text. Characters are Unicode's. */
struct regex;
struct regex *regex_parse(struct arena *arena, struct str pattern, struct error **err);

/* In front of `next`. As part of a JSON string: quotes, backslashes and line ends are written escaped. */
uint32_t regex_emit(const struct regex *regex, struct nfa *nfa, bool in_json, uint32_t next);

/* ---- JSON schemas (schema.c): an automaton of the documents that satisfy the schema, written in one way: keys in the
 * schema's order, ": " and ", " between. Or ERROR_UNSUPPORTED for what the subset does not have. */
bool schema_emit(struct nfa *nfa, struct str schema, uint32_t *start, struct error **err);

/* Whole numbers from low to high, and such with up to `decimals` digits behind the point (bounds scaled by 10^decimals). */
uint32_t nfa_numbers(struct nfa *nfa, int64_t low, int64_t high, unsigned decimals, uint32_t next);

/* ---- the deterministic automaton */

enum { AUTOMATON_DEAD = 0, AUTOMATON_START = 1 };

struct automaton {
    unsigned char class_of[256]; /* bytes that no state tells apart share a class */
    uint32_t n_classes, n_states;
    uint16_t *next; /* [n_states][n_classes] */
    bool *accepts;  /* [n_states] */
};

/* From every state but DEAD, which no byte leaves, some text leads to acceptance. ERROR_INVALID if nothing matches. */
struct automaton *automaton_new(const struct nfa *nfa, uint32_t start, struct error **err);
struct automaton *automaton_from_regex(struct str pattern, struct error **err);
struct automaton *automaton_from_schema(struct str schema, struct error **err);
void automaton_free(struct automaton *automaton);
static inline void automaton_cleanup(struct automaton **automaton)
{
    automaton_free(*automaton);
}

static inline uint32_t automaton_next(const struct automaton *automaton, uint32_t state, unsigned char byte)
{
    return automaton->next[state * automaton->n_classes + automaton->class_of[byte]];
}
uint32_t automaton_walk(const struct automaton *automaton, uint32_t state, struct str text);
bool automaton_matches(const struct automaton *automaton, struct str text);

/* Append the bytes that must come next, where there is no choice; returns the state behind them. */
uint32_t automaton_forced(const struct automaton *automaton, uint32_t state, struct strbuf *out);
bool automaton_is_final(const struct automaton *automaton,
                        uint32_t state); /* accepts, and nothing can follow */

#endif
