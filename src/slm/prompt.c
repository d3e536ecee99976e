#include "slm/prompt.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "prompts.h"
#include "slm/words.h"

enum {
    SUMMARY_MAX = 400,
    DESCRIPTION_MAX = 1200,
    LABEL_NAME_MAX = 64,
    LABEL_VALUE_MAX = 120,
    LABELS_MAX = 24,
    CLUSTER_MAX = 2000,
    EVENTS_MAX = 1500,
    PATTERN_MAX = 400,
    PAST_MAX = 8,
    LAYOUT_VERSION = 1 /* raise it when the variable part is laid out differently */
};

const char *const prompt_part_names[PROMPT_PART_COUNT] = {
    [PROMPT_ALERT] = "alert",           [PROMPT_FAILURES] = "failed actions", [PROMPT_PATTERN] = "pattern",
    [PROMPT_CLUSTER] = "cluster state", [PROMPT_EVENTS] = "events",           [PROMPT_PAST] = "past actions",
};

static pthread_once_t made = PTHREAD_ONCE_INIT;
static struct strbuf system_text;
static char system_sha256[SHA256_HEX_LEN + 1];

static void make_system_text(void)
{
    size_t at;
    struct str template = system_txt, mark = STR("{{catalogue}}");
    if (!str_find(template, mark, &at))
        at = template.len;
    strbuf_add(&system_text, str_slice(template, 0, at));
    for (int a = 0; a < ACTION_COUNT; a++)
        strbuf_addf(&system_text, "%s: %s. When %s.\n", actions[a].name, actions[a].does, actions[a].when);
    strbuf_add(&system_text, str_slice(template, MIN(at + mark.len + 1, template.len), template.len));

    struct sha256 *hash = sha256_new();
    char version[16];
    snprintf(version, sizeof version, "%d\n", LAYOUT_VERSION);
    sha256_add(hash, str_of(version));
    sha256_add(hash, strbuf_str(&system_text));
    sha256_end(hash, system_sha256);
}

struct str prompt_system(void)
{
    pthread_once(&made, make_system_text);
    return strbuf_str(&system_text);
}

const char *prompt_sha256(void)
{
    pthread_once(&made, make_system_text);
    return system_sha256;
}

/* One line of foreign text: line ends become blanks, and the fence cannot be closed from within. */
static void add_line(struct strbuf *out, const char *name, struct str text, size_t max)
{
    text = utf8_prefix(str_trim(text), max);
    if (!text.len)
        return;
    strbuf_addf(out, "%s: ", name);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool blank = c == '\n' || c == '\r' || c == '\t';
        if (c == '>' && i + 2 < text.len && text.ptr[i + 1] == '>' && text.ptr[i + 2] == '>')
            c = ' ';
        if (!blank || (out->len && out->ptr[out->len - 1] != ' '))
            strbuf_add_char(out, blank ? ' ' : c);
    }
    strbuf_add_char(out, '\n');
}

static void add_labels(struct strbuf *out, const struct label_list *labels)
{
    AUTO(strbuf) struct strbuf line = { 0 };
    size_t shown = 0;
    for (size_t i = 0; i < labels->count && shown < LABELS_MAX; i++) {
        const struct label *label = &labels->items[i];
        if (str_eq(label->name, STR("alertname")) || str_eq(label->name, STR("severity")))
            continue;
        struct str name = utf8_prefix(label->name, LABEL_NAME_MAX),
                   value = utf8_prefix(label->value, LABEL_VALUE_MAX);
        strbuf_addf(&line, "%s" STR_FMT "=" STR_FMT, shown++ ? ", " : "", STR_ARG(name), STR_ARG(value));
    }
    add_line(out, "labels", strbuf_str(&line), LABELS_MAX * (LABEL_NAME_MAX + LABEL_VALUE_MAX + 3));
}

static void add_alert(struct strbuf *out, const struct slm_question *question)
{
    const struct alert *alert = question->alert;
    struct str summary = text_without_echo(label_get(&alert->annotations, STR("summary")));
    struct str description = text_without_echo(label_get(&alert->annotations, STR("description")));
    add_line(out, "alert", alert->name, SUMMARY_MAX);
    add_line(out, "severity", alert->severity_text, LABEL_VALUE_MAX);
    if (question->alerts > 1)
        strbuf_addf(out, "alerts in this incident: %zu\n", question->alerts);
    add_line(out, "summary", summary, SUMMARY_MAX);
    add_line(out, "description", description, DESCRIPTION_MAX);
    add_line(out, "message", label_get(&alert->annotations, STR("message")), DESCRIPTION_MAX);
    if (!summary.len && !description.len)
        add_line(out, "description", alert->description, DESCRIPTION_MAX);
    add_labels(out, &alert->labels);
}

