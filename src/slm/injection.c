/* First the labels: a value that instructs is an "x" from then on, also where an annotation quotes it, so that the
 * sentence around the quotation stays. Then the annotations, sentence by sentence; if a bracket or a quotation within
 * the sentence is all that instructs, only that goes ("process xmrig (cmdline=… --note='…') runs in pod …" keeps its
 * process and its pod). Once something was found, what stands beside it needs less to be taken for part of it. */
#include "slm/injection.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "slm/cues.h"
#include "slm/sanitise.h"

enum { REMOVED_PIECE_MAX = 300, REMOVED_MAX = 4096, QUOTED_MIN = 4 };

struct scan {
    struct arena *arena;
    struct strbuf *removed;
    bool found;
};

static void report(struct scan *scan, struct str name, struct str text)
{
    scan->found = true;
    if (scan->removed->len > REMOVED_MAX)
        return;
    struct str safe_name = sanitise(scan->arena, name, 64),
               safe = sanitise(scan->arena, text, REMOVED_PIECE_MAX);
    strbuf_addf(scan->removed, "%s" STR_FMT ": " STR_FMT, scan->removed->len ? "\n" : "", STR_ARG(safe_name),
                STR_ARG(safe));
}

static bool instructs(struct scan *scan, struct str text, double least)
{
    return cues_of(scan->arena, text).total >= least;
}

/* ---- labels ---------------------------------------------------------------------------------------------------- */

static void scan_labels(struct scan *scan, const struct label_list *in, struct label_list *out)
{
    *out = (struct label_list){ ARENA_ARRAY(scan->arena, struct label, in->count + 1), in->count };
    for (size_t i = 0; i < in->count; i++) {
        struct label label = in->items[i];
        label.value = utf8_prefix(label.value, INJECTION_VALUE_MAX);
        const char *pair =
            arena_printf(scan->arena, STR_FMT ": " STR_FMT, STR_ARG(label.name), STR_ARG(label.value));
        if (instructs(scan, str_of(pair), CUES_INSTRUCTION)) {
            report(scan, label.name, label.value);
            label.value = STR("x");
        }
        out->items[i] = label;
    }
}

static struct str replace(struct arena *arena, struct str text, struct str old, struct str new)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    size_t at;
    while (str_find(text, old, &at)) {
        strbuf_add(&out, str_slice(text, 0, at));
        strbuf_add(&out, new);
        text = str_slice(text, at + old.len, text.len);
    }
    strbuf_add(&out, text);
    return arena_str(arena, strbuf_str(&out));
}

/* `text` with the values that scan_labels() took out replaced likewise. */
static struct str without_values(struct arena *arena, struct str text, const struct label_list *before,
                                 const struct label_list *after)
{
    for (size_t i = 0; i < before->count; i++)
        if (before->items[i].value.len >= QUOTED_MIN && str_eq(after->items[i].value, STR("x")) &&
            str_find(text, before->items[i].value, NULL))
            text = replace(arena, text, before->items[i].value, STR("x"));
    return text;
}

/* ---- annotations ----------------------------------------------------------------------------------------------- */

static bool ends_sentence(struct str text, size_t at)
{
    char c = text.ptr[at], next = at + 1 < text.len ? text.ptr[at + 1] : ' ';
    if (c == '\n')
        return true;
    if (str_starts_with(str_slice(text, at, text.len),
                        STR("\u3002"))) /* the full stop of Chinese and Japanese */
        return true;
    return (c == '.' || c == '!' || c == '?' || c == ';') && (next == ' ' || next == '\n' || next == '\t');
}

/* Cut the first sentence off `rest`, with its end. */
static bool next_sentence(struct str *rest, struct str *sentence)
{
    if (!rest->len)
        return false;
    size_t at = 0;
    while (at < rest->len && !ends_sentence(*rest, at))
        at++;
    *sentence = str_slice(*rest, 0, at + 1);
    *rest = str_slice(*rest, at + 1, rest->len);
    return true;
}

static const char *const brackets[] = { "()", "[]", "{}", "\"\"", "''", "``", "<>" };

