#include "slm/ask_remote.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "slm/prompt.h"

enum { AT_A_TIME = 8 };
static const double UNSAID = 0.6, SURE = 0.99; /* a confidence that was not told; the most that is believed */

/* What the embedded model is not asked for: it gives probabilities, and reasons come from the evidence. */
static const char contract[] =
    "\n\nAlso give \"confidence\", a number from 0 to 1, and \"reasoning\": {\"primary_reason\": …, \"summary\": …}, each one "
    "sentence.";

static void ask_one(struct arena *arena, struct ask_remote_job *job)
{
    const struct slm_question *question = job->question;
    uint32_t held_back = question->context ? question->context->held_back : 0;
    struct str system = prompt_system();
    struct remote_request request = {
        .system = str_of(arena_printf(arena, STR_FMT "%s", STR_ARG(system), contract)),
        .user = prompt_user(arena, question, prompt_parts_present(question)),
        .feasible = (question->feasible & ~held_back & ACTION_SET_ALL) | BIT(ACTION_NOTIFY_ONLY),
        .bounds = question->bounds,
        .deadline_ms = question->deadline_ms
    };
    job->ok = remote_ask(job->remote, arena, &request, &job->answer, &job->err);
}

struct worker {
    pthread_t thread;
    bool started;
    struct arena *arena;
    struct ask_remote_job *job;
};

static void *work(void *context)
{
    struct worker *worker = context;
    ask_one(worker->arena, worker->job);
    return NULL;
}

static void keep(struct arena *arena, struct remote_answer *answer)
{
    answer->parameters = arena_strdup(arena, answer->parameters);
    answer->primary_reason = arena_strdup(arena, answer->primary_reason);
    answer->historical_context = arena_strdup(arena, answer->historical_context);
    answer->oscillation_risk = arena_strdup(arena, answer->oscillation_risk);
    answer->summary = arena_strdup(arena, answer->summary);
}

static void ask_some(struct arena *arena, struct ask_remote_job *jobs, size_t count)
{
    struct worker workers[AT_A_TIME];
    for (size_t i = 0; i < count; i++) {
        workers[i] = (struct worker){ .arena = arena_new(32 * 1024), .job = &jobs[i] };
        workers[i].started = count > 1 && pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
        if (!workers[i].started)
            work(&workers[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
        keep(arena, &jobs[i].answer);
        arena_free(workers[i].arena);
    }
}

void ask_remote_all(struct arena *arena, struct ask_remote_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i += AT_A_TIME)
        ask_some(arena, jobs + i, MIN(count - i, (size_t)AT_A_TIME));
}

struct fusion *ask_remote_fusion(const struct fusion *without_model)
{
    struct fusion *fusion = xcalloc(1, sizeof *fusion);
    for (unsigned set = BIT(EVIDENCE_TRIE); set < BIT(FUSED_SOURCES); set++)
        if ((set & BIT(EVIDENCE_TRIE)) && !(set & BIT(EVIDENCE_HEAD)))
            for (int source = 0; source < FUSED_SOURCES; source++)
                fusion->weights[set][source] = source == EVIDENCE_TRIE
                                                   ? 1
                                                   : without_model->weights[set & ~BIT(EVIDENCE_TRIE)][source] / 2;
    fusion->points = 2;
    fusion->to[1] = fusion->from[1] = 1;
    fusion->note = xstrdup("a model that nothing was fitted for");
    memcpy(fusion->sha256, without_model->sha256, sizeof fusion->sha256);
    return fusion;
}

static void evidence_of(const struct remote_answer *answer, double trie[ACTION_COUNT])
{
    double sure = isnan(answer->confidence) ? UNSAID : MIN(MAX(answer->confidence, 1.0 / ACTION_COUNT), SURE);
    for (int a = 0; a < ACTION_COUNT; a++)
        trie[a] = !isnan(answer->log_probabilities[0]) ? answer->log_probabilities[a]
                  : a == (int)answer->action           ? log(sure)
                                                       : log((1 - sure) / (ACTION_COUNT - 1));
}

void ask_remote_decide(const struct deciders *deciders, struct arena *arena, const struct reading *reading,
                       const struct remote_answer *answer, const char *failures, struct decision *decision)
{
    struct embedded_evidence evidence = { 0 };
    evidence_of(answer, evidence.trie);
    decide(deciders, arena, reading, &evidence, failures, decision);
    memcpy(decision->evidence[EVIDENCE_REMOTE], decision->evidence[EVIDENCE_TRIE], sizeof evidence.trie);
    decision->evidence[EVIDENCE_TRIE][0] = NAN;
    if (decision->action == answer->action && !decision->abstained)
        decision->parameters = answer->parameters;
    if (decision->ranked_first == answer->action && answer->summary && *answer->summary)
        decision->summary = answer->summary;
}