static bool is_failure(const struct slm_past *past)
{
    return str_eq(str_of(past->status), STR("failed")) ||
           (!isnan(past->effectiveness) && past->effectiveness < 0.4);
}

static void add_past(struct strbuf *out, const struct slm_context *context, bool failures)
{
    size_t shown = 0;
    for (size_t i = 0; i < context->past_count && shown < PAST_MAX; i++) {
        const struct slm_past *past = &context->past[i];
        if (is_failure(past) != failures)
            continue;
        char effect[48] = "effect unknown";
        if (!isnan(past->effectiveness))
            snprintf(effect, sizeof effect, "effect %.0f%%", past->effectiveness * 100);
        int64_t minutes = (clock_utc_ms() - past->at_ms) / 60000;
        strbuf_addf(out, "%lld minutes ago: %s, %s, %s\n", (long long)MAX(minutes, 0),
                    action_name(past->action), past->status, effect);
        shown++;
    }
}

static size_t count_past(const struct slm_context *context, bool failures)
{
    size_t count = 0;
    for (size_t i = 0; i < context->past_count; i++)
        count += is_failure(&context->past[i]) == failures;
    return count;
}

unsigned prompt_parts_present(const struct slm_question *question)
{
    const struct slm_context *context = question->context;
    unsigned parts = BIT(PROMPT_ALERT);
    if (!context)
        return parts;
    parts |= count_past(context, true) ? BIT(PROMPT_FAILURES) : 0;
    parts |= context->pattern.len ? BIT(PROMPT_PATTERN) : 0;
    parts |= context->cluster_state.len ? BIT(PROMPT_CLUSTER) : 0;
    parts |= context->events.len ? BIT(PROMPT_EVENTS) : 0;
    parts |= count_past(context, false) ? BIT(PROMPT_PAST) : 0;
    return parts;
}

/* Foreign lines keep their line ends here: each is shown on its own, bounded as a whole at a line's end. */
static void add_lines(struct strbuf *out, struct str text, size_t max)
{
    struct str rest = text, line;
    size_t from = out->len;
    while (str_split(&rest, '\n', &line) && out->len - from < max)
        add_line(out, "-", line, LABEL_VALUE_MAX * 2);
}

static void add_part(struct strbuf *out, enum prompt_part part, const struct slm_question *question)
{
    static const char *const titles[PROMPT_PART_COUNT] = {
        [PROMPT_ALERT] = "The alert", [PROMPT_FAILURES] = "Did not help before",
        [PROMPT_PATTERN] = "Pattern", [PROMPT_CLUSTER] = "State in the cluster",
        [PROMPT_EVENTS] = "Events",   [PROMPT_PAST] = "Done before",
    };
    strbuf_addf(out, "%s:\n<<<\n", titles[part]);
    switch (part) {
    case PROMPT_FAILURES:
    case PROMPT_PAST:
        add_past(out, question->context, part == PROMPT_FAILURES);
        break;
    case PROMPT_PATTERN:
        add_line(out, "-", question->context->pattern, PATTERN_MAX);
        break;
    case PROMPT_CLUSTER:
        add_lines(out, question->context->cluster_state, CLUSTER_MAX);
        break;
    case PROMPT_EVENTS:
        add_lines(out, question->context->events, EVENTS_MAX);
        break;
    default:
        add_alert(out, question);
    }
    strbuf_add_text(out, ">>>\n");
}

struct str prompt_user(struct arena *arena, const struct slm_question *question, unsigned parts)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    parts &= prompt_parts_present(question);
    for (int part = PROMPT_PART_COUNT - 1; part > PROMPT_ALERT; part--)
        if (parts & BIT(part))
            add_part(&out, (enum prompt_part)part, question);
    add_part(&out, PROMPT_ALERT, question);
    strbuf_add_text(&out, "Which action first?");
    return arena_str(arena, strbuf_str(&out));
}
