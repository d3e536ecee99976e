/* Nondeterministic automata put together from pieces (Thompson 1968), and made deterministic by the subset construction
 * (Rabin & Scott 1959) over classes of bytes that no piece tells apart. Nodes from which nothing can be accepted are left
 * out, so that a decoder that stays out of DEAD can always finish. */
#include "engine/automaton.h"

#include <stdlib.h>

/* ---- pieces */

static uint32_t add_node(struct nfa *nfa, struct nfa_node node)
{
    if (nfa->failed || nfa->count == AUTOMATON_NODES_MAX) {
        nfa->failed = true;
        return 0;
    }
    if (nfa->count == nfa->cap)
        nfa->nodes = xrealloc(nfa->nodes, (nfa->cap = nfa->cap * 2 + 64) * sizeof *nfa->nodes);
    nfa->nodes[nfa->count] = node;
    return nfa->count++;
}

uint32_t nfa_accept(struct nfa *nfa)
{
    return add_node(nfa, (struct nfa_node){ .kind = NFA_ACCEPT });
}

uint32_t nfa_range(struct nfa *nfa, unsigned char low, unsigned char high, uint32_t next)
{
    return add_node(nfa, (struct nfa_node){ .kind = NFA_RANGE, .low = low, .high = high, .next = next });
}

uint32_t nfa_either(struct nfa *nfa, uint32_t a, uint32_t b)
{
    return add_node(nfa, (struct nfa_node){ .kind = NFA_SPLIT, .next = a, .other = b });
}

uint32_t nfa_text(struct nfa *nfa, struct str text, uint32_t next)
{
    for (size_t i = text.len; i > 0; i--)
        next = nfa_range(nfa, (unsigned char)text.ptr[i - 1], (unsigned char)text.ptr[i - 1], next);
    return next;
}

void nfa_set(struct nfa *nfa, uint32_t node, uint32_t next, uint32_t other)
{
    if (!nfa->failed)
        nfa->nodes[node].next = next, nfa->nodes[node].other = other;
}

void nfa_free(struct nfa *nfa)
{
    free(nfa->nodes);
    *nfa = (struct nfa){ 0 };
}

/* Code points low..high of one encoded length, whose first bytes differ only where all that follows is free, go into one
 * chain of ranges; others are cut at such borders. */
static uint32_t same_length(struct nfa *nfa, const unsigned char *low, const unsigned char *high,
                            unsigned len, uint32_t next)
{
    static const unsigned char least[3] = { 0x80, 0x80, 0x80 }, most[3] = { 0xbf, 0xbf, 0xbf };
    if (len == 1)
        return nfa_range(nfa, *low, *high, next);
    if (*low == *high)
        return nfa_range(nfa, *low, *low, same_length(nfa, low + 1, high + 1, len - 1, next));
    bool from_least = memcmp(low + 1, least, len - 1) == 0, to_most = memcmp(high + 1, most, len - 1) == 0;
    unsigned char first = *low + !from_least, last = *high - !to_most;
    uint32_t all = UINT32_MAX;
    if (first <= last)
        all = nfa_range(nfa, first, last, same_length(nfa, least, most, len - 1, next));
    if (!from_least) {
        uint32_t part = nfa_range(nfa, *low, *low, same_length(nfa, low + 1, most, len - 1, next));
        all = all == UINT32_MAX ? part : nfa_either(nfa, part, all);
    }
    if (!to_most) {
        uint32_t part = nfa_range(nfa, *high, *high, same_length(nfa, least, high + 1, len - 1, next));
        all = all == UINT32_MAX ? part : nfa_either(nfa, all, part);
    }
    return all;
}

static void encode(uint32_t code, unsigned char out[4])
{
    if (code < 0x80)
        out[0] = (unsigned char)code;
    else if (code < 0x800)
        out[0] = 0xc0 | code >> 6, out[1] = 0x80 | (code & 63);
    else if (code < 0x10000)
        out[0] = 0xe0 | code >> 12, out[1] = 0x80 | (code >> 6 & 63), out[2] = 0x80 | (code & 63);
    else
        out[0] = 0xf0 | code >> 18, out[1] = 0x80 | (code >> 12 & 63), out[2] = 0x80 | (code >> 6 & 63),
        out[3] = 0x80 | (code & 63);
}

uint32_t nfa_code_points(struct nfa *nfa, uint32_t low, uint32_t high, uint32_t next)
{
    static const struct {
        uint32_t low, high;
        unsigned len;
    } lengths[] = { { 0, 0x7f, 1 },
                    { 0x80, 0x7ff, 2 },
                    { 0x800, 0xd7ff, 3 },
                    { 0xe000, 0xffff, 3 },
                    { 0x10000, 0x10ffff, 4 } };
    uint32_t all = UINT32_MAX;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint32_t from = MAX(low, lengths[i].low), to = MIN(high, lengths[i].high);
        unsigned char first[4], last[4];
        if (from > to)
            continue;
        encode(from, first), encode(to, last);
        uint32_t part = same_length(nfa, first, last, lengths[i].len, next);
        all = all == UINT32_MAX ? part : nfa_either(nfa, all, part);
    }
    return all == UINT32_MAX ? nfa_range(nfa, 1, 0, next) : all; /* 1..0: no byte */
}

