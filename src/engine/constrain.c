/* Token masks over an automaton.
 *
 * The vocabulary's tokens lie sorted by their bytes, with the length of the beginning that each shares with the one
 * before. A mask is one walk over that list: the automaton's states along the current token stay on a stack, so that a
 * shared beginning is walked once, and a dead one is passed over with all that begin with it. Masks are made when a state
 * is first met, and kept. */
#include "engine/constrain.h"

#include <pthread.h>
#include <stdlib.h>

struct engine_constraint {
    const struct tokenizer *tokenizer;
    struct automaton *automaton;
    const struct sorted_tokens *sorted; /* the tokenizer's */
    size_t words;
    pthread_mutex_t lock; /* guards masks and states */
    uint64_t **masks;     /* [n_states]; NULL: not asked for yet */
    uint32_t *states;     /* [sorted->longest + 1]: the stack of a walk */
};

struct engine_constraint *constraint_new_take(const struct tokenizer *tokenizer,
                                              struct automaton *automaton_take, struct error **err)
{
    if (!automaton_take)
        return NULL;
    struct engine_constraint *c = xcalloc(1, sizeof *c);
    c->tokenizer = tokenizer;
    c->automaton = automaton_take;
    pthread_mutex_init(&c->lock, NULL);
    c->words = (tokenizer_count(tokenizer) + 63) / 64;
    c->masks = xcalloc(c->automaton->n_states, sizeof *c->masks);
    c->sorted = tokenizer_sorted(tokenizer, err);
    if (!c->sorted) {
        engine_constraint_free(c);
        return NULL;
    }
    c->states = xcalloc(c->sorted->longest + 1, sizeof *c->states);
    return c;
}

void engine_constraint_free(struct engine_constraint *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->automaton->n_states; i++)
        free(c->masks[i]);
    automaton_free(c->automaton);
    pthread_mutex_destroy(&c->lock);
    free(c->masks), free(c->states), free(c);
}

bool engine_constraint_matches(const struct engine_constraint *c, struct str text)
{
    return automaton_matches(c->automaton, text);
}

const struct automaton *constraint_automaton(const struct engine_constraint *c)
{
    return c->automaton;
}

/* states[d] is the automaton's state after d bytes of the current token; `alive` of them are not DEAD. */
static size_t walk_vocabulary(struct engine_constraint *c, uint32_t state, uint64_t *mask)
{
    size_t alive = 0, n_allowed = 0;
    c->states[0] = state;
    for (size_t i = 0; i < c->sorted->count; i++) {
        const struct sorted_token *sorted = &c->sorted->tokens[i];
        if (sorted->shared > alive)
            continue; /* dead where the one before was */
        struct str bytes = tokenizer_bytes(c->tokenizer, sorted->token);
        for (alive = sorted->shared; alive < bytes.len; alive++) {
            uint32_t next = automaton_next(c->automaton, c->states[alive], (unsigned char)bytes.ptr[alive]);
            if (next == AUTOMATON_DEAD)
                break;
            c->states[alive + 1] = next;
        }
        if (alive == bytes.len) {
            mask[sorted->token / 64] |= 1ull << sorted->token % 64;
            n_allowed++;
        }
    }
    return n_allowed;
}

static size_t allow_ends(const struct engine_constraint *c, uint64_t *mask)
{
    size_t n = 0;
    for (size_t i = 0; i < tokenizer_count(c->tokenizer); i++)
        if (tokenizer_is_end(c->tokenizer, (int32_t)i)) {
            mask[i / 64] |= 1ull << i % 64;
            n++;
        }
    return n;
}

static uint64_t *new_mask(struct engine_constraint *c, uint32_t state, struct error **err)
{
    uint64_t *mask = calloc(c->words + 1, sizeof *mask);
    if (!mask) {
        error_set(err, ERROR_NO_MEMORY, "no memory for a mask of %zu tokens", tokenizer_count(c->tokenizer));
        return NULL;
    }
    size_t n_allowed = walk_vocabulary(c, state, mask);
    if (c->automaton->accepts[state])
        n_allowed += allow_ends(c, mask);
    if (n_allowed == 0) {
        free(mask);
        error_set(err, ERROR_INVALID, "no token of the vocabulary can continue what the constraint wants");
        return NULL;
    }
    return mask;
}

const uint64_t *constraint_mask(struct engine_constraint *c, uint32_t state, struct error **err)
{
    pthread_mutex_lock(&c->lock);
    if (!c->masks[state])
        c->masks[state] = new_mask(c, state, err);
    const uint64_t *mask = c->masks[state];
    pthread_mutex_unlock(&c->lock);
    return mask;
}

uint32_t constraint_forced(const struct engine_constraint *c, uint32_t state, struct engine_tokens *tokens)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    uint32_t end = automaton_forced(c->automaton, state, &text);
    size_t first = tokens->len;
    if (text.len == 0 || !tokenizer_encode(c->tokenizer, strbuf_str(&text), 0, tokens, NULL))
        return state;
    if (!automaton_is_final(c->automaton, end) && tokens->len > first)
        tokens->len--;
    for (size_t i = first; i < tokens->len; i++) {
        uint32_t next = automaton_walk(c->automaton, state, tokenizer_bytes(c->tokenizer, tokens->ids[i]));
        if (next == AUTOMATON_DEAD) { /* SentencePiece's blank in front, or a token without bytes */
            tokens->len = i;
            break;
        }
        state = next;
    }
    return state;
}
