/* The room's door: opens what decisions are made with, and asks it. */
#include "slm/slm.h"

#include <stdlib.h>
#include <string.h>

#include "slm/decide.h"
#include "slm/files.h"
#include "slm/head.h"
#include "slm/prompt.h"

struct slm {
    struct deciders deciders;                     /* read-only once open */
    struct layer *prior, *head;
    struct fusion *fusion;
    struct embedded *embedded;
    struct runbooks *runbooks;
    int provider;
    char *model, *model_sha256, *why_no_model;
    double load_seconds;
};

static const char *const provider_names[] = { "embedded", "openai", "ollama", "none" };

static void open_model(struct slm *slm, const struct config *config)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = files_model_path(config), *cache = files_cache_directory(config);
    int64_t began = clock_mono_us();
    struct engine_options options = { .isa = config->slm.isa[0] ? config->slm.isa : NULL,
                                      .cache_dir = file_make_directories(cache, NULL) ? cache : NULL,
                                      .threads = (unsigned)config->slm.threads,
                                      .context = (unsigned)config->slm.max_context_size };
    slm->embedded = embedded_open(path, &options, &err);
    if (!slm->embedded) {
        slm->why_no_model = xasprintf("no model: %s", error_message(err));
        log_warn("the model cannot be used: decisions come from the prior alone", KV("model", slm->model),
                 KV("error", error_message(err)), KV("try", "make model"));
        return;
    }
    const char *sha256 = engine_sha256(embedded_engine(slm->embedded), NULL);
    slm->model_sha256 = xstrdup(sha256 ? sha256 : "");
    AUTO(text) char *note = head_note(slm->model_sha256, prompt_sha256());
    slm->head = files_head(slm->model, note);
    slm->fusion = files_fusion(slm->model, note);
    slm->load_seconds = (double)(clock_mono_us() - began) / 1e6;
    log_info("model loaded", KV("model", slm->model), KV_NUM("seconds", slm->load_seconds),
             KV_BOOL("head", slm->head != NULL));
}

struct slm *slm_open(const struct config *config, struct error **err)
{
    struct slm *slm = xcalloc(1, sizeof *slm);
    slm->provider = config->slm.provider;
    slm->model = files_model_name(config);
    slm->prior = files_prior();
    slm->runbooks = runbooks_open(config->slm.runbook_dir, err);
    if (!slm->runbooks) {
        slm_close(slm);
        return NULL;
    }
    if (slm->provider == CONFIG_PROVIDER_EMBEDDED)
        open_model(slm, config);
    if (!slm->fusion)
        slm->fusion = files_fusion("", "");
    if (!slm->model_sha256)
        slm->model_sha256 = xstrdup("");
    slm->deciders = (struct deciders){ .embedded = slm->embedded,
                                       .prior = slm->prior,
                                       .head = slm->head,
                                       .fusion = slm->fusion,
                                       .runbooks = slm->runbooks,
                                       .confidence_threshold = config->slm.confidence_threshold };
    return slm;
}

void slm_close(struct slm *slm)
{
    if (!slm)
        return;
    embedded_close(slm->embedded);
    runbooks_close(slm->runbooks);
    layer_free(slm->prior);
    layer_free(slm->head);
    fusion_free(slm->fusion);
    free(slm->model);
    free(slm->model_sha256);
    free(slm->why_no_model);
    free(slm);
}

static void sign(const struct slm *slm, bool asked, int64_t began_us, struct decision *decision)
{
    decision->provider = asked ? provider_names[slm->provider] : "none";
    decision->model = asked ? slm->model : "prior";
    decision->model_sha256 = asked ? slm->model_sha256 : "";
    decision->latency_us = clock_mono_us() - began_us;
}

void slm_decide(struct slm *slm, struct arena *arena, const struct slm_question *question, struct decision *decision)
{
    slm_decide_batch(slm, arena, question, 1, decision);
}

struct ranked {
    size_t index;
    int priority;
};

static int by_priority(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->priority != y->priority ? y->priority - x->priority : (x->index > y->index) - (x->index < y->index);
}

/* So many sequences run together: more would only wait for the same arithmetic, and hold more of the cache. */
enum { TOGETHER = 8 };

static void decide_some(struct slm *slm, struct arena *arena, struct reading *readings, const struct ranked *ranked,
                        size_t count, struct decision *decisions, int64_t began_us)
{
    struct slm_question questions[TOGETHER];
    struct embedded_evidence evidence[TOGETHER] = { 0 };
    struct error *errors[TOGETHER] = { 0 };
    for (size_t i = 0; i < count; i++)
        questions[i] = readings[ranked[i].index].question;
    if (slm->embedded)
        embedded_ask_batch(slm->embedded, arena, questions, count, evidence, errors);
    for (size_t i = 0; i < count; i++) {
        size_t at = ranked[i].index;
        bool asked = evidence[i].sequence != NULL;
        const char *why_not = asked ? NULL : errors[i] ? error_message(errors[i]) : slm->why_no_model;
        decide(&slm->deciders, arena, &readings[at], asked ? &evidence[i] : NULL, why_not, &decisions[at]);
        sign(slm, asked, began_us, &decisions[at]);
        engine_sequence_free(evidence[i].sequence);
        error_free(errors[i]);
    }
}

void slm_decide_batch(struct slm *slm, struct arena *arena, const struct slm_question *questions, size_t count,
                      struct decision *decisions)
{
    int64_t began_us = clock_mono_us();
    struct reading *readings = ARENA_ARRAY(arena, struct reading, count);
    struct ranked *ranked = ARENA_ARRAY(arena, struct ranked, count);
    for (size_t i = 0; i < count; i++) {
        decide_read(arena, &questions[i], &readings[i]);
        ranked[i] = (struct ranked){ i, questions[i].priority };
    }
    qsort(ranked, count, sizeof *ranked, by_priority);
    for (size_t i = 0; i < count; i += TOGETHER)
        decide_some(slm, arena, readings, ranked + i, MIN(count - i, (size_t)TOGETHER), decisions, began_us);
}

struct slm_status slm_status(struct slm *slm)
{
    return (struct slm_status){ .model_loaded = slm->embedded != NULL,
                                .provider = provider_names[slm->provider],
                                .model = slm->model,
                                .model_sha256 = slm->model_sha256,
                                .head = slm->head ? slm->head->sha256 : "",
                                .detail = slm->why_no_model ? slm->why_no_model : "",
                                .load_seconds = slm->load_seconds,
                                .memory_bytes =
                                    slm->embedded ? engine_info(embedded_engine(slm->embedded))->memory.total : 0 };
}
