#include "slm/embedded.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "slm/prompt.h"

/* What the model's answer begins with: the next tokens are an action's name and the closing quote. */
static const struct str answer_start = STR("{\"action\":\"");

struct embedded {
    struct engine *engine;       /* locks itself */
    struct engine_tokens system; /* the system message; none where a second cannot be added to it */
    struct engine_tokens prefix; /* the conversation up to where the variable part begins */
    struct engine_tokens answer; /* answer_start */
    struct engine_tokens names[ACTION_COUNT]; /* name and closing quote */
    uint32_t context;

    pthread_mutex_t lock;         /* guards `read`: forking it */
    struct engine_sequence *read; /* the prefix, read */
};

static bool read_system(struct embedded *embedded, struct error **err)
{
    struct engine_message system = { "system", prompt_system() };
    return !engine_chat_can_add(embedded->engine, NULL) ||
           engine_chat(embedded->engine, NULL, &system, 1, false, &embedded->system, err);
}

/* The conversation's tokens with `user` as the variable part; the system message, some 1,150 tokens that are always
 * the same, is not tokenized again where the model's format allows that. */
static bool conversation(const struct embedded *embedded, struct str user, struct engine_tokens *tokens,
                         struct error **err)
{
    struct engine_message messages[] = { { "system", prompt_system() }, { "user", user } };
    for (size_t i = 0; i < embedded->system.len; i++)
        engine_tokens_add(tokens, embedded->system.ids[i]);
    if (embedded->system.len)
        return engine_chat_add(embedded->engine, NULL, &messages[1], true, tokens, err);
    return engine_chat(embedded->engine, NULL, messages, ARRAY_LEN(messages), true, tokens, err);
}

/* Where two conversations that differ in their variable part begin to differ is where the static part ends; a few
 * tokens less, since the last may have merged with what follows it. */
static bool find_prefix(struct embedded *embedded, struct error **err)
{
    AUTO(engine_tokens) struct engine_tokens other = { 0 };
    if (!conversation(embedded, STR("The alert:"), &embedded->prefix, err) ||
        !conversation(embedded, STR("#"), &other, err))
        return false;
    size_t len = 0;
    while (len < MIN(embedded->prefix.len, other.len) && embedded->prefix.ids[len] == other.ids[len])
        len++;
    embedded->prefix.len = len;
    return true;
}

static bool tokenize_names(struct embedded *embedded, struct error **err)
{
    if (!engine_tokenize(embedded->engine, answer_start, 0, &embedded->answer, err))
        return false;
    for (int a = 0; a < ACTION_COUNT; a++) {
        AUTO(text) char *text = xasprintf("%s\"", actions[a].name);
        if (!engine_tokenize(embedded->engine, str_of(text), 0, &embedded->names[a], err))
            return false;
    }
    return true;
}

struct embedded *embedded_open(const char *path, const struct engine_options *options, struct error **err)
{
    AUTO(embedded) struct embedded *embedded = xcalloc(1, sizeof *embedded);
    pthread_mutex_init(&embedded->lock, NULL);
    embedded->engine = engine_open(path, options, err);
    if (!embedded->engine || !read_system(embedded, err) || !find_prefix(embedded, err) ||
        !tokenize_names(embedded, err))
        return NULL;
    embedded->context = engine_info(embedded->engine)->context;
    embedded->read =
        engine_prefix_open(embedded->engine, embedded->prefix.ids, embedded->prefix.len, NULL, err);
    return embedded->read ? STEAL(embedded) : NULL;
}

void embedded_close(struct embedded *embedded)
{
    if (!embedded)
        return;
    engine_sequence_free(embedded->read);
    engine_tokens_free(&embedded->system);
    engine_tokens_free(&embedded->prefix);
    engine_tokens_free(&embedded->answer);
    for (int a = 0; a < ACTION_COUNT; a++)
        engine_tokens_free(&embedded->names[a]);
    engine_close(embedded->engine);
    pthread_mutex_destroy(&embedded->lock);
    free(embedded);
}

struct engine *embedded_engine(struct embedded *embedded)
{
    return embedded->engine;
}

size_t embedded_feature_count(const struct embedded *embedded)
{
    return 2 * (size_t)engine_info(embedded->engine)->dim;
}

/* Room that the answer needs behind the prompt: the trie is shallow, parameters and reasoning are bounded. */
enum { ANSWER_ROOM = 256 };

