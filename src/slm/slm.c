/* The room's door: opens what decisions are made with, and asks it. Questions go through the cache, then along their
 * chains (router.h) in rounds: in each round all that still have no answer ask the next model of their chain, embedded
 * ones in batches and servers side by side. What every model failed is answered by the last decision on the same
 * question, or else by what is known without a model. */
#include "slm/slm.h"

#include <stdlib.h>
#include <string.h>

#include "metrics/metrics.h"
#include "slm/ask_remote.h"
#include "slm/cache.h"
#include "slm/decide.h"
#include "slm/files.h"
#include "slm/model.h"
#include "slm/prompt.h"
#include "slm/router.h"

struct slm {
    struct router *router; /* read-only, as what follows, once open */
    struct model *models;  /* by a target's `embedded` */
    size_t model_count;
    struct layer *prior;
    struct runbooks *runbooks;                    /* locks itself */
    struct fusion *fusion, *remote_fusion; /* without a model; for models that nothing was fitted for */
    double confidence_threshold;
    int provider;
    char *model;
    struct decision_cache *cache; /* locks itself */
};

static const char *const provider_names[] = { "embedded", "openai", "ollama", "none" };

struct slm *slm_open(const struct config *config, struct error **err)
{
    struct runbooks *runbooks = runbooks_open(config->slm.runbook_dir, err);
    if (!runbooks)
        return NULL;
    struct slm *slm = xcalloc(1, sizeof *slm);
    slm->runbooks = runbooks;
    slm->provider = config->slm.provider;
    slm->model = files_model_name(config);
    slm->prior = files_prior();
    slm->fusion = files_fusion("", "");
    slm->remote_fusion = ask_remote_fusion(slm->fusion);
    slm->confidence_threshold = config->slm.confidence_threshold;
    slm->cache = decision_cache_new(config->slm.cache_ttl_ms);
    slm->router = router_new(config);
    slm->model_count = router_embedded_count(slm->router);
    slm->models = xcalloc(slm->model_count + 1, sizeof *slm->models);
    for (size_t i = 0; i < slm->model_count; i++)
        model_open(&slm->models[i], config, router_embedded_model(slm->router, i));
    return slm;
}

void slm_close(struct slm *slm)
{
    if (!slm)
        return;
    for (size_t i = 0; i < slm->model_count; i++)
        model_close(&slm->models[i]);
    router_free(slm->router);
    decision_cache_free(slm->cache);
    runbooks_close(slm->runbooks);
    layer_free(slm->prior);
    fusion_free(slm->fusion);
    fusion_free(slm->remote_fusion);
    free(slm->models);
    free(slm->model);
    free(slm);
}

/* ---- a batch --------------------------------------------------------------------------------------------------- */

enum { ALONE = -1 };

struct asked { /* one question of a batch */
    struct reading reading;
    struct cache_key key;
    const struct target *chain[ROUTER_CHAIN_MAX];
    size_t chain_count;
    size_t index; /* among the caller's */
    int same_as;  /* an earlier one of the batch with the same key, or ALONE */
    bool done;
    const char *failures; /* "default: why; other: why", NULL: none yet */
};

struct batch {
    struct slm *slm;
    struct arena *arena;
    struct asked *asked; /* by priority */
    size_t count;
    struct decision *decisions;
    int64_t began_us;
};

/* What the answer depends on: the prompt, which actions may be chosen within which bounds, and who is asked. */
static void make_key(struct arena *arena, struct asked *asked)
{
    const struct slm_question *question = &asked->reading.question;
    uint32_t held_back = question->context ? question->context->held_back : 0;
    struct sha256 *hash = sha256_new();
    sha256_add(hash, prompt_user(arena, question, prompt_parts_present(question)));
    sha256_add(hash, str_of(arena_printf(arena, "\n%s\n%x %x %d %s/%s\n", prompt_sha256(), question->feasible,
                                         held_back, (int)question->kind,
                                         question->namespace ? question->namespace : "",
                                         question->name ? question->name : "")));
    for (int a = 0; question->bounds && a < ACTION_COUNT; a++)
        for (size_t i = 0; i < question->bounds[a].count; i++) {
            const struct parameter_bounds *bounds = &question->bounds[a].bounds[i];
            sha256_add(hash, str_of(arena_printf(arena, "%d %s %lld %lld\n", a, bounds->parameter,
                                                 (long long)bounds->minimum, (long long)bounds->maximum)));
        }
    for (int a = 0; question->context && question->context->success && a < ACTION_COUNT; a++)
        sha256_add(hash, str_of(arena_printf(arena, "%a %a\n", question->context->success[a].rate,
                                             question->context->success[a].samples)));
    for (size_t i = 0; i < asked->chain_count; i++)
        sha256_add(hash,
                   str_of(arena_printf(arena, "%s %s\n", asked->chain[i]->name, asked->chain[i]->model)));
    sha256_end(hash, asked->key.hex);
}

static void say_failure(struct batch *batch, struct asked *asked, const struct target *target,
                        const char *why)
{
    const char *named =
        asked->chain_count > 1 ? arena_printf(batch->arena, "%s: %s", target->name, why) : why;
    asked->failures = asked->failures ? arena_printf(batch->arena, "%s; %s", asked->failures, named)
                                      : arena_strdup(batch->arena, named);
}

