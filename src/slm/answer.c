/* What a remote model answers: its schema, and how it is read. Log-probabilities of the tokens that spell the action's
 * name give its probability, and the alternatives that each of those tokens had give the other actions': the mass of an
 * alternative is shared among the names that it could begin. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "slm/remote_internal.h"
#include "slm/sanitise.h"

enum { REASON_MAX = 600, OBJECTS_TRIED = 16 };
static const double UNSEEN = -20.0; /* ln of what an action gets whose name no alternative begins */

/* ---- the schema ------------------------------------------------------------------------------------------------ */

static void schema_text(yyjson_mut_doc *doc, yyjson_mut_val *properties, const char *name)
{
    yyjson_mut_obj_add_str(doc, yyjson_mut_obj_add_obj(doc, properties, name), "type", "string");
}

/* Parameters of different actions that share a name and not a schema are alternatives. */
static void merge_property(yyjson_mut_doc *doc, yyjson_mut_val *properties, yyjson_mut_val *name,
                           yyjson_mut_val *schema)
{
    yyjson_mut_val *old = yyjson_mut_obj_getn(properties, yyjson_mut_get_str(name), yyjson_mut_get_len(name));
    if (!old) {
        yyjson_mut_obj_put(properties, name, schema);
        return;
    }
    if (yyjson_mut_equals(old, schema))
        return;
    yyjson_mut_val *any = yyjson_mut_obj_get(old, "anyOf");
    if (!any) {
        yyjson_mut_val *both = yyjson_mut_obj(doc);
        any = yyjson_mut_obj_add_arr(doc, both, "anyOf");
        yyjson_mut_arr_append(any, yyjson_mut_val_mut_copy(doc, old));
        yyjson_mut_obj_put(properties,
                           yyjson_mut_strncpy(doc, yyjson_mut_get_str(name), yyjson_mut_get_len(name)), both);
    }
    yyjson_mut_arr_append(any, schema);
}

static yyjson_mut_val *parameters_schema(const struct remote_request *request, yyjson_mut_doc *doc)
{
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    yyjson_mut_val *properties = yyjson_mut_obj_add_obj(doc, schema, "properties"), *name, *one;
    for (int a = 0; a < ACTION_COUNT; a++) {
        if (!(request->feasible & BIT(a)))
            continue;
        yyjson_mut_val *of_action =
            action_schema((enum action)a, request->bounds ? &request->bounds[a] : NULL, doc);
        yyjson_mut_obj_iter iter = yyjson_mut_obj_iter_with(yyjson_mut_obj_get(of_action, "properties"));
        while ((name = yyjson_mut_obj_iter_next(&iter))) {
            one = yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_iter_get_val(name));
            merge_property(doc, properties,
                           yyjson_mut_strncpy(doc, yyjson_mut_get_str(name), yyjson_mut_get_len(name)), one);
        }
    }
    yyjson_mut_obj_add_bool(doc, schema, "additionalProperties", false);
    return schema;
}

yyjson_mut_val *remote_answer_schema(const struct remote_request *request, yyjson_mut_doc *doc)
{
    static const char *const reasons[] = { "primary_reason", "historical_context", "oscillation_risk",
                                           "summary" };
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    yyjson_mut_val *properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    yyjson_mut_val *action = yyjson_mut_obj_add_obj(doc, properties, "action");
    yyjson_mut_obj_add_str(doc, action, "type", "string");
    yyjson_mut_val *names = yyjson_mut_obj_add_arr(doc, action, "enum");
    for (int a = 0; a < ACTION_COUNT; a++)
        if (request->feasible & BIT(a))
            yyjson_mut_arr_add_str(doc, names, action_name((enum action)a));
    yyjson_mut_obj_add_val(doc, properties, "parameters", parameters_schema(request, doc));
    yyjson_mut_val *confidence = yyjson_mut_obj_add_obj(doc, properties, "confidence");
    yyjson_mut_obj_add_str(doc, confidence, "type", "number");
    yyjson_mut_obj_add_int(doc, confidence, "minimum", 0);
    yyjson_mut_obj_add_int(doc, confidence, "maximum", 1);
    yyjson_mut_val *reasoning = yyjson_mut_obj_add_obj(doc, properties, "reasoning");
    yyjson_mut_obj_add_str(doc, reasoning, "type", "object");
    yyjson_mut_val *texts = yyjson_mut_obj_add_obj(doc, reasoning, "properties");
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        schema_text(doc, texts, reasons[i]);
    yyjson_mut_obj_add_bool(doc, reasoning, "additionalProperties", false);
    yyjson_mut_val *required = yyjson_mut_obj_add_arr(doc, schema, "required");
    yyjson_mut_arr_add_str(doc, required, "action");
    yyjson_mut_arr_add_str(doc, required, "parameters");
    yyjson_mut_arr_add_str(doc, required, "confidence");
    yyjson_mut_obj_add_bool(doc, schema, "additionalProperties", false);
    return schema;
}