/* The prompt with as many parts of the context as fit, the least valuable dropped first. */
static bool fit_prompt(struct embedded *embedded, struct arena *arena, const struct slm_question *question,
                       struct engine_tokens *tokens, unsigned *dropped, struct error **err)
{
    unsigned parts = prompt_parts_present(question);
    *dropped = 0;
    for (int last = PROMPT_PART_COUNT - 1;; last--) {
        tokens->len = 0;
        if (!conversation(embedded, prompt_user(arena, question, parts), tokens, err))
            return false;
        for (size_t i = 0; i < embedded->answer.len; i++)
            engine_tokens_add(tokens, embedded->answer.ids[i]);
        if (tokens->len + ANSWER_ROOM <= embedded->context)
            return true;
        while (last > PROMPT_ALERT && !(parts & BIT(last)))
            last--;
        if (last == PROMPT_ALERT)
            return error_set(err, ERROR_LIMIT, "the alert alone takes %zu tokens of the model's %u",
                             tokens->len, embedded->context);
        parts &= ~BIT(last);
        *dropped |= BIT(last);
    }
}

static struct engine_sequence *fork_prefix(struct embedded *embedded, struct error **err)
{
    pthread_mutex_lock(&embedded->lock);
    struct engine_sequence *sequence = engine_sequence_fork(embedded->read, err);
    pthread_mutex_unlock(&embedded->lock);
    return sequence;
}

/* One question between being laid out and being answered. */
struct asking {
    struct engine_tokens tokens;
    struct engine_item item;
};

static void asking_cleanup(struct asking *asking)
{
    engine_tokens_free(&asking->tokens);
}

static bool lay_out(struct embedded *embedded, struct arena *arena, const struct slm_question *question,
                    struct asking *asking, struct embedded_evidence *evidence, struct error **err)
{
    if (question->deadline_ms && clock_mono_ms() >= question->deadline_ms)
        return error_set(err, ERROR_TIMEOUT, "no time was left to ask the model");
    if (!fit_prompt(embedded, arena, question, &asking->tokens, &evidence->dropped, err))
        return false;
    size_t dim = engine_info(embedded->engine)->dim, len = asking->tokens.len, skip = embedded->prefix.len;
    int32_t *tokens = ARENA_ARRAY(arena, int32_t, len);
    memcpy(tokens, asking->tokens.ids, len * sizeof *tokens);
    evidence->tokens = tokens;
    evidence->token_count = len;
    evidence->features = ARENA_ARRAY(arena, float, 2 * dim);
    evidence->sequence = fork_prefix(embedded, err);
    asking->item = (struct engine_item){ .sequence = evidence->sequence,
                                         .tokens = tokens + skip,
                                         .count = len - skip,
                                         .hidden = evidence->features,
                                         .hidden_from = len - skip - 1,
                                         .hidden_mean = evidence->features + dim,
                                         .priority = question->priority };
    return evidence->sequence != NULL;
}

static bool choose_names(struct embedded *embedded, struct embedded_evidence *evidence, struct error **err)
{
    struct engine_choice choices[ACTION_COUNT];
    for (int a = 0; a < ACTION_COUNT; a++)
        choices[a] = (struct engine_choice){ embedded->names[a].ids, embedded->names[a].len, 0 };
    if (!engine_choose(embedded->engine, evidence->sequence, choices, ACTION_COUNT, err))
        return false;
    for (int a = 0; a < ACTION_COUNT; a++)
        evidence->trie[a] = choices[a].log_probability;
    return true;
}

static bool forget(struct embedded_evidence *evidence)
{
    engine_sequence_free(STEAL(evidence->sequence));
    return false;
}

bool embedded_ask(struct embedded *embedded, struct arena *arena, const struct slm_question *question,
                  struct embedded_evidence *evidence, struct error **err)
{
    AUTO(asking) struct asking asking = { 0 };
    *evidence = (struct embedded_evidence){ 0 };
    return (lay_out(embedded, arena, question, &asking, evidence, err) &&
            engine_step(embedded->engine, &asking.item, 1, err) && choose_names(embedded, evidence, err)) ||
           forget(evidence);
}

void embedded_ask_batch(struct embedded *embedded, struct arena *arena, const struct slm_question *questions,
                        size_t count, struct embedded_evidence *evidence, struct error **errors)
{
    struct asking *asking = xcalloc(count, sizeof *asking);
    struct engine_item *items = xcalloc(count, sizeof *items);
    size_t laid_out = 0;
    for (size_t i = 0; i < count; i++) {
        evidence[i] = (struct embedded_evidence){ 0 };
        if (lay_out(embedded, arena, &questions[i], &asking[i], &evidence[i], &errors[i]))
            items[laid_out++] = asking[i].item;
        else
            forget(&evidence[i]);
    }
    struct error *failed = NULL;
    bool stepped = !laid_out || engine_step(embedded->engine, items, laid_out, &failed);
    for (size_t i = 0; i < count; i++) {
        if (evidence[i].sequence && !stepped)
            error_set(&errors[i], error_code(failed), "%s", error_message(failed));
        if (evidence[i].sequence && (!stepped || !choose_names(embedded, &evidence[i], &errors[i])))
            forget(&evidence[i]);
        asking_cleanup(&asking[i]);
    }
    error_free(failed);
    free(items);
    free(asking);
}