static void finish(struct batch *batch, struct asked *asked, const struct decision *decision)
{
    struct decision *out = &batch->decisions[asked->index];
    if (out != decision)
        *out = *decision;
    out->latency_us = clock_mono_us() - batch->began_us;
    asked->done = true;
    metric_observe(METRIC_SLM_ANALYSIS_DURATION, (double)out->latency_us / 1e6);
}

/* ---- embedded -------------------------------------------------------------------------------------------------- */

/* So many sequences run together: more would only wait for the same arithmetic, and hold more of the cache. */
enum { TOGETHER = 8 };

static struct deciders deciders_of(const struct slm *slm, const struct model *model)
{
    return (struct deciders){ .embedded = model ? model->embedded : NULL,
                              .prior = slm->prior,
                              .head = model ? model->head : NULL,
                              .fusion = model ? model->fusion : slm->fusion,
                              .runbooks = slm->runbooks,
                              .confidence_threshold = slm->confidence_threshold };
}

static void decide_embedded(struct batch *batch, struct asked *asked, const struct model *model,
                            struct embedded_evidence *evidence)
{
    struct decision *decision = &batch->decisions[asked->index];
    struct deciders deciders = deciders_of(batch->slm, model);
    decide(&deciders, batch->arena, &asked->reading, evidence, asked->failures, decision);
    decision->provider = "embedded";
    decision->model = model->name;
    decision->model_sha256 = model->sha256;
    finish(batch, asked, decision);
}

static void ask_together(struct batch *batch, struct asked *const *asked, size_t count,
                         const struct target *target)
{
    const struct model *model = &batch->slm->models[target->embedded];
    struct slm_question questions[TOGETHER];
    struct embedded_evidence evidence[TOGETHER] = { 0 };
    struct error *errors[TOGETHER] = { 0 };
    int64_t began_us = clock_mono_us();
    for (size_t i = 0; i < count; i++)
        questions[i] = asked[i]->reading.question;
    if (model->embedded)
        embedded_ask_batch(model->embedded, batch->arena, questions, count, evidence, errors);
    for (size_t i = 0; i < count; i++) {
        metric_inc(METRIC_SLM_API_CALLS, "embedded");
        if (evidence[i].sequence) {
            metric_observe(METRIC_SLM_REQUESTS_DURATION, (double)(clock_mono_us() - began_us) / 1e6,
                           model->label);
            metric_observe(METRIC_SLM_CONTEXT_TOKENS, (double)evidence[i].token_count, "embedded");
            decide_embedded(batch, asked[i], model, &evidence[i]);
        } else {
            metric_inc(METRIC_SLM_API_ERRORS, "embedded",
                       errors[i] ? error_code_name(error_code(errors[i])) : "no model");
            say_failure(batch, asked[i], target, errors[i] ? error_message(errors[i]) : model->why_not);
        }
        engine_sequence_free(evidence[i].sequence);
        error_free(errors[i]);
    }
}

static bool wants(const struct asked *asked, size_t round)
{
    return !asked->done && asked->same_as == ALONE && round < asked->chain_count;
}

static void ask_model(struct batch *batch, size_t round, size_t number)
{
    struct asked *group[TOGETHER];
    const struct target *target = NULL;
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct asked *asked = &batch->asked[i];
        if (!wants(asked, round) || asked->chain[round]->remote || asked->chain[round]->embedded != number)
            continue;
        target = asked->chain[round];
        group[count++] = asked;
        if (count == TOGETHER)
            ask_together(batch, group, count, target), count = 0;
    }
    if (count)
        ask_together(batch, group, count, target);
}

/* ---- servers --------------------------------------------------------------------------------------------------- */

static void decide_remote(struct batch *batch, struct asked *asked, const struct target *target,
                          const struct remote_answer *answer)
{
    struct decision *decision = &batch->decisions[asked->index];
    struct deciders deciders = deciders_of(batch->slm, NULL);
    deciders.fusion = batch->slm->remote_fusion;
    ask_remote_decide(&deciders, batch->arena, &asked->reading, answer, asked->failures, decision);
    decision->provider = remote_provider(target->remote);
    decision->model = target->model;
    decision->model_sha256 = "";
    finish(batch, asked, decision);
}

static void ask_servers(struct batch *batch, size_t round)
{
    struct ask_remote_job *jobs = ARENA_ARRAY(batch->arena, struct ask_remote_job, batch->count);
    struct asked **who = ARENA_ARRAY(batch->arena, struct asked *, batch->count);
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (wants(&batch->asked[i], round) && batch->asked[i].chain[round]->remote) {
            who[count] = &batch->asked[i];
            jobs[count++] = (struct ask_remote_job){ .remote = batch->asked[i].chain[round]->remote,
                                                     .question = &batch->asked[i].reading.question };
        }
    ask_remote_all(batch->arena, jobs, count);
    for (size_t i = 0; i < count; i++) {
        const struct target *target = who[i]->chain[round];
        if (jobs[i].ok)
            decide_remote(batch, who[i], target, &jobs[i].answer);
        else
            say_failure(batch, who[i], target, error_message(jobs[i].err));
        error_free(jobs[i].err);
    }
}