/* ---- log-probabilities ----------------------------------------------------------------------------------------- */

static struct str text_of(yyjson_val *value)
{
    return (struct str){ yyjson_get_str(value), yyjson_get_len(value) };
}

void remote_tokens_read(struct arena *arena, yyjson_val *list, struct remote_text *text)
{
    size_t i, k, max_i, max_k;
    yyjson_val *item, *other;
    text->tokens = ARENA_ARRAY(arena, struct token, yyjson_arr_size(list) + 1);
    yyjson_arr_foreach(list, i, max_i, item)
    {
        struct token *token = &text->tokens[text->token_count++];
        yyjson_val *top = yyjson_obj_get(item, "top_logprobs");
        token->text = arena_str(arena, text_of(yyjson_obj_get(item, "token")));
        token->logprob = yyjson_get_num(yyjson_obj_get(item, "logprob"));
        token->alternatives = ARENA_ARRAY(arena, struct token_alternative, yyjson_arr_size(top) + 1);
        yyjson_arr_foreach(top, k, max_k, other) token->alternatives[token->alternative_count++] =
            (struct token_alternative){ arena_str(arena, text_of(yyjson_obj_get(other, "token"))),
                                        yyjson_get_num(yyjson_obj_get(other, "logprob")) };
    }
}

/* Share out `mass` among the feasible names that begin with `spelt`; those that the model went on to spell are told
 * apart later. `spelt` may hold the closing quote, then only the name itself fits. */
static void share(struct str spelt, uint32_t feasible, double mass, double shares[ACTION_COUNT])
{
    uint32_t fits = 0;
    for (int a = 0; a < ACTION_COUNT; a++) {
        struct str name = str_of(action_name((enum action)a));
        bool whole = spelt.len > name.len && spelt.ptr[name.len] == '"' && str_starts_with(spelt, name);
        if ((feasible & BIT(a)) && (whole || str_starts_with(name, spelt)))
            fits |= BIT(a);
    }
    for (int a = 0; a < ACTION_COUNT && fits; a++)
        if (fits & BIT(a))
            shares[a] += mass / __builtin_popcount(fits);
}

/* One token of the name: its alternatives branch off here. `lead` bytes of it stand before the name. */
static void branch_off(struct arena *arena, const struct token *token, struct str spelt, size_t lead,
                       double before, uint32_t feasible, double shares[ACTION_COUNT])
{
    for (size_t i = 0; i < token->alternative_count; i++) {
        const struct token_alternative *other = &token->alternatives[i];
        bool same_lead = other->text.len > lead && !memcmp(other->text.ptr, token->text.ptr, lead);
        if (str_eq(other->text, token->text) || !same_lead)
            continue;
        const char *name = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(spelt),
                                        STR_ARG(str_slice(other->text, lead, other->text.len)));
        share(str_of(name), feasible, exp(before + other->logprob), shares);
    }
}

/* Where the action's value begins in the content: behind "action", a colon and a quotation mark. */
static bool find_value(struct str content, size_t *at)
{
    if (!str_find(content, STR("\"action\""), at))
        return false;
    for (*at += 8; *at < content.len && strchr(" \n\r\t:", content.ptr[*at]); ++*at)
        ;
    return *at < content.len && content.ptr[(*at)++] == '"';
}

