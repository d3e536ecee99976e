#include "slm/cues.h"

#include "action/action.h"
#include "base/mem.h"
#include "slm/disguise.h"
#include "slm/phrases.h"

const char *const cue_names[CUE_COUNT] = {
    [CUE_NAME] = "action name",    [CUE_SHAPE] = "shape",       [CUE_HIDDEN] = "hidden",
    [CUE_MACHINE] = "machine",     [CUE_OVERRIDE] = "override", [CUE_ANSWER] = "answer",
    [CUE_AUTHORITY] = "authority", [CUE_PRETENCE] = "pretence", [CUE_DEMAND] = "demand",
    [CUE_DEED] = "deed",           [CUE_INACTION] = "inaction", [CUE_TONGUE] = "language",
};

enum { DECODE_DEPTH = 2, TYPO_LEN = 32, TYPO_ROWS = 3 };

static void note(struct cues *cues, enum cue cue, double weight)
{
    cues->weight[cue] = MAX(cues->weight[cue], weight);
}

static bool holds_name(struct str text)
{
    for (int i = 0; i < ACTION_COUNT; i++)
        if (str_find(text, str_of(action_name((enum action)i)), NULL))
            return true;
    return false;
}

/* The name without its underscores, in a text from which everything but letters and blanks was taken. */
static bool holds_joined_name(struct str compact)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        char joined[48];
        size_t len = 0;
        for (const char *c = action_name((enum action)i); *c; c++)
            if (*c != '_')
                joined[len++] = *c;
        if (str_find(compact, (struct str){ joined, len }, NULL))
            return true;
    }
    return false;
}

/* Edits, with neighbours swapped as one, between two short words (Damerau's distance, optimal string alignment). */
static size_t edits(struct str a, struct str b)
{
    size_t rows[TYPO_ROWS][TYPO_LEN + 1];
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % TYPO_ROWS], *before = rows[(i - 1) % TYPO_ROWS],
               *earlier = rows[(i + 1) % TYPO_ROWS];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            now[j] = MIN(MIN(before[j] + 1, now[j - 1] + 1), before[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]));
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                now[j] = MIN(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[a.len % TYPO_ROWS][b.len];
}

static bool is_typo_of_name(struct str word)
{
    for (int i = 0; i < ACTION_COUNT; i++) {
        struct str name = str_of(action_name((enum action)i));
        size_t allowed = name.len / 7;
        if (word.len <= TYPO_LEN && word.len + allowed >= name.len && word.len <= name.len + allowed &&
            edits(word, name) <= allowed)
            return true;
    }
    return false;
}

/* Misspelt names are looked for among words with an underscore: plain words are too many and too near. */
static bool holds_misspelt_name(struct str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        bool underscore = false;
        while (at < text.len && ((text.ptr[at] >= 'a' && text.ptr[at] <= 'z') || text.ptr[at] == '_'))
            underscore |= text.ptr[at++] == '_';
        if (underscore && is_typo_of_name(str_slice(text, from, at)))
            return true;
        at += at == from;
    }
    return false;
}

static void find_names(struct arena *arena, struct str skeleton, struct cues *cues)
{
    struct str joined = disguise_join(arena, skeleton);
    if (holds_name(skeleton) || holds_name(joined) || holds_name(disguise_unleet(arena, skeleton)) ||
        holds_name(disguise_rot13(arena, skeleton)) || holds_name(disguise_reverse(arena, skeleton)) ||
        holds_misspelt_name(skeleton))
        note(cues, CUE_NAME, 1.0);
    if (joined.len != skeleton.len && holds_joined_name(disguise_compact(arena, joined)))
        note(cues, CUE_NAME, 1.0);
    if (holds_joined_name(disguise_compact(arena, skeleton)) ||
        holds_joined_name(disguise_compact(arena, disguise_unleet(arena, skeleton))))
        note(cues, CUE_NAME, 0.7);
}

