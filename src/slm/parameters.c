#include "slm/parameters.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slm/words.h"

enum { CANDIDATES_MAX = 12, WORDS_MAX = 300 };

struct candidates {
    struct str items[CANDIDATES_MAX];             /* as they stand in JSON: 5, "512Mi" */
    size_t count;
};

struct filling {
    struct embedded *embedded;
    struct engine_sequence *sequence;             /* a fork of the prompt; NULL without a model */
    struct arena *arena;
    const struct slm_question *question;
    enum action action;
    const struct action_bounds *bounds;           /* NULL: the catalogue's own */
    struct word_list said;                        /* the alert's words */
    struct strbuf json;                           /* what has been chosen so far, without the closing brace */
};

/* ---- what the alert says ---- */

static void read_words(struct filling *filling)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    const struct alert *alert = filling->question->alert;
    strbuf_addf(&text, STR_FMT " ", STR_ARG(alert->name));
    for (size_t i = 0; i < alert->annotations.count; i++)
        strbuf_addf(&text, STR_FMT " ", STR_ARG(utf8_prefix(alert->annotations.items[i].value, 2000)));
    for (size_t i = 0; i < alert->labels.count; i++)
        strbuf_addf(&text, STR_FMT " ", STR_ARG(utf8_prefix(alert->labels.items[i].value, 200)));
    filling->said = words_of(filling->arena, arena_str(filling->arena, strbuf_str(&text)), WORDS_MAX, false);
}

/* How often the alert says one of these words, separated by blanks. */
static size_t times_said(const struct filling *filling, const char *any_of)
{
    size_t times = 0;
    AUTO(arena) struct arena *arena = arena_new(1024);
    struct word_list wanted = words_of(arena, str_of(any_of), 32, false);
    for (size_t i = 0; i < filling->said.count; i++)
        for (size_t k = 0; k < wanted.count; k++)
            times += str_eq(filling->said.items[i], wanted.items[k]);
    return times;
}

/* Words by which an alert means a choice without naming it. */
static const struct {
    const char *choice, *words;
} meanings[] = {
    { "dns", "dns coredns resolver lookup nodelocaldns" },
    { "kube-proxy", "proxy iptables ipvs conntrack" },
    { "cni", "cni calico cilium flannel weave ovn antrea route" },
    { "istio", "istio istiod pilot envoy sidecar galley" },
    { "ztunnel", "ztunnel ambient" },
    { "linkerd", "linkerd" },
    { "jvm", "jvm java gc hotspot tomcat spring metaspace" },
    { "node", "nodejs v8" },
    { "dotnet", "dotnet clr" },
    { "python", "python gunicorn celery" },
    { "go", "golang goroutine" },
    { "postgresql", "postgres postgresql pg autovacuum" },
    { "mongodb", "mongo mongodb wiredtiger" },
    { "etcd", "etcd" },
    { "elasticsearch", "elasticsearch opensearch lucene" },
    { "prometheus", "prometheus tsdb tombstone" },
    { "allow_ingress", "ingress inbound" },
    { "rebuild_replica", "replica standby slave follower secondary" },
    { "reindex", "index reindex" },
    { "finished_pods", "completed succeeded evicted finished" },
    { "rbac", "role rolebinding rbac clusterrole permission" },
    { "velero", "velero" },
    { "snapshot", "snapshot volumesnapshot" },
};

static size_t times_meant(const struct filling *filling, const char *choice)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(meanings[i].choice, choice) == 0)
            return times_said(filling, meanings[i].words);
    return 0;
}

/* The choice that the alert names most, or NULL. */
static const char *choice_said(const struct filling *filling, const struct action_parameter *parameter)
{
    const char *best = NULL;
    size_t most = 0;
    for (const char *const *choice = parameter->choices; *choice; choice++) {
        size_t times = times_meant(filling, *choice);
        if (times > most) {
            most = times;
            best = *choice;
        }
    }
    return best;
}

/* ---- candidates ---- */

