/* Writing on: choose a token, look what it did to the text, feed it, again.
 *
 * A token that was chosen is fed together with those that the constraint forces behind it, in one step: only real choices
 * cost a pass of their own. */
#include <math.h>
#include <stdlib.h>

#include "engine/constrain.h"
#include "engine/engine_internal.h"
#include "engine/numeric.h"

#include "base/rand.h"

enum { MAX_TOKENS_DEFAULT = 256 };

struct candidate {
    float logit;
    int32_t token;
};

struct writer {
    struct engine *engine;
    struct engine_sequence *sequence;
    const struct engine_complete_options *options;
    struct engine_completion *out;
    struct engine_tokens pending; /* chosen or forced, not fed yet */
    struct engine_text bytes;     /* a character that is not whole yet */
    struct rng rng;
    size_t vocab, told, longest_stop; /* told: bytes of out->text that on_text has seen */
    float *logits;
    struct candidate *candidates;
    uint32_t state; /* of the constraint */
    bool ended;
};

static void end(struct writer *w, enum engine_complete_end why)
{
    w->ended = true;
    w->out->end = why;
}

/* ---- choosing a token */

static int by_logit(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static size_t find_candidates(struct writer *w, const uint64_t *mask)
{
    size_t n = 0, count = mask ? MIN(w->vocab, tokenizer_count(w->engine->tokenizer)) : w->vocab;
    for (size_t i = 0; i < count; i++)
        if (!mask || mask[i / 64] >> i % 64 & 1)
            w->candidates[n++] = (struct candidate){ w->logits[i], (int32_t)i };
    return n;
}

static int32_t likeliest(const struct candidate *candidates, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (candidates[i].logit > candidates[best].logit)
            best = i;
    return candidates[best].token;
}

/* Without those that weigh nothing: e^-40 of the likeliest. */
static size_t keep_weighty(struct writer *w, size_t n)
{
    float most = w->candidates[0].logit;
    for (size_t i = 1; i < n; i++)
        most = MAX(most, w->candidates[i].logit);
    double least = (double)most - 40 * w->options->temperature;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if ((double)w->candidates[i].logit >= least)
            w->candidates[kept++] = w->candidates[i];
    return kept;
}

/* Weights are summed from the likeliest down, in double, with the engine's own exp: the same choice everywhere. */
static int32_t sample(struct writer *w, size_t n)
{
    const struct engine_complete_options *o = w->options;
    n = keep_weighty(w, n);
    qsort(w->candidates, n, sizeof *w->candidates, by_logit);
    if (o->top_k && n > o->top_k)
        n = o->top_k;
    double *weights = xmalloc(n * sizeof *weights), total = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        total += weights[i] =
            numeric_exp(((double)w->candidates[i].logit - w->candidates[0].logit) / o->temperature);
    size_t count = 0;
    do
        kept += weights[count++];
    while (count < n && !(o->top_p > 0 && kept >= o->top_p * total));
    double at = rng_unit(&w->rng) * kept;
    size_t chosen = 0;
    while (chosen + 1 < count && (at -= weights[chosen]) >= 0)
        chosen++;
    free(weights);
    return w->candidates[chosen].token;
}

/* As engine_log_softmax() has it, to the bit. */
static double log_probability(const struct writer *w, int32_t token)
{
    const struct kernels *kernels = w->engine->kernels;
    float most = kernels->max(w->logits, w->vocab);
    double log_sum = numeric_log(kernels->sum_exp(w->logits, w->vocab, most));
    return (double)w->logits[token] - (double)most - log_sum;
}

static bool choose(struct writer *w, int32_t *token, struct error **err)
{
    const uint64_t *mask = NULL;
    if (w->options->constraint && !(mask = constraint_mask(w->options->constraint, w->state, err)))
        return false;
    size_t n = find_candidates(w, mask);
    if (n == 0)
        return error_set(err, ERROR_INVALID,
                         "the model has no output for any token that the constraint allows");
    *token = w->options->temperature > 0 ? sample(w, n) : likeliest(w->candidates, n);
    return true;
}

/* ---- text */

static void tell(struct writer *w, size_t until)
{
    if (until <= w->told || !w->options->on_text)
        return;
    struct str news = str_slice(strbuf_str(&w->out->text), w->told, until);
    w->told = until;
    if (!w->options->on_text(w->options->context, news))
        end(w, ENGINE_ENDED_BY_CALLER);
}

/* Look for a stop text that ends in what was added since `from`; the first one in the text counts. */
static void look_for_stops(struct writer *w, size_t from)
{
    struct strbuf *text = &w->out->text;
    size_t first = SIZE_MAX, at;
    size_t begin = from > w->longest_stop ? from - w->longest_stop : 0;
    for (size_t i = 0; i < w->options->n_stops; i++)
        if (w->options->stops[i].len &&
            str_find(str_slice(strbuf_str(text), begin, text->len), w->options->stops[i], &at))
            first = MIN(first, begin + at);
    if (first == SIZE_MAX)
        return;
    text->len = first;
    text->ptr[first] = '\0';
    end(w, ENGINE_ENDED_BY_STOP);
}

/* What may still turn out to be the beginning of a stop text is not told yet; nor is half a character. */
static size_t certain_length(const struct writer *w)
{
    size_t len = w->out->text.len;
    if (w->ended || w->longest_stop == 0)
        return len;
    len = len >= w->longest_stop ? len - (w->longest_stop - 1) : 0;
    while (len > 0 && ((unsigned char)w->out->text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static void take_token(struct writer *w, int32_t token, double log_p)
{
    struct engine_completion *out = w->out;
    size_t n = out->tokens.len, from = out->text.len;
    engine_tokens_add(&out->tokens, token);
    if ((n & (n + 1)) == 0) /* grows by doubling */
        out->log_probabilities =
            xrealloc(out->log_probabilities, 2 * (n + 1) * sizeof *out->log_probabilities);
    out->log_probabilities[n] = log_p;
    out->log_probability += log_p;
    engine_tokens_add(&w->pending, token);
    struct str bytes = tokenizer_bytes(w->engine->tokenizer, token);
    engine_text_add(&w->bytes, bytes, &out->text);
    if (w->options->constraint)
        w->state = automaton_walk(constraint_automaton(w->options->constraint), w->state, bytes);
    look_for_stops(w, from);
    tell(w, certain_length(w));
}

static bool is_full(struct writer *w)
{
    size_t most = w->options->max_tokens ? w->options->max_tokens : MAX_TOKENS_DEFAULT;
    if (w->out->tokens.len < most)
        return false;
    end(w, ENGINE_ENDED_BY_LENGTH);
    return true;
}

/* ---- the loop */

static void take_forced(struct writer *w)
{
    if (!w->options->constraint || w->ended)
        return;
    AUTO(engine_tokens) struct engine_tokens forced = { 0 };
    constraint_forced(w->options->constraint, w->state, &forced);
    for (size_t i = 0; i < forced.len && !w->ended && !is_full(w); i++) {
        take_token(w, forced.ids[i], 0);
        w->out->n_forced++;
    }
    if (!w->ended && automaton_is_final(constraint_automaton(w->options->constraint), w->state))
        end(w, ENGINE_ENDED_BY_CONSTRAINT);
}

/* The logits behind all that is pending. */
static bool feed(struct writer *w, struct error **err)
{
    if (w->pending.len == 0)
        return engine_sequence_logits(w->engine, w->sequence, w->logits, NULL, err);
    struct engine_item item = { .sequence = w->sequence,
                                .tokens = w->pending.ids,
                                .count = w->pending.len,
                                .logits = w->logits,
                                .logits_from = w->pending.len - 1,
                                .priority = w->options->priority,
                                .cancel = w->options->cancel };
    if (engine_sequence_len(w->sequence) + w->pending.len > w->engine->info.context)
        return end(w, ENGINE_ENDED_BY_LENGTH), true;
    bool ok = engine_step(w->engine, &item, 1, err);
    w->pending.len = 0;
    return ok;
}

static bool write_one(struct writer *w, struct error **err)
{
    int32_t token = 0;
    if (is_full(w))
        return true;
    if (!feed(w, err))
        return false;
    if (w->ended)
        return true;
    if (!choose(w, &token, err))
        return false;
    if (engine_token_is_end(w->engine, token))
        return end(w, ENGINE_ENDED_BY_MODEL), true;
    take_token(w, token, log_probability(w, token));
    return true;
}

static bool write_all(struct writer *w, struct error **err)
{
    take_forced(w);
    while (!w->ended) {
        if (!write_one(w, err))
            return false;
        take_forced(w);
    }
    if (w->out->end != ENGINE_ENDED_BY_STOP && w->out->end != ENGINE_ENDED_BY_CALLER) {
        size_t from = w->out->text.len;
        engine_text_end(&w->bytes, &w->out->text);
        look_for_stops(w, from);
    }
    if (w->out->end != ENGINE_ENDED_BY_CALLER)
        tell(w, w->out->text.len);
    return true;
}

bool engine_complete(struct engine *engine, struct engine_sequence *sequence,
                     const struct engine_complete_options *options, struct engine_completion *completion,
                     struct error **err)
{
    static const struct engine_complete_options defaults = { 0 };
    *completion = (struct engine_completion){ 0 };
    struct writer w = { .engine = engine,
                        .sequence = sequence,
                        .options = options ? options : &defaults,
                        .out = completion,
                        .vocab = engine->info.vocab,
                        .state = AUTOMATON_START };
    if (!(w.options->temperature >= 0) || !(w.options->top_p >= 0 && w.options->top_p <= 1))
        return error_set(err, ERROR_INVALID, "temperature must be 0 or more, top_p from 0 to 1");
    if (engine_sequence_len(sequence) == 0)
        return error_set(err, ERROR_INVALID, "nothing to write on behind: the sequence is empty");
    w.rng.state = w.options->seed;
    for (size_t i = 0; i < w.options->n_stops; i++)
        w.longest_stop = MAX(w.longest_stop, w.options->stops[i].len);
    w.logits = malloc(w.vocab * sizeof *w.logits);
    w.candidates = malloc(w.vocab * sizeof *w.candidates);
    bool ok = w.logits && w.candidates ? write_all(&w, err)
                                       : error_set(err, ERROR_NO_MEMORY, "no memory for %zu logits", w.vocab);
    free(w.logits), free(w.candidates);
    engine_tokens_free(&w.pending);
    if (!ok)
        engine_completion_free(completion);
    return ok;
}

void engine_completion_free(struct engine_completion *completion)
{
    strbuf_free(&completion->text);
    engine_tokens_free(&completion->tokens);
    free(completion->log_probabilities);
    *completion = (struct engine_completion){ 0 };
}
