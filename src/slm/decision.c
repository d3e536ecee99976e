/* A decision as JSON, in the sources' form. */
#include "slm/slm.h"

#include <math.h>

#include <yyjson.h>

static void add_reasoning(const struct decision *d, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_val *reasoning = yyjson_mut_obj_add_obj(doc, root, "reasoning");
    yyjson_mut_obj_add_str(doc, reasoning, "primary_reason", d->primary_reason);
    yyjson_mut_obj_add_str(doc, reasoning, "historical_context", d->historical_context);
    yyjson_mut_obj_add_str(doc, reasoning, "oscillation_risk", d->oscillation_risk);
    yyjson_mut_obj_add_str(doc, reasoning, "summary", d->summary);
    yyjson_mut_val *alternatives = yyjson_mut_obj_add_arr(doc, reasoning, "alternative_actions");
    for (size_t i = 0; i < d->alternative_count; i++)
        yyjson_mut_arr_add_str(doc, alternatives, action_name(d->alternatives[i]));
    yyjson_mut_val *factors = yyjson_mut_obj_add_obj(doc, reasoning, "confidence_factors");
    for (size_t i = 0; i < d->factor_count; i++)
        yyjson_mut_obj_add_real(doc, factors, d->factors[i].name, d->factors[i].value);
}

static void add_probabilities(const struct decision *d, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_val *probabilities = yyjson_mut_obj_add_obj(doc, root, "probabilities");
    for (int a = 0; a < ACTION_COUNT; a++)
        if (d->feasible & BIT(a))
            yyjson_mut_obj_add_real(doc, probabilities, actions[a].name, d->probabilities[a]);
    yyjson_mut_val *evidence = yyjson_mut_obj_add_obj(doc, root, "evidence");
    for (int s = 0; s < EVIDENCE_COUNT; s++) {
        if (isnan(d->evidence[s][0]))
            continue;
        yyjson_mut_val *row = yyjson_mut_obj_add_obj(doc, evidence, evidence_names[s]);
        for (int a = 0; a < ACTION_COUNT; a++)
            yyjson_mut_obj_add_real(doc, row, actions[a].name, d->evidence[s][a]);
    }
}

static void add_origin(const struct decision *d, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    const struct {
        const char *name, *value;
    } rows[] = { { "provider", d->provider },
                 { "model", d->model },
                 { "model_sha256", d->model_sha256 },
                 { "prompt_sha256", d->prompt_sha256 },
                 { "head_sha256", d->head_sha256 },
                 { "prior_sha256", d->prior_sha256 },
                 { "fusion_sha256", d->fusion_sha256 },
                 { "calibration_sha256", d->calibration_sha256 },
                 { "dropped", d->dropped },
                 { "degraded", d->degraded } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        yyjson_mut_obj_add_str(doc, root, rows[i].name, rows[i].value ? rows[i].value : "");
    yyjson_mut_obj_add_bool(doc, root, "injection", d->injection);
    if (d->injection)
        yyjson_mut_obj_add_str(doc, root, "injection_text", d->injection_text);
    yyjson_mut_obj_add_bool(doc, root, "cached", d->cached);
    yyjson_mut_obj_add_real(doc, root, "latency_ms", (double)d->latency_us / 1000);
}

char *decision_json(const struct decision *d)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "decision_id", d->id);
    yyjson_mut_obj_add_str(doc, root, "action", action_name(d->action));
    yyjson_mut_obj_add_str(doc, root, "ranked_first", action_name(d->ranked_first));
    yyjson_mut_obj_add_bool(doc, root, "abstained", d->abstained);
    yyjson_doc *parameters = yyjson_read(d->parameters, strlen(d->parameters), 0);
    yyjson_mut_obj_add_val(doc, root, "parameters", yyjson_val_mut_copy(doc, yyjson_doc_get_root(parameters)));
    yyjson_mut_obj_add_real(doc, root, "confidence", d->confidence);
    add_reasoning(d, doc, root);
    add_probabilities(d, doc, root);
    add_origin(d, doc, root);
    char *text = yyjson_mut_write(doc, 0, NULL);
    yyjson_doc_free(parameters);
    yyjson_mut_doc_free(doc);
    return text;
}