/* The bracket or quotation that begins at `from`, with its marks: its length, or 0. */
static size_t bracket_length(struct str text, size_t from)
{
    for (size_t i = 0; i < ARRAY_LEN(brackets); i++) {
        if (text.ptr[from] != brackets[i][0])
            continue;
        size_t depth = 0;
        for (size_t at = from; at < text.len; at++) {
            if (text.ptr[at] == brackets[i][1] && (depth > 1 || at > from)) {
                if (brackets[i][0] == brackets[i][1] || --depth == 0)
                    return at + 1 - from;
            } else if (text.ptr[at] == brackets[i][0]) {
                depth++;
            }
        }
    }
    return 0;
}

/* The shortest bracket without which `sentence` instructs no more. */
static bool find_guilty_bracket(struct scan *scan, struct str sentence, double least, size_t *from,
                                size_t *len)
{
    *len = SIZE_MAX;
    for (size_t at = 0; at < sentence.len; at++) {
        size_t here = bracket_length(sentence, at);
        if (!here || here >= *len || here + 12 > sentence.len)
            continue;
        const char *without =
            arena_printf(scan->arena, STR_FMT " " STR_FMT, STR_ARG(str_slice(sentence, 0, at)),
                         STR_ARG(str_slice(sentence, at + here, sentence.len)));
        if (!instructs(scan, str_of(without), MIN(least, CUES_SUSPECT)))
            *from = at, *len = here;
    }
    return *len != SIZE_MAX;
}

static void scan_sentence(struct scan *scan, struct str name, struct str sentence, bool beside,
                          struct strbuf *out)
{
    double least = beside ? CUES_SUSPECT : CUES_INSTRUCTION;
    if (!instructs(scan, sentence, least)) {
        strbuf_add(out, sentence);
        return;
    }
    size_t from, len;
    if (find_guilty_bracket(scan, sentence, least, &from, &len)) {
        report(scan, name, str_slice(sentence, from, from + len));
        strbuf_add(out, str_slice(sentence, 0, from));
        strbuf_add(out, str_slice(sentence, from + len, sentence.len));
    } else {
        report(scan, name, sentence);
    }
}

static struct str scan_text(struct scan *scan, struct str name, struct str text)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    struct str rest = text, sentence;
    bool before = scan->found;
    scan->found = false;
    while (next_sentence(&rest, &sentence))
        scan_sentence(scan, name, sentence, scan->found, &out);
    bool here = scan->found;
    scan->found |= before;
    return here ? arena_str(scan->arena, strbuf_str(&out)) : text;
}

static void scan_annotations(struct scan *scan, const struct alert *in, struct alert *cleaned)
{
    const struct label_list *from = &in->annotations;
    struct label_list *to = &cleaned->annotations;
    *to = (struct label_list){ ARENA_ARRAY(scan->arena, struct label, from->count + 1), 0 };
    for (size_t i = 0; i < from->count; i++) {
        struct label annotation = from->items[i];
        struct str text = utf8_prefix(annotation.value, INJECTION_VALUE_MAX);
        text = without_values(scan->arena, text, &in->labels, &cleaned->labels);
        const char *pair =
            arena_printf(scan->arena, STR_FMT ": " STR_FMT, STR_ARG(annotation.name), STR_ARG(text));
        annotation.value = scan_text(scan, annotation.name, text);
        if (annotation.value.len == text.len && instructs(scan, str_of(pair), CUES_INSTRUCTION)) {
            report(scan, annotation.name, text);
            annotation.value = STR("");
        }
        to->items[to->count++] = annotation;
    }
}

bool injection_scan(struct arena *arena, const struct alert *in, struct alert *cleaned,
                    struct strbuf *removed)
{
    struct scan scan = { .arena = arena, .removed = removed };
    *cleaned = *in;
    scan_labels(&scan, &in->labels, &cleaned->labels);
    scan_annotations(&scan, in, cleaned);
    alert_normalise(arena, cleaned); /* name, description and target are made of labels and annotations */
    return scan.found;
}