static void add_candidate(struct candidates *candidates, struct arena *arena, const struct action_parameter *parameter,
                          int64_t number)
{
    char text[64];
    if (candidates->count == CANDIDATES_MAX)
        return;
    switch (parameter->type) {
    case PARAMETER_INTEGER:
        snprintf(text, sizeof text, "%" PRId64, number);
        break;
    case PARAMETER_DURATION:
        text[0] = '"';
        duration_format(number, text + 1);
        strcat(text, "\"");
        break;
    default:
        text[0] = '"';
        quantity_format(number, parameter->type == PARAMETER_CPU ? QUANTITY_CPU : QUANTITY_BYTES, text + 1);
        strcat(text, "\"");
    }
    struct str item = arena_str(arena, str_of(text));
    for (size_t i = 0; i < candidates->count; i++)
        if (str_eq(candidates->items[i], item))
            return;
    candidates->items[candidates->count++] = item;
}

/* Steps a careful engineer takes: small ones near the lower bound, which policy and the present state have set. */
static void number_candidates(const struct filling *filling, const struct action_parameter *parameter,
                              struct candidates *candidates)
{
    static const double factors[] = { 1, 1.25, 1.5, 2, 3 };
    static const int64_t bytes_mi[] = { 512, 1024, 2048, 4096 }, replicas[] = { 2, 3, 4, 5, 6, 8, 10 };
    int64_t low, high, mi = (INT64_C(1) << 20) * 1000;
    if (!action_bounds_of(parameter, filling->bounds, &low, &high))
        return;
    bool narrowed = low != parameter->minimum || high != parameter->maximum;
    for (size_t i = 0; narrowed && i < ARRAY_LEN(factors); i++) {
        double value = (double)MAX(low, 1) * factors[i];
        int64_t number = (int64_t)ceil(value);
        if (parameter->type == PARAMETER_BYTES)
            number = (number + mi - 1) / mi * mi;
        if (number >= low && number <= high)
            add_candidate(candidates, filling->arena, parameter, number);
    }
    for (size_t i = 0; !narrowed && parameter->type == PARAMETER_INTEGER && i < ARRAY_LEN(replicas); i++)
        add_candidate(candidates, filling->arena, parameter, replicas[i]);
    for (size_t i = 0; !narrowed && parameter->type == PARAMETER_BYTES && i < ARRAY_LEN(bytes_mi); i++)
        add_candidate(candidates, filling->arena, parameter, bytes_mi[i] * mi);
    for (int64_t cores = 500; !narrowed && parameter->type == PARAMETER_CPU && cores <= 4000; cores *= 2)
        add_candidate(candidates, filling->arena, parameter, cores);
}

/* ---- choosing ---- */

static bool read_text(struct filling *filling, struct str text, struct error **err)
{
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    struct engine *engine = embedded_engine(filling->embedded);
    if (!engine_tokenize(engine, text, 0, &tokens, err))
        return false;
    struct engine_item item = { .sequence = filling->sequence, .tokens = tokens.ids, .count = tokens.len };
    return !tokens.len || engine_step(engine, &item, 1, err);
}

/* The candidate that the model finds most probable; the first without a model, or where it fails. */
static struct str most_probable(struct filling *filling, const struct candidates *candidates)
{
    struct engine_choice choices[CANDIDATES_MAX];
    struct engine_tokens tokens[CANDIDATES_MAX] = { 0 };
    size_t best = 0;
    bool ok = filling->sequence != NULL && candidates->count > 1;
    for (size_t i = 0; ok && i < candidates->count; i++) {
        AUTO(text) char *text = xasprintf(STR_FMT ",", STR_ARG(candidates->items[i]));
        ok = engine_tokenize(embedded_engine(filling->embedded), str_of(text), 0, &tokens[i], NULL);
        choices[i] = (struct engine_choice){ tokens[i].ids, tokens[i].len, 0 };
    }
    ok = ok && engine_choose(embedded_engine(filling->embedded), filling->sequence, choices, candidates->count, NULL);
    for (size_t i = 1; ok && i < candidates->count; i++)
        if (choices[i].log_probability > choices[best].log_probability)
            best = i;
    for (size_t i = 0; i < candidates->count; i++)
        engine_tokens_free(&tokens[i]);
    return candidates->items[best];
}

static void put(struct filling *filling, const struct action_parameter *parameter, struct str value)
{
    size_t from = filling->json.len;
    strbuf_addf(&filling->json, "%s\"%s\":" STR_FMT, filling->json.len > 1 ? "," : "", parameter->name, STR_ARG(value));
    if (filling->sequence && !read_text(filling, str_slice(strbuf_str(&filling->json), from, SIZE_MAX), NULL))
        engine_sequence_free(STEAL(filling->sequence));
}

