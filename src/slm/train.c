#include "slm/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "slm/decide.h"
#include "slm/fusion.h"
#include "slm/head.h"
#include "slm/lexical.h"
#include "slm/prior.h"
#include "slm/prompt.h"

enum { FOLDS_DEFAULT = 5 };

/* What is shared by the steps of one training. */
struct training {
    const struct train_options *options;
    struct scenario_list cleaned;
    const struct scenario_list *scenarios; /* the cleaned ones */
    struct arena *arena;
    size_t folds;
    uint8_t *fold;          /* [count], by rule */
    uint8_t *use;           /* [count], scratch: who is fitted on */
    struct harvest harvest; /* features NULL without a model */
    double l2;
    char *note;
    struct runbooks *runbooks;
    double (*evidence)[FUSED_SOURCES][ACTION_COUNT]; /* of each, by what was fitted without its rule */
    double (*target)[ACTION_COUNT];
    uint32_t *acceptable, *unsafe;
};

static void set_use(struct training *t, size_t left_out)
{
    for (size_t i = 0; i < t->scenarios->count; i++)
        t->use[i] = t->fold[i] != left_out && t->scenarios->items[i].labelled;
}

/* Alerts are learned from as decisions see them: made safe, and without what tries to instruct. */
static void clean(struct training *t, const struct scenario_list *given)
{
    t->cleaned = (struct scenario_list){ ARENA_ARRAY(t->arena, struct scenario, given->count), given->count,
                                         given->count };
    for (size_t i = 0; i < given->count; i++) {
        struct slm_question question = { .alert = &given->items[i].alert, .feasible = ACTION_SET_ALL };
        struct reading reading;
        decide_read(t->arena, &question, &reading);
        t->cleaned.items[i] = given->items[i];
        t->cleaned.items[i].alert = reading.alert;
    }
    t->scenarios = &t->cleaned;
}

static void prepare(struct training *t)
{
    clean(t, t->options->scenarios);
    size_t count = t->scenarios->count;
    struct dataset labels;
    dataset_new(&labels, count, 0, 1);
    t->fold = ARENA_ARRAY(t->arena, uint8_t, count);
    t->use = ARENA_ARRAY(t->arena, uint8_t, count);
    t->evidence = arena_calloc(t->arena, count, sizeof *t->evidence);
    t->target = arena_calloc(t->arena, count, sizeof *t->target);
    t->acceptable = ARENA_ARRAY(t->arena, uint32_t, count);
    t->unsafe = ARENA_ARRAY(t->arena, uint32_t, count);
    for (size_t i = 0; i < count; i++) {
        const struct scenario *scenario = &t->scenarios->items[i];
        t->fold[i] = (uint8_t)(str_hash(scenario->rule, 7) % t->folds);
        t->acceptable[i] = scenario->acceptable;
        t->unsafe[i] = scenario->unsafe;
        dataset_label(&labels, i, scenario);
        memcpy(t->target[i], labels.target[i], sizeof t->target[i]);
        for (int s = 0; s < FUSED_SOURCES; s++)
            t->evidence[i][s][0] = NAN;
    }
    dataset_free(&labels);
}

static void ask_texts(struct training *t, const struct layer *prior, size_t i)
{
    AUTO(arena) struct arena *arena = arena_new(1 << 18);
    struct runbook_passage passage;
    runbooks_ask(t->runbooks, arena, &t->scenarios->items[i].alert, t->evidence[i][EVIDENCE_RUNBOOK], &passage, 1);
    struct feature_list features = features_of_alert(arena, &t->scenarios->items[i].alert);
    prior_log_probabilities(prior, &features, t->evidence[i][EVIDENCE_PRIOR]);
}

/* Fit on all folds but one, and ask for the alerts of that one. */
static void ask_held_out(struct training *t, size_t left_out)
{
    set_use(t, left_out);
    AUTO(layer) struct layer *prior = prior_fit(t->scenarios, t->use);
    AUTO(layer) struct layer *head = NULL;
    if (t->harvest.features)
        head = head_fit(t->scenarios, t->harvest.features, t->harvest.dim, t->l2, t->use, "");
    for (size_t i = 0; i < t->scenarios->count; i++) {
        if (t->fold[i] != left_out)
            continue;
        ask_texts(t, prior, i);
        if (!head || !t->harvest.features[i])
            continue;
        layer_ask(head, t->harvest.features[i], t->evidence[i][EVIDENCE_HEAD]);
        memcpy(t->evidence[i][EVIDENCE_TRIE], t->harvest.trie[i], sizeof t->harvest.trie[i]);
        log_normalise(t->evidence[i][EVIDENCE_TRIE], ACTION_SET_ALL);
    }
}

