#include "slm/words.h"

#include "base/mem.h"

enum { WORD_LEN_MAX = 40, STEM_LEN_MIN = 4 };

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How far the word goes that begins at `at`: "HTTPErrors" is "HTTP", "Errors"; "podCrash" is "pod", "Crash". */
static size_t letters_end(struct str text, size_t at)
{
    size_t i = at + 1;
    for (; i < text.len; i++) {
        char c = text.ptr[i], before = text.ptr[i - 1];
        bool next_is_lower = i + 1 < text.len && is_lower(text.ptr[i + 1]);
        if (!is_lower(c) && !is_upper(c))
            break;
        if (is_upper(c) && (is_lower(before) || next_is_lower))
            break;
    }
    return i;
}

static size_t number_end(struct str text, size_t at)
{
    size_t i = at;
    while (i < text.len && is_digit(text.ptr[i]))
        i++;
    if (i + 1 < text.len && text.ptr[i] == '.' && is_digit(text.ptr[i + 1]))
        for (i++; i < text.len && is_digit(text.ptr[i]);)
            i++;
    return i;
}

static bool is_stop_word(struct str word)
{
    static const char *const stop_words[] = { "the", "a",    "an",   "of",   "to",  "in",   "is",
                                              "on",  "for",  "and",  "at",   "by",  "with", "it",
                                              "its", "from", "this", "that", "has", "have", "been",
                                              "be",  "are",  "was",  "or",   "as" };
    for (size_t i = 0; i < ARRAY_LEN(stop_words); i++)
        if (str_eq(word, str_of(stop_words[i])))
            return true;
    return false;
}

static struct str stem(struct str word)
{
    static const struct str endings[] = { STR("ing"), STR("ed"), STR("es"), STR("s") };
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        if (word.len >= STEM_LEN_MIN + endings[i].len && str_ends_with(word, endings[i]))
            return str_slice(word, 0, word.len - endings[i].len);
    return word;
}

static struct str lower_case(struct arena *arena, struct str text)
{
    struct str word = arena_str(arena, str_slice(text, 0, WORD_LEN_MAX));
    for (char *c = (char *)word.ptr; *c; c++)
        if (is_upper(*c))
            *c = (char)(*c - 'A' + 'a');
    return word;
}

struct word_list words_of(struct arena *arena, struct str text, size_t max, bool without_stop_words)
{
    struct word_list words = { ARENA_ARRAY(arena, struct str, MIN(max, text.len)), 0 };
    for (size_t at = 0; at < text.len && words.count < max;) {
        char c = text.ptr[at];
        if (is_digit(c)) {
            at = number_end(text, at);
            bool percent = at < text.len && text.ptr[at] == '%';
            words.items[words.count++] = percent ? STR("#%") : STR("#");
            at += percent;
        } else if (is_lower(c) || is_upper(c)) {
            size_t end = letters_end(text, at);
            struct str word = lower_case(arena, str_slice(text, at, end));
            if (!without_stop_words || !is_stop_word(word))
                words.items[words.count++] = stem(word);
            at = end;
        } else {
            at++;
        }
    }
    return words;
}

struct str text_without_echo(struct str text)
{
    size_t at;
    if (str_find(text, STR("LABELS = map["), NULL) && str_find(text, STR("VALUE = "), &at))
        text = str_slice(text, 0, at);
    if (str_find(text, STR("(instance "), &at))
        text = str_slice(text, 0, at);
    return str_trim(text);
}
