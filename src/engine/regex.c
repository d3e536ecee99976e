/* Regular expressions, parsed to a tree and written into an automaton. */
#include <stdlib.h>

#include "base/utf8.h"
#include "engine/automaton.h"

struct code_range {
    uint32_t low, high;
};

struct regex {
    enum { REGEX_EMPTY, REGEX_SET, REGEX_CAT, REGEX_ALT, REGEX_REPEAT } kind;
    struct regex *a, *b;
    uint32_t min, max;         /* REPEAT; max UINT32_MAX: any number */
    struct code_range *ranges; /* SET: sorted, apart */
    size_t n_ranges;
};

struct parser {
    struct arena *arena;
    struct str text;
    size_t at;
    unsigned depth;
    struct error **err;
};

static struct regex *new_node(struct parser *p, int kind, struct regex *a, struct regex *b)
{
    struct regex *node = ARENA_NEW(p->arena, struct regex);
    node->kind = kind;
    node->a = a;
    node->b = b;
    return node;
}

static struct regex *refuse(struct parser *p, const char *what)
{
    error_set(p->err, ERROR_INVALID, "the pattern's byte %zu: %s", p->at, what);
    return NULL;
}

static bool at_end(const struct parser *p)
{
    return p->at >= p->text.len;
}
static int peek(const struct parser *p)
{
    return at_end(p) ? -1 : (unsigned char)p->text.ptr[p->at];
}

static bool take(struct parser *p, char c)
{
    if (peek(p) != c)
        return false;
    p->at++;
    return true;
}

/* ---- sets of characters */

struct set {
    struct code_range ranges[512];
    size_t count;
};

static bool add_range(struct set *set, uint32_t low, uint32_t high)
{
    if (set->count == ARRAY_LEN(set->ranges))
        return false;
    set->ranges[set->count++] = (struct code_range){ low, high };
    return true;
}

static int by_low(const void *a, const void *b)
{
    uint32_t x = ((const struct code_range *)a)->low, y = ((const struct code_range *)b)->low;
    return x < y ? -1 : x > y;
}

/* Sorted, and apart by at least one character. */
static void tidy(struct set *set)
{
    if (set->count == 0)
        return;
    qsort(set->ranges, set->count, sizeof *set->ranges, by_low);
    size_t last = 0;
    for (size_t i = 1; i < set->count; i++)
        if (set->ranges[i].low <= set->ranges[last].high + 1)
            set->ranges[last].high = MAX(set->ranges[last].high, set->ranges[i].high);
        else
            set->ranges[++last] = set->ranges[i];
    set->count = last + 1;
}

static void negate(struct set *set)
{
    struct set rest = { .count = 0 };
    uint32_t from = 0;
    tidy(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].low > from)
            add_range(&rest, from, set->ranges[i].low - 1);
        from = set->ranges[i].high + 1;
    }
    if (from <= 0x10ffff)
        add_range(&rest, from, 0x10ffff);
    *set = rest;
}

static struct regex *set_node(struct parser *p, struct set *set)
{
    tidy(set);
    struct regex *node = new_node(p, REGEX_SET, NULL, NULL);
    node->n_ranges = set->count;
    node->ranges = ARENA_ARRAY(p->arena, struct code_range, set->count + 1);
    memcpy(node->ranges, set->ranges, set->count * sizeof *node->ranges);
    return node;
}

/* \d \w \s, and \D \W \S: false if `c` names no class. */
static bool add_class(struct set *set, int c)
{
    static const struct {
        char name;
        struct code_range ranges[4];
        size_t count;
    } classes[] = {
        { 'd', { { '0', '9' } }, 1 },
        { 'w', { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } }, 4 },
        { 's', { { '\t', '\r' }, { ' ', ' ' } }, 2 },
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if ((c | 32) != classes[i].name)
            continue;
        struct set class = { .count = classes[i].count };
        memcpy(class.ranges, classes[i].ranges, sizeof classes[i].ranges);
        if (!(c & 32))
            negate(&class);
        for (size_t k = 0; k < class.count; k++)
            add_range(set, class.ranges[k].low, class.ranges[k].high);
        return true;
    }
    return false;
}

static bool hex_digits(struct parser *p, size_t min, size_t max, uint32_t *code)
{
    size_t n = 0;
    for (*code = 0; n < max && !at_end(p); n++, p->at++) {
        int c = peek(p), digit = c >= '0' && c <= '9'                 ? c - '0'
                                 : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                      : -1;
        if (digit < 0)
            break;
        *code = *code * 16 + (uint32_t)digit;
    }
    return n >= min;
}

/* The character after a backslash. */
static bool escaped(struct parser *p, uint32_t *code)
{
    static const char names[] = "nrtfv0", codes[] = "\n\r\t\f\v";
    int c = peek(p);
    p->at++;
    if (c == 'x')
        return hex_digits(p, 2, 2, code);
    if (c == 'u')
        return take(p, '{') ? hex_digits(p, 1, 6, code) && take(p, '}') && *code <= 0x10ffff
                            : hex_digits(p, 4, 4, code);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    if (name)
        return *code = (unsigned char)codes[name - names], true;
    *code = (uint32_t)c;
    return c >= 0 && c < 0x80 && !((c | 32) >= 'a' && (c | 32) <= 'z') && !(c >= '0' && c <= '9');
}