/* ---- making it deterministic */

/* A set of nodes as the sorted list of its members that are no SPLIT. */
struct subset {
    uint32_t first, count; /* into subsets.members */
    uint64_t hash;
};
struct builder {
    const struct nfa *nfa;
    struct subset *subsets; /* by state */
    uint32_t *members;
    size_t n_members, cap_members, work;
    uint32_t *table;            /* state + 1 by hash, open addressing */
    uint32_t *mark, generation; /* [nfa->count]: visited in this generation */
    uint32_t *stack, *found;    /* [nfa->count] */
    uint32_t n_found;
    bool *live; /* [nfa->count] */
    struct automaton *out;
};
enum { TABLE_SIZE = AUTOMATON_STATES_MAX * 2, MEMBERS_MAX = 1 << 24 };

static void find_classes(const struct nfa *nfa, struct automaton *out)
{
    bool cut[257] = { false };
    for (uint32_t i = 0; i < nfa->count; i++)
        if (nfa->nodes[i].kind == NFA_RANGE && nfa->nodes[i].low <= nfa->nodes[i].high)
            cut[nfa->nodes[i].low] = cut[nfa->nodes[i].high + 1] = true;
    unsigned class = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        class += byte > 0 && cut[byte];
        out->class_of[byte] = (unsigned char)class;
    }
    out->n_classes = class + 1;
}

