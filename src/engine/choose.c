/* Exact log-probabilities of many continuations in one pass.
 *
 * The choices, sorted, form a trie. A node is a beginning that some choice goes on from; it becomes a row of the pass
 * that sees the sequence and its own ancestors. An edge is a token after a node (or after the sequence itself): its
 * log-probability is a score of that row. A choice is the sum of its edges, in order. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"
#include "engine/numeric.h"

struct edge {
    int32_t node; /* -1: the sequence's last token */
    uint32_t at;  /* among its node's scores */
    struct pass_score score;
};

struct node {
    int32_t parent, token;
    uint32_t depth; /* 0: the token after the sequence */
    uint32_t n_edges, first_score;
};

struct trie {
    struct engine_choice **sorted; /* all choices, by their tokens */
    size_t n_choices;
    struct node *nodes;
    size_t n_nodes;
    struct edge *edges;
    size_t n_edges, root_edges;
    size_t *paths; /* edges of the choice at hand and, before it, of the last one */
    size_t longest;
    struct pass_score *scores;
    uint32_t tail_pages;
};

static int compare_choices(const void *a, const void *b)
{
    const struct engine_choice *x = *(struct engine_choice *const *)a, *y = *(struct engine_choice *const *)b;
    for (size_t i = 0; i < x->count && i < y->count; i++)
        if (x->tokens[i] != y->tokens[i])
            return x->tokens[i] < y->tokens[i] ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);
}

static size_t common(const struct engine_choice *a, const struct engine_choice *b)
{
    size_t n = 0;
    while (a && n < a->count && n < b->count && a->tokens[n] == b->tokens[n])
        n++;
    return n;
}

static bool check(const struct engine *engine, const struct engine_sequence *s,
                  const struct engine_choice *choices, size_t n, struct error **err)
{
    for (size_t i = 0; i < n; i++) {
        if (choices[i].count == 0)
            return error_set(err, ERROR_INVALID, "choice %zu has no tokens", i);
        if (choices[i].count > engine->info.context - s->len)
            return error_set(err, ERROR_LIMIT, "choice %zu has %zu tokens, after %zu: the context holds %u",
                             i, choices[i].count, s->len, engine->info.context);
        for (size_t k = 0; k < choices[i].count; k++)
            if (choices[i].tokens[k] < 0 || (uint32_t)choices[i].tokens[k] >= engine->info.vocab)
                return error_set(err, ERROR_INVALID, "choice %zu holds token %d: the vocabulary has %u", i,
                                 choices[i].tokens[k], engine->info.vocab);
    }
    return true;
}

/* ---- the trie of choices [first, last) ---- */

static void add_edge(struct trie *t, int32_t node, int32_t token)
{
    struct edge *edge = &t->edges[t->n_edges++];
    edge->node = node;
    edge->at = node < 0 ? (uint32_t)t->root_edges++ : t->nodes[node].n_edges++;
    edge->score = (struct pass_score){ .token = token };
}

/* The choice's edges go to `path`; those it shares with the one before are there already. nodes_of[d]: the node of
 * its first d + 1 tokens. */
static void add_choice(struct trie *t, const struct engine_choice *choice, size_t shared, size_t *path,
                       int32_t *nodes_of)
{
    for (size_t d = shared; d < choice->count; d++) {
        int32_t from = -1;
        if (d > 0) {
            if (nodes_of[d - 1] < 0) {
                nodes_of[d - 1] = (int32_t)t->n_nodes;
                t->nodes[t->n_nodes++] = (struct node){ .parent = d > 1 ? nodes_of[d - 2] : -1,
                                                        .token = choice->tokens[d - 1],
                                                        .depth = (uint32_t)d - 1 };
            }
            from = nodes_of[d - 1];
        }
        nodes_of[d] = -1;
        path[d] = t->n_edges;
        add_edge(t, from, choice->tokens[d]);
    }
}

/* Nodes and tail pages that `choice` would add after one that shares `shared` tokens; an upper bound. */
static void cost(const struct engine_choice *choice, size_t shared, size_t base, size_t *nodes, size_t *pages)
{
    size_t from = shared > 1 ? shared - 1 : 0;
    *nodes = *pages = 0;
    for (size_t d = from; d + 1 < choice->count; d++) {
        ++*nodes;
        *pages += pass_tail_pages((uint32_t)base, (uint32_t)(base + d));
    }
}

/* Where the choices that fit one pass end; `first` itself if not even one does. */
static size_t fit(const struct engine *engine, const struct trie *t, size_t first, size_t base)
{
    size_t nodes = 0, pages = 0, i = first;
    for (; i < t->n_choices; i++) {
        size_t more_nodes, more_pages;
        cost(t->sorted[i], i > first ? common(t->sorted[i - 1], t->sorted[i]) : 0, base, &more_nodes,
             &more_pages);
        if (nodes + more_nodes > engine->pass->capacity || pages + more_pages > PASS_TAIL_PAGES)
            break;
        nodes += more_nodes;
        pages += more_pages;
    }
    return i;
}

