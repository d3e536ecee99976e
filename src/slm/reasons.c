#include "slm/reasons.h"

#include <math.h>
#include <stdio.h>

#include "slm/prior.h"

enum { WORDS_SHOWN = 4, FACTORS_MAX = ARRAY_LEN(((struct decision *)0)->factors) };

const char *const evidence_names[EVIDENCE_COUNT] = { "trie", "head", "prior", "runbook", "history", "remote" };

static void add_factor(struct decision *decision, const char *name, double value)
{
    if (decision->factor_count < FACTORS_MAX)
        decision->factors[decision->factor_count++] = (struct factor){ name, value };
}

/* Each source's probability of the first action, and the words that moved the prior most. */
static void give_factors(struct arena *arena, const struct layer *prior, const struct feature_list *features,
                         struct decision *decision)
{
    for (int s = 0; s < EVIDENCE_COUNT; s++)
        if (!isnan(decision->evidence[s][0]))
            add_factor(decision, evidence_names[s], exp(decision->evidence[s][decision->ranked_first]));
    add_factor(decision, "fused", decision->probabilities[decision->ranked_first]);
    struct prior_word words[8];
    size_t count = prior ? prior_explain(prior, features, decision->ranked_first, words, ARRAY_LEN(words)) : 0;
    for (size_t i = 0; i < count; i++)
        add_factor(decision, arena_printf(arena, "word:" STR_FMT, STR_ARG(words[i].name)), words[i].weight);
}

static void give_alternatives(struct decision *decision)
{
    uint32_t left = decision->feasible & ~BIT(decision->ranked_first);
    while (decision->alternative_count < ARRAY_LEN(decision->alternatives) && left) {
        int best = -1;
        for (int a = 0; a < ACTION_COUNT; a++)
            if (left & BIT(a) && (best < 0 || decision->probabilities[a] > decision->probabilities[best]))
                best = a;
        if (decision->probabilities[best] < 0.01)
            return;
        decision->alternatives[decision->alternative_count++] = (enum action)best;
        left &= ~BIT(best);
    }
}

/* "crash, loop, restart": whole words only, without the marks of where they stand. */
static const char *telling_words(struct arena *arena, const struct layer *prior, const struct feature_list *features,
                                 enum action action)
{
    struct prior_word words[24];
    size_t count = prior ? prior_explain(prior, features, action, words, ARRAY_LEN(words)) : 0, shown = 0;
    AUTO(strbuf) struct strbuf text = { 0 };
    for (size_t i = 0; i < count && shown < WORDS_SHOWN && words[i].weight > 0; i++) {
        if (str_find(words[i].name, STR(":"), NULL) || str_find(words[i].name, STR("#"), NULL))
            continue;
        strbuf_addf(&text, "%s\"", shown++ ? ", " : "");
        for (size_t k = 0; k < words[i].name.len; k++)
            strbuf_add_char(&text, words[i].name.ptr[k] == '_' ? ' ' : words[i].name.ptr[k]);
        strbuf_add_char(&text, '"');
    }
    return shown ? arena_text(arena, strbuf_str(&text)) : NULL;
}

static const char *history_of(struct arena *arena, const struct slm_context *context, enum action action)
{
    if (!context || !context->past_count)
        return "Nothing is known of earlier actions on this target.";
    size_t same = 0, helped = 0, known = 0;
    for (size_t i = 0; i < context->past_count; i++) {
        if (context->past[i].action != action)
            continue;
        same++;
        known += !isnan(context->past[i].effectiveness);
        helped += !isnan(context->past[i].effectiveness) && context->past[i].effectiveness >= 0.5;
    }
    return arena_printf(arena, "%zu earlier actions on this target, %zu of them %s; of %zu assessed %zu helped.",
                        context->past_count, same, action_name(action), known, helped);
}

void reasons_give(struct arena *arena, const struct slm_question *question, const struct layer *prior,
                  const struct feature_list *features, const char *why_abstained, struct decision *decision)
{
    const struct slm_context *context = question->context;
    const struct action_info *info = &actions[decision->ranked_first];
    const char *words = telling_words(arena, prior, features, decision->ranked_first);
    decision->primary_reason =
        words ? arena_printf(arena, "The alert speaks of %s. %s is right when %s.", words, info->name, info->when)
              : arena_printf(arena, "%s is right when %s.", info->name, info->when);
    decision->historical_context = history_of(arena, context, decision->ranked_first);
    decision->oscillation_risk = !context || !context->pattern.len
                                     ? "none known"
                                     : arena_printf(arena, "%s: " STR_FMT, risk_name(context->oscillation_risk),
                                                    STR_ARG(context->pattern));
    give_alternatives(decision);
    give_factors(arena, prior, features, decision);
    decision->summary =
        decision->abstained
            ? arena_printf(arena, "Nothing is done: %s. The likeliest action was %s (%.0f %%).", why_abstained,
                           info->name, 100 * decision->confidence)
            : arena_printf(arena, "%s, which %s, with %.0f %% confidence.", info->name, info->does,
                           100 * decision->confidence);
}