/* One character, plain or escaped, into *code. */
static bool character(struct parser *p, uint32_t *code)
{
    if (take(p, '\\'))
        return escaped(p, code);
    size_t len = utf8_decode(str_slice(p->text, p->at, p->text.len), code);
    p->at += len;
    return *code != UTF8_INVALID;
}

/* One item of a class: \d, a, or a-z. */
static bool class_item(struct parser *p, struct set *set)
{
    uint32_t low, high;
    if (peek(p) == '\\' && p->at + 1 < p->text.len && add_class(set, p->text.ptr[p->at + 1]))
        return p->at += 2, true;
    if (!character(p, &low))
        return false;
    high = low;
    if (peek(p) == '-' && p->at + 1 < p->text.len && p->text.ptr[p->at + 1] != ']') {
        p->at++;
        if (!character(p, &high))
            return false;
    }
    return low <= high && add_range(set, low, high);
}

static struct regex *parse_class(struct parser *p)
{
    struct set set = { .count = 0 };
    bool inverse = take(p, '^');
    for (bool first = true; first || peek(p) != ']'; first = false)
        if (at_end(p) || !class_item(p, &set))
            return refuse(p, at_end(p) ? "a class [ that does not end"
                                       : "not a character of a class, or too many");
    p->at++;
    if (inverse)
        negate(&set);
    return set_node(p, &set);
}

/* ---- expressions */

static struct regex *parse_alternatives(struct parser *p);

static struct regex *parse_group(struct parser *p)
{
    if (take(p, '?') && !take(p, ':'))
        return refuse(p, "only (?: is known of the groups that begin with (?");
    if (++p->depth > PATTERN_DEPTH_MAX)
        return refuse(p, "too many brackets within each other");
    struct regex *inner = parse_alternatives(p);
    p->depth--;
    if (inner && !take(p, ')'))
        return refuse(p, "a bracket ( that does not end");
    return inner;
}

static struct regex *parse_atom(struct parser *p)
{
    struct set set = { .count = 0 };
    uint32_t code;
    if (take(p, '('))
        return parse_group(p);
    if (take(p, '['))
        return parse_class(p);
    if (take(p, '.')) {
        add_range(&set, '\n', '\n');
        negate(&set);
        return set_node(p, &set);
    }
    if (peek(p) == '\\' && p->at + 1 < p->text.len && add_class(&set, p->text.ptr[p->at + 1])) {
        p->at += 2;
        return set_node(p, &set);
    }
    int c = peek(p);
    if (c == '*' || c == '+' || c == '?' || c == '{' || c == ')' || c == '^' || c == '$')
        return refuse(p, "this sign has nothing to act on here; write \\ before it if it is meant itself");
    if (!character(p, &code))
        return refuse(p, "an escape that is not known, or not UTF-8");
    add_range(&set, code, code);
    return set_node(p, &set);
}

static bool number(struct parser *p, uint32_t *value)
{
    size_t from = p->at;
    for (*value = 0; peek(p) >= '0' && peek(p) <= '9' && *value <= PATTERN_REPEAT_MAX; p->at++)
        *value = *value * 10 + (uint32_t)(peek(p) - '0');
    return p->at > from && *value <= PATTERN_REPEAT_MAX;
}

static bool parse_bounds(struct parser *p, uint32_t *min, uint32_t *max)
{
    if (take(p, '*'))
        return *min = 0, *max = UINT32_MAX, true;
    if (take(p, '+'))
        return *min = 1, *max = UINT32_MAX, true;
    if (take(p, '?'))
        return *min = 0, *max = 1, true;
    p->at++; /* { */
    if (!number(p, min))
        return false;
    *max = *min;
    if (take(p, ','))
        *max = UINT32_MAX;
    if (*max == UINT32_MAX && peek(p) != '}' && !number(p, max))
        return false;
    return take(p, '}') && *min <= *max;
}

static struct regex *parse_repeated(struct parser *p)
{
    struct regex *node = parse_atom(p);
    while (node && (peek(p) == '*' || peek(p) == '+' || peek(p) == '?' || peek(p) == '{')) {
        uint32_t min, max;
        if (!parse_bounds(p, &min, &max))
            return refuse(p, "bounds are {m}, {m,} or {m,n}, at most 4096");
        node = new_node(p, REGEX_REPEAT, node, NULL);
        node->min = min;
        node->max = max;
        if (++p->depth > PATTERN_DEPTH_MAX)
            return refuse(p, "too many signs of repetition");
    }
    return node;
}