static void fill_rows(struct engine *engine, struct trie *t, const struct engine_sequence *s)
{
    uint32_t at = (uint32_t)t->root_edges;
    for (size_t i = 0; i < t->n_nodes; i++) {
        struct node *node = &t->nodes[i];
        node->first_score = at;
        at += node->n_edges;
        engine->pass->rows[i] = (struct pass_row){
            .token = node->token,
            .position = (uint32_t)s->len + node->depth,
            .pages = s->pages,
            .adapter = (const struct adapter *)s->adapter,
            .adapter_scale = s->adapter_scale,
            .in_tree = true,
            .parent = node->parent,
            .base = (uint32_t)s->len,
            .scores = t->scores + node->first_score,
            .n_scores = node->n_edges,
        };
    }
    for (size_t i = 0; i < t->n_edges; i++) {
        struct edge *edge = &t->edges[i];
        t->scores[(edge->node < 0 ? 0 : t->nodes[edge->node].first_score) + edge->at] = edge->score;
    }
    engine->pass->given = s->hidden;
    engine->pass->given_row = (struct pass_row){ .scores = t->scores, .n_scores = (uint32_t)t->root_edges };
}

static void sum_paths(struct trie *t, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        struct engine_choice *choice = t->sorted[i];
        const size_t *path = t->paths + i * t->longest;
        choice->log_probability = 0;
        for (size_t d = 0; d < choice->count; d++) {
            const struct edge *edge = &t->edges[path[d]];
            uint32_t from = edge->node < 0 ? 0 : t->nodes[edge->node].first_score;
            choice->log_probability += t->scores[from + edge->at].log_probability;
        }
    }
}

static bool choose_together(struct engine *engine, struct trie *t, const struct engine_sequence *s,
                            size_t first, size_t last, struct error **err)
{
    int32_t *nodes_of = xcalloc(t->longest + 1, sizeof *nodes_of);
    t->n_nodes = t->n_edges = t->root_edges = 0;
    for (size_t i = first; i < last; i++) {
        size_t shared = i > first ? common(t->sorted[i - 1], t->sorted[i]) : 0;
        memcpy(t->paths + i * t->longest, t->paths + (i - (i > first)) * t->longest,
               shared * sizeof *t->paths);
        add_choice(t, t->sorted[i], shared, t->paths + i * t->longest, nodes_of);
    }
    free(nodes_of);
    engine_lead(engine);
    fill_rows(engine, t, s);
    pass_run(engine->pass, (uint32_t)t->n_nodes);
    bool is_sound = engine_storage_is_sound(engine, err);
    engine_unlead(engine);
    sum_paths(t, first, last);
    return is_sound;
}

/* A choice that is longer than a pass is wide: appended to a fork, token after token. */
static bool choose_alone(struct engine *engine, struct engine_sequence *s, struct engine_choice *choice,
                         struct error **err)
{
    uint32_t vocab = engine->info.vocab;
    float *logits = malloc(vocab * sizeof *logits);
    double *log_p = malloc(vocab * sizeof *log_p);
    AUTO(engine_sequence) struct engine_sequence *fork = engine_sequence_fork(s, err);
    bool ok =
        fork && ((logits && log_p) || error_set(err, ERROR_NO_MEMORY, "no memory for %u logits", vocab));
    choice->log_probability = 0;
    for (size_t i = 0; ok && i < choice->count; i++) {
        ok = engine_sequence_logits(engine, fork, logits, NULL, err);
        if (!ok)
            break;
        engine_log_softmax(logits, vocab, log_p);
        choice->log_probability += log_p[choice->tokens[i]];
        ok = engine_step(engine,
                         &(struct engine_item){ .sequence = fork, .tokens = &choice->tokens[i], .count = 1 },
                         1, err);
    }
    free(logits);
    free(log_p);
    return ok;
}

static bool trie_new(struct trie *t, struct engine_choice *choices, size_t n, struct error **err)
{
    size_t total = 0;
    *t = (struct trie){ .n_choices = n };
    for (size_t i = 0; i < n; i++) {
        total += choices[i].count;
        t->longest = MAX(t->longest, choices[i].count);
    }
    t->sorted = calloc(n, sizeof *t->sorted);
    t->nodes = calloc(total, sizeof *t->nodes);
    t->edges = calloc(total, sizeof *t->edges);
    t->scores = calloc(total, sizeof *t->scores);
    t->paths = calloc(n * t->longest, sizeof *t->paths);
    if (!t->sorted || !t->nodes || !t->edges || !t->scores || !t->paths)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu choices of up to %zu tokens", n,
                         t->longest);
    for (size_t i = 0; i < n; i++)
        t->sorted[i] = &choices[i];
    qsort(t->sorted, n, sizeof *t->sorted, compare_choices);
    return true;
}

static void trie_free(struct trie *t)
{
    free(t->sorted);
    free(t->nodes);
    free(t->edges);
    free(t->scores);
    free(t->paths);
}

bool engine_choose(struct engine *engine, struct engine_sequence *sequence, struct engine_choice *choices,
                   size_t n_choices, struct error **err)
{
    struct trie trie;
    if (n_choices == 0)
        return true;
    if (!check(engine, sequence, choices, n_choices, err) || !sequence_need_hidden(engine, sequence, err))
        return false;
    bool ok = trie_new(&trie, choices, n_choices, err);
    for (size_t first = 0; ok && first < n_choices;) {
        size_t last = fit(engine, &trie, first, sequence->len);
        ok = last > first ? choose_together(engine, &trie, sequence, first, last, err)
                          : choose_alone(engine, sequence, trie.sorted[first], err);
        first = MAX(last, first + 1);
    }
    trie_free(&trie);
    return ok;
}

void engine_log_softmax(const float *logits, size_t n, double *log_probabilities)
{
    const struct kernels *k = kernels_find(NULL);
    float max = k->max(logits, n);
    double log_sum = numeric_log(k->sum_exp(logits, n, max));
    for (size_t i = 0; i < n; i++)
        log_probabilities[i] = (double)logits[i] - (double)max - log_sum;
}