/* Add a node and what splits lead to from it. */
static void reach(struct builder *b, uint32_t node)
{
    size_t depth = 0;
    b->stack[depth++] = node;
    while (depth) {
        node = b->stack[--depth];
        b->work++;
        if (b->mark[node] == b->generation || !b->live[node])
            continue;
        b->mark[node] = b->generation;
        if (b->nfa->nodes[node].kind != NFA_SPLIT) {
            b->found[b->n_found++] = node;
            continue;
        }
        uint32_t next = b->nfa->nodes[node].next, other = b->nfa->nodes[node].other;
        if (b->mark[other] != b->generation)
            b->stack[depth++] = other;
        if (b->mark[next] != b->generation)
            b->stack[depth++] = next;
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The state of the set in found[]: the one that has it, or a new one. DEAD for the empty set. */
static bool state_of_found(struct builder *b, uint32_t *state, struct error **err)
{
    *state = AUTOMATON_DEAD;
    if (b->n_found == 0)
        return true;
    qsort(b->found, b->n_found, sizeof *b->found, by_number);
    uint64_t hash = str_hash((struct str){ (char *)b->found, b->n_found * sizeof *b->found }, 1);
    size_t at = hash % TABLE_SIZE;
    for (; b->table[at]; at = (at + 1) % TABLE_SIZE) {
        const struct subset *s = &b->subsets[b->table[at] - 1];
        if (s->hash == hash && s->count == b->n_found &&
            memcmp(b->members + s->first, b->found, b->n_found * sizeof *b->found) == 0)
            return *state = b->table[at] - 1, true;
    }
    if (b->out->n_states == AUTOMATON_STATES_MAX || b->n_members + b->n_found > MEMBERS_MAX ||
        b->work > AUTOMATON_WORK_MAX)
        return error_set(err, ERROR_LIMIT, "the pattern is too large: more than %u states", b->out->n_states);
    if (b->n_members + b->n_found > b->cap_members)
        b->members =
            xrealloc(b->members, (b->cap_members = 2 * (b->n_members + b->n_found)) * sizeof *b->members);
    memcpy(b->members + b->n_members, b->found, b->n_found * sizeof *b->found);
    *state = b->out->n_states++;
    b->subsets[*state] = (struct subset){ (uint32_t)b->n_members, b->n_found, hash };
    b->n_members += b->n_found;
    b->table[at] = *state + 1;
    return true;
}

static void begin_set(struct builder *b)
{
    b->generation++;
    b->n_found = 0;
}

static bool expand(struct builder *b, uint32_t state, struct error **err)
{
    struct automaton *out = b->out;
    if ((state & (state + 1)) == 0)
        out->next = xrealloc(out->next, 2 * (size_t)(state + 1) * out->n_classes * sizeof *out->next);
    for (uint32_t class = 0, byte = 0; class < out->n_classes; class ++) {
        while (out->class_of[byte] != class)
            byte++;
        begin_set(b);
        struct subset set = b->subsets[state];
        for (uint32_t i = 0; i < set.count; i++) {
            const struct nfa_node *node = &b->nfa->nodes[b->members[set.first + i]];
            b->work++;
            if (node->kind == NFA_RANGE && node->low <= byte && byte <= node->high)
                reach(b, node->next);
        }
        uint32_t to;
        if (b->work > AUTOMATON_WORK_MAX)
            return error_set(err, ERROR_LIMIT, "the pattern is too complicated");
        if (!state_of_found(b, &to, err))
            return false;
        out->next[state * out->n_classes + class] = (uint16_t)to;
    }
    return true;
}

static bool build(struct builder *b, uint32_t start, struct error **err)
{
    uint32_t state;
    b->out->n_states = AUTOMATON_START; /* DEAD is there, with an empty set */
    begin_set(b);
    reach(b, start);
    if (!state_of_found(b, &state, err))
        return false;
    b->out->next = xcalloc(2 * (size_t)b->out->n_classes, sizeof *b->out->next);
    for (uint32_t i = AUTOMATON_START; i < b->out->n_states; i++)
        if (!expand(b, i, err))
            return false;
    b->out->accepts = xcalloc(b->out->n_states, sizeof *b->out->accepts);
    for (uint32_t i = AUTOMATON_START; i < b->out->n_states; i++)
        for (uint32_t k = 0; k < b->subsets[i].count; k++)
            if (b->nfa->nodes[b->members[b->subsets[i].first + k]].kind == NFA_ACCEPT)
                b->out->accepts[i] = true;
    return true;
}

/* Which nodes can still accept. Pieces are put in front of what follows them, so a node's successors are known before
 * it; but for the body of a loop, which leads nowhere but back to the loop. */
static bool *find_live(const struct nfa *nfa)
{
    bool *live = xcalloc(nfa->count, sizeof *live);
    for (uint32_t i = 0; i < nfa->count; i++) {
        const struct nfa_node *node = &nfa->nodes[i];
        bool next = node->kind != NFA_ACCEPT && live[node->next];
        live[i] = node->kind == NFA_ACCEPT ||
                  (node->kind == NFA_RANGE ? next && node->low <= node->high : next || live[node->other]);
    }
    return live;
}

struct automaton *automaton_new(const struct nfa *nfa, uint32_t start, struct error **err)
{
    if (nfa->failed) {
        error_set(err, ERROR_LIMIT, "the pattern is too large: more than %d nodes", AUTOMATON_NODES_MAX);
        return NULL;
    }
    AUTO(automaton) struct automaton *out = xcalloc(1, sizeof *out);
    find_classes(nfa, out);
    struct builder b = { .nfa = nfa,
                         .out = out,
                         .subsets = xcalloc(AUTOMATON_STATES_MAX, sizeof *b.subsets),
                         .table = xcalloc(TABLE_SIZE, sizeof *b.table),
                         .mark = xcalloc(nfa->count, sizeof *b.mark),
                         .stack = xcalloc(2 * (size_t)nfa->count + 2, sizeof *b.stack),
                         .found = xcalloc(nfa->count, sizeof *b.found) };
    b.live = find_live(nfa);
    bool ok =
        b.live[start] ? build(&b, start, err) : error_set(err, ERROR_INVALID, "the pattern matches no text");
    free(b.live), free(b.subsets), free(b.members), free(b.table), free(b.mark), free(b.stack), free(b.found);
    return ok ? STEAL(out) : NULL;
}

void automaton_free(struct automaton *a)
{
    if (!a)
        return;
    free(a->next), free(a->accepts), free(a);
}

struct automaton *automaton_from_regex(struct str pattern, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    struct regex *regex = regex_parse(arena, pattern, err);
    if (!regex)
        return NULL;
    struct nfa nfa = { 0 };
    uint32_t start = regex_emit(regex, &nfa, false, nfa_accept(&nfa));
    struct automaton *automaton = automaton_new(&nfa, start, err);
    nfa_free(&nfa);
    return automaton;
}

struct automaton *automaton_from_schema(struct str schema, struct error **err)
{
    struct nfa nfa = { 0 };
    uint32_t start;
    struct automaton *automaton =
        schema_emit(&nfa, schema, &start, err) ? automaton_new(&nfa, start, err) : NULL;
    nfa_free(&nfa);
    return automaton;
}

/* ---- using it */

uint32_t automaton_walk(const struct automaton *a, uint32_t state, struct str text)
{
    for (size_t i = 0; i < text.len && state != AUTOMATON_DEAD; i++)
        state = automaton_next(a, state, (unsigned char)text.ptr[i]);
    return state;
}

bool automaton_matches(const struct automaton *a, struct str text)
{
    return a->accepts[automaton_walk(a, AUTOMATON_START, text)];
}

/* The only byte that leads on from `state`; -1 where there is none, or a choice. */
static int only_byte(const struct automaton *a, uint32_t state)
{
    int only = -1;
    for (unsigned byte = 0; byte < 256; byte++) {
        if (automaton_next(a, state, (unsigned char)byte) == AUTOMATON_DEAD)
            continue;
        if (only >= 0)
            return -1;
        only = (int)byte;
    }
    return only;
}

uint32_t automaton_forced(const struct automaton *a, uint32_t state, struct strbuf *out)
{
    for (uint32_t n = 0; n < a->n_states && !a->accepts[state]; n++) {
        int byte = only_byte(a, state);
        if (byte < 0)
            break;
        strbuf_add_char(out, (char)byte);
        state = automaton_next(a, state, (unsigned char)byte);
    }
    return state;
}

bool automaton_is_final(const struct automaton *a, uint32_t state)
{
    for (uint32_t c = 0; c < a->n_classes; c++)
        if (a->next[state * a->n_classes + c] != AUTOMATON_DEAD)
            return false;
    return a->accepts[state];
}