static struct regex *parse_sequence(struct parser *p)
{
    struct regex *all = NULL;
    while (!at_end(p) && peek(p) != '|' && peek(p) != ')' && !(peek(p) == '$' && p->at + 1 == p->text.len)) {
        unsigned depth = p->depth;
        struct regex *next = parse_repeated(p);
        if (!next)
            return NULL;
        p->depth = depth;
        all = all ? new_node(p, REGEX_CAT, all, next) : next;
    }
    return all ? all : new_node(p, REGEX_EMPTY, NULL, NULL);
}

static struct regex *parse_alternatives(struct parser *p)
{
    struct regex *all = parse_sequence(p);
    while (all && take(p, '|')) {
        struct regex *next = parse_sequence(p);
        all = next ? new_node(p, REGEX_ALT, all, next) : NULL;
    }
    return all;
}

struct regex *regex_parse(struct arena *arena, struct str pattern, struct error **err)
{
    struct parser p = { .arena = arena, .text = pattern, .err = err };
    if (pattern.len > PATTERN_LEN_MAX) {
        error_set(err, ERROR_LIMIT, "a pattern of %zu bytes: at most %d", pattern.len, PATTERN_LEN_MAX);
        return NULL;
    }
    take(&p, '^');
    struct regex *all = parse_alternatives(&p);
    if (all && !(take(&p, '$'), at_end(&p)))
        return refuse(&p, "a bracket ) that does not begin");
    return all;
}

/* ---- writing it into the automaton */

static uint32_t or_else(struct nfa *nfa, uint32_t all, uint32_t part)
{
    return all == UINT32_MAX ? part : nfa_either(nfa, all, part);
}

/* The short escapes of JSON; control characters without one are left out. */
static uint32_t emit_escaped(struct nfa *nfa, struct code_range range, uint32_t next, uint32_t all)
{
    static const char plain[] = "\"\\\n\r\t\b\f", written[] = "\"\\nrtbf";
    for (size_t i = 0; i < sizeof plain - 1; i++)
        if (range.low <= (unsigned char)plain[i] && (unsigned char)plain[i] <= range.high) {
            char text[] = { '\\', written[i] };
            all = or_else(nfa, all, nfa_text(nfa, (struct str){ text, 2 }, next));
        }
    return all;
}

static uint32_t emit_set(const struct regex *set, struct nfa *nfa, bool in_json, uint32_t next)
{
    static const struct code_range unescaped[] = { { ' ', '!' }, { '#', '[' }, { ']', 0x10ffff } };
    uint32_t all = UINT32_MAX;
    for (size_t i = 0; i < set->n_ranges; i++) {
        struct code_range range = set->ranges[i];
        if (!in_json) {
            all = or_else(nfa, all, nfa_code_points(nfa, range.low, range.high, next));
            continue;
        }
        for (size_t k = 0; k < ARRAY_LEN(unescaped); k++) {
            uint32_t low = MAX(range.low, unescaped[k].low), high = MIN(range.high, unescaped[k].high);
            if (low <= high)
                all = or_else(nfa, all, nfa_code_points(nfa, low, high, next));
        }
        all = emit_escaped(nfa, range, next, all);
    }
    return all == UINT32_MAX ? nfa_range(nfa, 1, 0, next) : all;
}

static uint32_t emit_repeat(const struct regex *regex, struct nfa *nfa, bool in_json, uint32_t next)
{
    uint32_t at = next, least = regex->min;
    if (regex->max == UINT32_MAX) {
        at = nfa_either(nfa, next, next);
        nfa_set(nfa, at, regex_emit(regex->a, nfa, in_json, at), next);
    } else {
        for (uint32_t i = regex->min; i < regex->max && !nfa->failed; i++)
            at = nfa_either(nfa, regex_emit(regex->a, nfa, in_json, at), next);
    }
    for (; least > 0 && !nfa->failed; least--)
        at = regex_emit(regex->a, nfa, in_json, at);
    return at;
}

uint32_t regex_emit(const struct regex *regex, struct nfa *nfa, bool in_json, uint32_t next)
{
    if (++nfa->work > 16 * AUTOMATON_NODES_MAX) /* nothing, a million times over, makes no node */
        nfa->failed = true;
    /* A sequence leans to the left and may be long: its right parts are written in a loop. */
    for (; !nfa->failed && regex->kind == REGEX_CAT; regex = regex->a)
        next = regex_emit(regex->b, nfa, in_json, next);
    uint32_t all = UINT32_MAX;
    for (; !nfa->failed && regex->kind == REGEX_ALT; regex = regex->a)
        all = or_else(nfa, all, regex_emit(regex->b, nfa, in_json, next));
    if (nfa->failed)
        return 0;
    if (all != UINT32_MAX)
        return nfa_either(nfa, regex_emit(regex, nfa, in_json, next), all);
    switch (regex->kind) {
    case REGEX_SET:
        return emit_set(regex, nfa, in_json, next);
    case REGEX_REPEAT:
        return emit_repeat(regex, nfa, in_json, next);
    default:
        return next;
    }
}