static void read_probabilities(struct arena *arena, const struct remote_text *text, uint32_t feasible,
                               enum action action, double log_probabilities[ACTION_COUNT])
{
    size_t value, at = 0;
    struct str name = str_of(action_name(action));
    double shares[ACTION_COUNT] = { 0 }, sum = 0, logprob = 0;
    log_probabilities[0] = NAN;
    if (!text->token_count || !find_value(text->content, &value))
        return;
    for (size_t i = 0; i < text->token_count && at < value + name.len; i++) {
        const struct token *token = &text->tokens[i];
        if (at + token->text.len > value) {
            size_t lead = at < value ? value - at : 0;
            branch_off(arena, token, str_slice(text->content, value, MAX(at, value)), lead, logprob, feasible,
                       shares);
            logprob += token->logprob;
        }
        at += token->text.len;
    }
    shares[action] += exp(logprob);
    for (int a = 0; a < ACTION_COUNT; a++)
        sum += shares[a];
    if (!(sum > 0 && isfinite(sum)))
        return;
    for (int a = 0; a < ACTION_COUNT; a++)
        log_probabilities[a] = shares[a] > 0 ? MAX(log(shares[a] / sum), UNSEEN) : UNSEEN;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* The first object in the text that has an action. Words around it, a fence, a <think> block are passed over. */
static yyjson_doc *find_object(struct str text)
{
    size_t at;
    for (int tried = 0; tried < OBJECTS_TRIED && str_find(text, STR("{"), &at); tried++) {
        text = str_slice(text, at, text.len);
        yyjson_doc *doc =
            yyjson_read_opts((char *)text.ptr, text.len, YYJSON_READ_STOP_WHEN_DONE, NULL, NULL);
        if (doc && yyjson_obj_get(yyjson_doc_get_root(doc), "action"))
            return doc;
        yyjson_doc_free(doc);
        text = str_slice(text, 1, text.len);
    }
    return NULL;
}

static bool read_action(yyjson_val *root, const struct remote_request *request, struct remote_answer *answer,
                        struct error **err)
{
    yyjson_val *action = yyjson_obj_get(root, "action");
    if (!yyjson_is_str(action))
        return error_set(err, ERROR_INVALID, "\"action\" must be a string");
    if (!action_parse(text_of(action), &answer->action))
        return error_set(err, ERROR_INVALID, "there is no action \"%.60s\"", yyjson_get_str(action));
    if (!(request->feasible & BIT(answer->action)))
        return error_set(err, ERROR_INVALID, "%s is not among the actions that may be chosen here",
                         action_name(answer->action));
    return true;
}

static bool read_confidence(yyjson_val *root, struct remote_answer *answer, struct error **err)
{
    yyjson_val *confidence = yyjson_obj_get(root, "confidence");
    answer->confidence = confidence ? yyjson_get_num(confidence) : NAN;
    if (confidence && (!yyjson_is_num(confidence) || !(answer->confidence >= 0 && answer->confidence <= 1)))
        return error_set(err, ERROR_INVALID, "\"confidence\" must be a number from 0 to 1");
    return true;
}

/* Parameters of other actions, which the schema's union allows, are left out; null stands for absent. */
static bool read_parameters(struct arena *arena, yyjson_val *root, const struct remote_request *request,
                            struct remote_answer *answer, struct error **err)
{
    yyjson_val *given = yyjson_obj_get(root, "parameters"), *name;
    if (given && !yyjson_is_obj(given) && !yyjson_is_null(given))
        return error_set(err, ERROR_INVALID, "\"parameters\" must be an object");
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *own = yyjson_mut_obj(doc);
    yyjson_obj_iter iter = yyjson_obj_iter_with(given);
    while ((name = yyjson_obj_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        if (!yyjson_is_null(value) && action_parameter_find(answer->action, text_of(name)))
            yyjson_mut_obj_add(own, yyjson_val_mut_copy(doc, name), yyjson_val_mut_copy(doc, value));
    }
    yyjson_doc *filtered = yyjson_mut_val_imut_copy(own, NULL);
    yyjson_mut_val *checked =
        action_parameters_check(answer->action, yyjson_doc_get_root(filtered),
                                request->bounds ? &request->bounds[answer->action] : NULL, doc, err);
    char *json = checked ? yyjson_mut_val_write(checked, 0, NULL) : NULL;
    answer->parameters = arena_strdup(arena, json);
    free(json);
    yyjson_doc_free(filtered);
    yyjson_mut_doc_free(doc);
    return answer->parameters != NULL;
}

static const char *reason(struct arena *arena, yyjson_val *reasoning, const char *name)
{
    return arena_text(arena, sanitise(arena, text_of(yyjson_obj_get(reasoning, name)), REASON_MAX));
}

/* An object in the sources' form, or a plain text, which is the summary then. */
static void read_reasoning(struct arena *arena, yyjson_val *root, struct remote_answer *answer)
{
    yyjson_val *reasoning = yyjson_obj_get(root, "reasoning");
    answer->primary_reason = reason(arena, reasoning, "primary_reason");
    answer->historical_context = reason(arena, reasoning, "historical_context");
    answer->oscillation_risk = reason(arena, reasoning, "oscillation_risk");
    answer->summary = yyjson_is_str(reasoning)
                          ? arena_text(arena, sanitise(arena, text_of(reasoning), REASON_MAX))
                          : reason(arena, reasoning, "summary");
}

bool remote_answer_read(struct arena *arena, const struct remote_text *text, const struct remote_request *request,
                 struct remote_answer *answer, struct error **err)
{
    if (text->cut)
        return error_set(err, ERROR_INVALID,
                         "the answer was cut at the limit of tokens: be brief, or raise slm.max_tokens");
    yyjson_doc *doc = find_object(text->content);
    if (!doc)
        return error_set(err, ERROR_INVALID, "the answer holds no JSON object with an \"action\"");
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool ok = read_action(root, request, answer, err) && read_confidence(root, answer, err) &&
              read_parameters(arena, root, request, answer, err);
    if (ok) {
        read_reasoning(arena, root, answer);
        read_probabilities(arena, text, request->feasible, answer->action, answer->log_probabilities);
    }
    yyjson_doc_free(doc);
    return ok;
}