static void put_text(struct filling *filling, const struct action_parameter *parameter, const char *value)
{
    put(filling, parameter, str_of(arena_printf(filling->arena, "\"%s\"", value)));
}

/* Of the resources only what the alert is about is changed. */
static bool is_wanted_resource(const struct filling *filling, const char *name)
{
    size_t memory = times_said(filling, "memory oom oomkilled rss heap"), cpu = times_said(filling, "cpu throttl cfs");
    if (strcmp(name, "memory_limit") == 0)
        return memory >= cpu;
    return strcmp(name, "cpu_limit") == 0 && cpu > memory;
}

static bool is_wanted_number(const struct filling *filling, const struct action_parameter *parameter)
{
    if (parameter->required || strcmp(parameter->name, "max_replicas") == 0)
        return true;
    if (filling->action == ACTION_INCREASE_RESOURCES)
        return is_wanted_resource(filling, parameter->name);
    return filling->action == ACTION_EXPAND_PVC && filling->bounds != NULL;
}

static void fill_number(struct filling *filling, const struct action_parameter *parameter)
{
    struct candidates candidates = { 0 };
    if (!is_wanted_number(filling, parameter))
        return;
    number_candidates(filling, parameter, &candidates);
    if (candidates.count)
        put(filling, parameter, most_probable(filling, &candidates));
}

static void fill_name(struct filling *filling, const struct action_parameter *parameter)
{
    struct str container = label_get(&filling->question->alert->labels, STR("container"));
    if (strcmp(parameter->name, "container") != 0 || !container.len || container.len > 63)
        return;
    for (size_t i = 0; i < container.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", container.ptr[i]))
            return;
    put_text(filling, parameter, arena_text(filling->arena, container));
}

static void fill(struct filling *filling, const struct action_parameter *parameter)
{
    const char *said;
    switch (parameter->type) {
    case PARAMETER_INTEGER:
    case PARAMETER_CPU:
    case PARAMETER_BYTES:
        fill_number(filling, parameter);
        break;
    case PARAMETER_CHOICE:
        said = choice_said(filling, parameter);
        if (said)
            put_text(filling, parameter, said);
        break;
    case PARAMETER_NAME:
        fill_name(filling, parameter);
        break;
    default:                                      /* durations, paths and texts: the catalogue's fallback */
        break;
    }
}

static const char *check(const struct filling *filling, struct error **err)
{
    AUTO(text) char *given = xasprintf(STR_FMT "}", STR_ARG(strbuf_str(&filling->json)));
    yyjson_doc *in = yyjson_read(given, strlen(given), 0);
    yyjson_mut_doc *out = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *checked =
        action_parameters_check(filling->action, yyjson_doc_get_root(in), filling->bounds, out, err);
    char *text = checked ? yyjson_mut_val_write(checked, 0, NULL) : NULL;
    const char *kept = arena_strdup(filling->arena, text);
    free(text);
    yyjson_doc_free(in);
    yyjson_mut_doc_free(out);
    return kept;
}

const char *parameters_choose(struct embedded *embedded, struct engine_sequence *sequence, struct arena *arena,
                              const struct slm_question *question, enum action action, struct error **err)
{
    struct filling filling = { .embedded = embedded,
                               .arena = arena,
                               .question = question,
                               .action = action,
                               .bounds = question->bounds ? &question->bounds[action] : NULL };
    if (filling.bounds && !filling.bounds->count)
        filling.bounds = NULL;
    const struct action_parameter *parameter = actions[action].parameters;
    read_words(&filling);
    if (sequence && parameter[0].name)
        filling.sequence = engine_sequence_fork(sequence, NULL);
    AUTO(text) char *opening = xasprintf("%s\",\"parameters\":{", action_name(action));
    if (filling.sequence && !read_text(&filling, str_of(opening), NULL))
        engine_sequence_free(STEAL(filling.sequence));
    strbuf_add_char(&filling.json, '{');
    for (int i = 0; i < ACTION_PARAMETERS_MAX && parameter[i].name; i++)
        fill(&filling, &parameter[i]);
    const char *checked = check(&filling, err);
    engine_sequence_free(filling.sequence);
    strbuf_free(&filling.json);
    return checked;
}