static struct fusion *fuse(struct training *t, const uint8_t *use)
{
    return fusion_fit(&(struct fusion_data){ .count = t->scenarios->count,
                                             .evidence = t->evidence,
                                             .target = (const double(*)[ACTION_COUNT])t->target,
                                             .acceptable = t->acceptable,
                                             .unsafe = t->unsafe,
                                             .use = use },
                      t->note);
}

/* The report's decisions: fused and calibrated, too, by what did not see their rules. */
static void judge(struct training *t, struct report *report)
{
    for (size_t fold = 0; fold < t->folds; fold++) {
        set_use(t, fold);
        AUTO(fusion) struct fusion *fusion = fuse(t, t->use);
        for (size_t i = 0; i < t->scenarios->count; i++) {
            const struct scenario *scenario = &t->options->scenarios->items[i];
            bool wanted = !t->options->is_judged || t->options->is_judged(scenario, t->options->context);
            if (t->fold[i] != fold || !scenario->labelled || !wanted)
                continue;
            struct judged judged = { .scenario = scenario };
            judged.ranked_first =
                fusion_apply(fusion, t->evidence[i], NULL, ACTION_SET_ALL, judged.probabilities);
            judged.confidence = fusion_calibrate(fusion, judged.probabilities[judged.ranked_first]);
            judged.abstained = judged.confidence < t->options->confidence_threshold;
            report_add(report, &judged);
        }
    }
}

static bool save_all(struct training *t, const struct layer *prior, const struct layer *head,
                     const struct fusion *fusion, struct error **err)
{
    const char *dir = t->options->out_dir, *model = t->options->model_name;
    AUTO(text) char *prior_path = xasprintf("%s/prior.layer", dir);
    AUTO(text) char *head_path = xasprintf("%s/%s.head", dir, model);
    AUTO(text) char *fusion_path = xasprintf("%s/%s.fusion.json", dir, model);
    return file_make_directories(dir, err) && layer_save(prior, prior_path, err) &&
           (!head || layer_save(head, head_path, err)) && fusion_save(fusion, fusion_path, err);
}

static bool harvest(struct training *t, struct embedded *embedded, struct error **err)
{
    const char *sha256 = engine_sha256(embedded_engine(embedded), err);
    if (!sha256 ||
        !harvest_take(embedded, t->arena, t->scenarios, t->options->read_at_most, t->options->cache_dir,
                      t->options->progress, t->options->context, &t->harvest, err))
        return false;
    t->note = head_note(sha256, prompt_sha256());
    t->l2 = head_choose_l2(t->scenarios, t->harvest.features, t->harvest.dim);
    log_info("head's penalty chosen", KV_NUM("l2", t->l2));
    return true;
}

static bool run(struct training *t, struct embedded *embedded, struct report *result, struct error **err)
{
    prepare(t);
    if (embedded && !harvest(t, embedded, err))
        return false;
    if (!t->note)
        t->note = xstrdup("no model");
    for (size_t fold = 0; fold < t->folds; fold++) {
        ask_held_out(t, fold);
        log_info("fold fitted", KV_INT("fold", (int64_t)fold + 1), KV_INT("of", (int64_t)t->folds));
    }
    judge(t, result);
    result->model = t->options->model_name;

    set_use(t, t->folds);
    AUTO(fusion) struct fusion *fusion = fuse(t, t->use);
    AUTO(layer) struct layer *prior = prior_fit(t->scenarios, t->use);
    AUTO(layer) struct layer *head = NULL;
    if (t->harvest.features)
        head = head_fit(t->scenarios, t->harvest.features, t->harvest.dim, t->l2, t->use, t->note);
    return save_all(t, prior, head, fusion, err);
}

bool train(struct embedded *embedded, const struct train_options *options, struct report *result,
           struct error **err)
{
    if (!options->scenarios->count)
        return error_set(err, ERROR_INVALID, "there are no scenarios to learn from");
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct training t = { .options = options,
                          .arena = arena,
                          .folds = options->folds ? options->folds : FOLDS_DEFAULT };
    t.runbooks = runbooks_open(NULL, err);
    bool ok = t.runbooks && run(&t, embedded, result, err);
    runbooks_close(t.runbooks);
    free(t.note);
    return ok;
}