/* ---- without a model ------------------------------------------------------------------------------------------- */

static void decide_with_what_is_left(struct batch *batch, struct asked *asked)
{
    struct decision *decision = &batch->decisions[asked->index];
    int64_t age_ms;
    if (asked->failures &&
        decision_cache_last(batch->slm->cache, &asked->key, batch->arena, decision, &age_ms)) {
        decision->degraded =
            arena_printf(batch->arena, "%s; this is the decision of %lld s ago on the same question",
                         asked->failures, (long long)age_ms / 1000);
    } else {
        struct deciders deciders = deciders_of(batch->slm, NULL);
        decide(&deciders, batch->arena, &asked->reading, NULL, asked->failures, decision);
        decision->provider = "none";
        decision->model = "prior";
        decision->model_sha256 = "";
    }
    finish(batch, asked, decision);
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static int by_priority(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;
    int first = x->reading.question.priority, second = y->reading.question.priority;
    return first != second ? (second > first) - (second < first)
                           : (x->index > y->index) - (x->index < y->index);
}

static void read_all(struct batch *batch, const struct slm_question *questions)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct asked *asked = &batch->asked[i];
        *asked = (struct asked){ .index = i, .same_as = ALONE };
        decide_read(batch->arena, &questions[i], &asked->reading);
        asked->chain_count = router_chain(batch->slm->router, &asked->reading.alert, asked->chain);
        make_key(batch->arena, asked);
    }
    qsort(batch->asked, batch->count, sizeof *batch->asked, by_priority);
    for (size_t i = 0; i < batch->count; i++) /* sorting moved the alerts that the questions point to */
        batch->asked[i].reading.question.alert = &batch->asked[i].reading.alert;
}

/* Questions asked twice in one batch are decided once: to wait for oneself in the cache would take for ever. */
static void look_up(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct asked *asked = &batch->asked[i];
        for (size_t k = 0; k < i && asked->same_as == ALONE; k++)
            if (batch->asked[k].same_as == ALONE && !strcmp(batch->asked[k].key.hex, asked->key.hex))
                asked->same_as = (int)k;
        struct decision *decision = &batch->decisions[asked->index];
        if (asked->same_as == ALONE &&
            decision_cache_enter(batch->slm->cache, &asked->key, asked->reading.question.deadline_ms,
                                 batch->arena, decision)) {
            asked->chain_count = 0;
            finish(batch, asked, decision);
        }
    }
}

static void leave(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct asked *asked = &batch->asked[i];
        const struct decision *decision = &batch->decisions[asked->index];
        if (asked->same_as == ALONE && !decision->cached)
            decision_cache_leave(batch->slm->cache, &asked->key, decision);
        else if (asked->same_as == ALONE && *decision->degraded) /* a stale one stood in */
            decision_cache_leave(batch->slm->cache, &asked->key, NULL);
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct asked *asked = &batch->asked[i];
        if (asked->same_as == ALONE)
            continue;
        struct decision *decision = &batch->decisions[asked->index];
        *decision = batch->decisions[batch->asked[asked->same_as].index];
        ulid_new(decision->id);
        decision->cached = true;
        finish(batch, asked, decision);
    }
}

void slm_decide_batch(struct slm *slm, struct arena *arena, const struct slm_question *questions,
                      size_t count, struct decision *decisions)
{
    struct batch batch = { .slm = slm,
                           .arena = arena,
                           .asked = ARENA_ARRAY(arena, struct asked, count + 1),
                           .count = count,
                           .decisions = decisions,
                           .began_us = clock_mono_us() };
    read_all(&batch, questions);
    look_up(&batch);
    for (size_t round = 0; round < ROUTER_CHAIN_MAX; round++) {
        for (size_t number = 0; number < slm->model_count; number++)
            ask_model(&batch, round, number);
        ask_servers(&batch, round);
    }
    for (size_t i = 0; i < count; i++)
        if (!batch.asked[i].done && batch.asked[i].same_as == ALONE)
            decide_with_what_is_left(&batch, &batch.asked[i]);
    leave(&batch);
}

void slm_decide(struct slm *slm, struct arena *arena, const struct slm_question *question,
                struct decision *decision)
{
    slm_decide_batch(slm, arena, question, 1, decision);
}

struct slm_status slm_status(struct slm *slm)
{
    static const struct model none = { .sha256 = "" };
    const struct model *model = slm->provider == CONFIG_PROVIDER_EMBEDDED ? &slm->models[0] : &none;
    return (struct slm_status){
        .model_loaded = model->embedded != NULL,
        .provider = provider_names[slm->provider],
        .model = slm->model,
        .model_sha256 = model->sha256,
        .head = model->head ? model->head->sha256 : "",
        .detail = model->why_not ? model->why_not : "",
        .load_seconds = model->load_seconds,
        .memory_bytes = model->embedded ? engine_info(embedded_engine(model->embedded))->memory.total : 0
    };
}
