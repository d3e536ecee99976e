/* A scanner that knows strings, comments and brackets, and looks for operators outside all of them. */
#include "effectiveness/promql.h"

#include <ctype.h>
#include <math.h>

enum { EXPRESSION_MAX = 64 * 1024, DEPTH_MAX = 64 };

struct scan {
    struct str text;
    size_t at;
    int depth;
    bool bad;
};

static char look(const struct scan *in, size_t ahead)
{
    return in->at + ahead < in->text.len ? in->text.ptr[in->at + ahead] : '\0';
}

static void skip_string(struct scan *in)
{
    char quote = look(in, 0);
    for (in->at++; in->at < in->text.len && look(in, 0) != quote; in->at++)
        if (look(in, 0) == '\\' && quote != '`')
            in->at++;
    in->bad |= in->at >= in->text.len;
    in->at++;
}

/* Step over one piece that can hold no operator of ours; false if there is none here. */
static bool skip_piece(struct scan *in)
{
    char c = look(in, 0);
    if (c == '"' || c == '\'' || c == '`') {
        skip_string(in);
        return true;
    }
    if (c == '#') {
        while (in->at < in->text.len && look(in, 0) != '\n')
            in->at++;
        return true;
    }
    if (strchr("([{", c) && c) {
        in->bad |= ++in->depth > DEPTH_MAX;
        in->at++;
        return true;
    }
    if (strchr(")]}", c) && c) {
        in->bad |= --in->depth < 0;
        in->at++;
        return true;
    }
    if (in->depth > 0) {
        in->at++;
        return true;
    }
    return false;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == ':' || c == '.';
}

static struct str take_word(struct scan *in)
{
    size_t from = in->at;
    while (is_word(look(in, 0)))
        in->at++;
    return str_slice(in->text, from, in->at);
}

static size_t comparison_at(const struct scan *in, enum promql_comparison *comparison)
{
    static const struct {
        const char *text;
        enum promql_comparison comparison;
    } operators[] = { { ">=", PROMQL_GREATER_EQUAL }, { "<=", PROMQL_LESS_EQUAL }, { "==", PROMQL_EQUAL },
                      { "!=", PROMQL_UNEQUAL },       { ">", PROMQL_GREATER },     { "<", PROMQL_LESS } };
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (str_starts_with(str_slice(in->text, in->at, in->text.len), str_of(operators[i].text))) {
            *comparison = operators[i].comparison;
            return strlen(operators[i].text);
        }
    return 0;
}

static bool is_set_operator(struct str word)
{
    return str_eq_nocase(word, STR("and")) || str_eq_nocase(word, STR("or")) ||
           str_eq_nocase(word, STR("unless"));
}

/* ( … ) around everything is nothing. */
static struct str without_parentheses(struct str text)
{
    for (int round = 0; round < DEPTH_MAX; round++) {
        text = str_trim(text);
        struct scan in = { .text = text };
        if (text.len < 2 || text.ptr[0] != '(')
            return text;
        do {
            if (!skip_piece(&in))
                in.at++;
        } while (in.depth > 0 && in.at < text.len);
        if (in.bad || in.at != text.len)
            return text;
        text = str_slice(text, 1, text.len - 1);
    }
    return text;
}

static enum promql_comparison turned(enum promql_comparison comparison)
{
    static const enum promql_comparison other[] = {
        [PROMQL_GREATER] = PROMQL_LESS, [PROMQL_GREATER_EQUAL] = PROMQL_LESS_EQUAL,
        [PROMQL_LESS] = PROMQL_GREATER, [PROMQL_LESS_EQUAL] = PROMQL_GREATER_EQUAL,
        [PROMQL_EQUAL] = PROMQL_EQUAL,  [PROMQL_UNEQUAL] = PROMQL_UNEQUAL,
    };
    return other[comparison];
}

struct found {
    size_t from, to, count;
    enum promql_comparison comparison;
};

/* Comparisons outside all brackets; a set operator there means that the root is none. */
static bool find_comparisons(struct str text, struct found *found)
{
    struct scan in = { .text = text };
    while (in.at < text.len && !in.bad) {
        enum promql_comparison comparison;
        size_t len;
        if (skip_piece(&in))
            continue;
        if (is_word(look(&in, 0))) {
            if (is_set_operator(take_word(&in)))
                return false;
        } else if ((len = comparison_at(&in, &comparison))) {
            *found = (struct found){ in.at, in.at + len, found->count + 1, comparison };
            in.at += len;
        } else {
            in.at++;
        }
    }
    return !in.bad && in.depth == 0 && found->count == 1;
}

bool promql_find_root(struct str expression, struct promql_root *root)
{
    struct found found = { 0 };
    if (expression.len > EXPRESSION_MAX)
        return false;
    struct str text = without_parentheses(expression);
    if (!find_comparisons(text, &found))
        return false;
    struct str left = str_trim(str_slice(text, 0, found.from));
    struct str right = str_trim(str_slice(text, found.to, text.len));
    if (str_starts_with(right, STR("bool ")) || str_starts_with(right, STR("bool(")))
        return false; /* 0 or 1 is no measure */
    root->comparison = found.comparison;
    root->metric = left;
    if (str_to_double(without_parentheses(right), &root->threshold))
        return left.len > 0;
    root->comparison = turned(found.comparison);
    root->metric = right;
    return right.len > 0 && str_to_double(without_parentheses(left), &root->threshold);
}

bool promql_holds(const struct promql_root *root, double value)
{
    switch (root->comparison) {
    case PROMQL_GREATER:
        return value > root->threshold;
    case PROMQL_GREATER_EQUAL:
        return value >= root->threshold;
    case PROMQL_LESS:
        return value < root->threshold;
    case PROMQL_LESS_EQUAL:
        return value <= root->threshold;
    case PROMQL_EQUAL:
        return value == root->threshold;
    case PROMQL_UNEQUAL:
        return value != root->threshold;
    }
    return false;
}

double promql_improvement(const struct promql_root *root, double before, double after)
{
    if (isnan(before) || isnan(after))
        return NAN;
    if (!promql_holds(root, after))
        return 1;
    if (root->comparison == PROMQL_EQUAL || root->comparison == PROMQL_UNEQUAL || !promql_holds(root, before))
        return 0;
    double gap = fabs(before - root->threshold), left = fabs(after - root->threshold);
    return gap > 0 ? MAX(0, MIN(1, (gap - left) / gap)) : 0;
}