struct shape {
    double weight;
    const char *text; /* in a skeleton, blanks left out */
};
static const struct shape shapes[] = {
    { 1.0, "<|im_" },
    { 1.0, "|im_start|" },
    { 1.0, "|im_end|" },
    { 1.0, "|start_of_role|" },
    { 1.0, "|end_of_" },
    { 1.0, "<|system" },
    { 1.0, "<|user" },
    { 1.0, "<|assistant" },
    { 1.0, "<|eot_id" },
    { 1.0, "[inst]" },
    { 1.0, "[/inst]" },
    { 1.0, "<<sys>>" },
    { 1.0, "<system>" },
    { 1.0, "</system>" },
    { 1.0, "<assistant>" },
    { 1.0, "</assistant>" },
    { 1.0, "<user>" },
    { 1.0, "</user>" },
    { 1.0, "</alert>" },
    { 1.0, "<alert>" },
    { 1.0, "<tool_call>" },
    { 1.0, "</tool_call>" },
    { 1.0, "</prompt>" },
    { 1.0, "<instructions>" },
    { 1.0, "<start_of_turn>" },
    { 1.0, "<end_of_turn>" },
    { 1.0, "<|endoftext" },
    { 1.0, "</context>" },
    { 1.0, "</s>" },
    { 1.0, "<s>" },
    { 1.0, "<think>" },
    { 1.0, "</think>" },
    { 0.7, "\"action\":" },
    { 0.7, "'action':" },
    { 0.7, "\"best\":" },
    { 0.7, "\"decision\":" },
    { 0.7, "\"confidence\":" },
    { 0.7, "action=" },
    { 0.4, "decision=" },
    { 0.7, "\"tool\":" },
    { 0.7, "\"arguments\":" },
    { 0.7, "\"reasoning\":" },
    { 0.6, "x-decision" },
    { 0.6, "approved-action" },
    { 0.7, "###system" },
    { 0.7, "###instruction" },
    { 0.6, "###new" },
    { 0.7, "###response" },
    { 0.6, "assistant:" },
    { 0.6, "system:you" },
    { 0.5, "human:" },
    { 0.5, "\nsystem:" },
    { 0.4, "<!--" },
    { 0.4, "display:none" },
    { 0.4, "<script" },
    { 0.4, "`json" },
    { 0.4, "answer:" },
    { 0.5, "answer=" },
    { 0.4, "override=" },
    { 0.4, "override:" },
    { 0.4, "response=" },
    { 0.4, "preset(" },
    { 0.4, "action:" },
    { 0.4, "remediation:" },
};

static void find_shapes(struct str skeleton, struct cues *cues)
{
    AUTO(strbuf) struct strbuf dense = { 0 };
    for (size_t i = 0; i < skeleton.len; i++)
        if (skeleton.ptr[i] != ' ')
            strbuf_add_char(&dense, skeleton.ptr[i]);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        if (shapes[i].weight > cues->weight[CUE_SHAPE] &&
            str_find(strbuf_str(&dense), str_of(shapes[i].text), NULL))
            note(cues, CUE_SHAPE, shapes[i].weight);
    if (str_starts_with(strbuf_str(&dense), STR("system:")))
        note(cues, CUE_SHAPE, 0.6);
}

/* Orders in scripts that put no blanks between words. */
static const char *const run_together[] = {
    "忽略",   "无视",   "無視", "请执行", "執行", "执行",  "请回答", "回答",     "请选择",       "选择",
    "管理员", "管理者", "指示", "命令",   "立即", "実行",  "答えて", "選択して", "してください", "관리자",
    "지시",   "실행",   "무시", "명령",   "선택", "تجاهل", "نفذ",    "התעלם",
};

static void find_run_together(struct str skeleton, struct cues *cues)
{
    double weight = 0;
    for (size_t i = 0; i < ARRAY_LEN(run_together); i++)
        weight += str_find(skeleton, str_of(run_together[i]), NULL) ? 0.5 : 0;
    note(cues, CUE_TONGUE, MIN(weight, 1.0));
}

static void note_phrase(const struct phrase *phrase, void *context)
{
    note(context, phrase->cue, phrase->weight);
}

static void find_phrases(struct arena *arena, struct str skeleton, struct cues *cues)
{
    struct phrase_words words = phrase_words_of(arena, skeleton);
    phrases_find(&words, note_phrase, cues);
}

static double total(const struct cues *cues)
{
    double sum = 0;
    for (int i = 0; i < CUE_COUNT; i++)
        sum += cues->weight[i];
    return sum;
}

static struct cues look(struct arena *arena, struct str text, int depth)
{
    struct cues cues = { 0 };
    struct str skeleton = disguise_skeleton(arena, text), decoded, rest = text;
    find_names(arena, skeleton, &cues);
    find_shapes(skeleton, &cues);
    find_run_together(skeleton, &cues);
    find_phrases(arena, skeleton, &cues);
    size_t deceptive = disguise_count(text);
    note(&cues, CUE_HIDDEN, deceptive > 3 ? 0.7 : deceptive ? 0.4 : 0);
    while (depth > 0 && disguise_decode_next(arena, &rest, &decoded))
        if (look(arena, decoded, depth - 1).total >= CUES_SUSPECT)
            note(&cues, CUE_HIDDEN, 1.0);
    cues.total = total(&cues);
    return cues;
}

struct cues cues_of(struct arena *arena, struct str text)
{
    return look(arena, text, DECODE_DEPTH);
}
