/* Three passes: the bytes become characters worth keeping, NFKC gives each one form, and what is left is folded, spaced
 * and broken up. The first stops as soon as it has four bytes for each one wanted, for NFKC may shorten a character to
 * a quarter; so the work is bounded by `max` and the length of what is invisible. */
#include "slm/sanitise.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "slm/homoglyph.h"

enum { REPLACEMENT = 0xFFFD, RUN_MAX = 3, TOKEN_NAME_MAX = 40, MARKS_MAX = 2 };

static bool is_line_end(uint32_t code)
{
    return code == '\n' || code == '\r' || code == 0x0B || code == 0x0C || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

/* What `code` becomes: itself, '\n', ' ', REPLACEMENT, or 0 for nothing at all. */
static uint32_t visible(uint32_t code)
{
    if (is_line_end(code))
        return '\n';
    if (code == '\t' || code == 0x2800) /* a Braille cell without dots is a blank that is not called one */
        return ' ';
    if (utf8proc_get_property((utf8proc_int32_t)code)->ignorable)
        return 0;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
        return 0;
    default:
        return code;
    }
}

static void add_code(struct strbuf *out, uint32_t code)
{
    char bytes[4];
    strbuf_add(out, (struct str){ bytes, utf8_encode(code, bytes) });
}

static void keep_visible(struct str text, size_t enough, struct strbuf *out)
{
    while (text.len && out->len < enough) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        uint32_t kept = code == UTF8_INVALID ? REPLACEMENT : visible(code);
        if (kept)
            add_code(out, kept);
        text = str_slice(text, len, text.len);
    }
}

static void normalise(struct str text, struct strbuf *out)
{
    utf8proc_uint8_t *normal = NULL;
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)(text.ptr ? text.ptr : ""), (utf8proc_ssize_t)text.len,
                     &normal, UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_IGNORE);
    if (len > 0)
        strbuf_add(out, (struct str){ (const char *)normal, (size_t)len });
    free(normal);
}

static bool is_ascii_letter(uint32_t code)
{
    return (code | 32) >= 'a' && (code | 32) <= 'z' && code < 128;
}

static bool is_mark(uint32_t code)
{
    return code >= 128 && utf8proc_category((utf8proc_int32_t)code) >= UTF8PROC_CATEGORY_MN &&
           utf8proc_category((utf8proc_int32_t)code) <= UTF8PROC_CATEGORY_ME;
}

static bool is_letter(uint32_t code)
{
    if (code < 128)
        return is_ascii_letter(code);
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) || homoglyph_letter(code);
}

static bool is_latin(uint32_t code)
{
    return code < 0x250 || (code >= 0x1E00 && code < 0x1F00);
}

/* Whether `text` holds a letter that passes for none of ours: then it really is written in another script. */
static bool is_foreign(struct str text)
{
    while (text.len) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        if (is_letter(code) && !is_latin(code) && !homoglyph_letter(code))
            return true;
        text = str_slice(text, len, text.len);
    }
    return false;
}

/* The word at the front of `text`: its length, and whether it passes for Latin: if it has a letter of ASCII, or has
 * nothing but look-alikes in a text that is not `foreign` ("сервер" alone would do, among Russian words it does not). */
static size_t word_length(struct str text, bool foreign, bool *latin)
{
    bool ascii = false, all = true;
    size_t at = 0;
    while (at < text.len) {
        uint32_t code;
        size_t len = utf8_decode(str_slice(text, at, text.len), &code);
        if (!is_letter(code) && !is_mark(code))
            break;
        ascii |= is_ascii_letter(code);
        all &= is_ascii_letter(code) || homoglyph_letter(code) || is_mark(code);
        at += len;
    }
    *latin = ascii || (all && !foreign);
    return at;
}

static void fold_word(struct str word, bool latin, struct strbuf *out)
{
    size_t marks = 0;
    while (word.len) {
        uint32_t code;
        size_t len = utf8_decode(word, &code);
        uint32_t folded = latin ? homoglyph_letter(code) : 0;
        marks = is_mark(code) ? marks + 1 : 0;
        if (!marks ||
            (!latin &&
             marks <= MARKS_MAX)) /* piled-up marks are noise; on Latin, NFKC composed what has meaning */
            add_code(out, folded ? folded : code);
        word = str_slice(word, len, word.len);
    }
}

static void fold(struct str text, struct strbuf *out)
{
    bool foreign = is_foreign(text);
    while (text.len) {
        bool latin;
        size_t word = word_length(text, foreign, &latin), len = word;
        if (word) {
            fold_word(str_slice(text, 0, word), latin, out);
        } else {
            uint32_t code;
            len = utf8_decode(text, &code);
            uint32_t mark = homoglyph_mark(code);
            add_code(out, mark ? mark : code);
        }
        text = str_slice(text, len, text.len);
    }
}

static bool is_name_char(char c, char open)
{
    bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    return upper || c == '_' || (open == '<' && (lower || digit || c == '-'));
}

/* "<name>", "</name>", "[NAME]" or "[/NAME]" at the front of `text`: its length, else 0. */
static size_t token_length(struct str text)
{
    if (!text.len || (text.ptr[0] != '<' && text.ptr[0] != '['))
        return 0;
    char open = text.ptr[0], close = open == '<' ? '>' : ']';
    size_t at = 1 + (text.len > 1 && text.ptr[1] == '/'), from = at;
    while (at < text.len && at - from < TOKEN_NAME_MAX && is_name_char(text.ptr[at], open))
        at++;
    return at > from && at < text.len && text.ptr[at] == close ? at + 1 : 0;
}

/* Whether a blank between these two keeps them from being the edge of a special token. */
static bool must_part(char before, char after)
{
    return (before == '<' && (after == '|' || after == '<' || after == '/')) ||
           (before == '|' && after == '>') || (before == '>' && after == '>');
}

static bool is_rule_char(char c)
{
    return c == '#' || c == '-' || c == '=' || c == '*' || c == '_' || c == '~' || c == '`' || c == '+' ||
           c == '!';
}

struct spacer {
    struct strbuf *out;
    size_t run; /* how often the last character stands there already */
    bool lines;
};

static char last_of(const struct strbuf *buf)
{
    return buf->len ? buf->ptr[buf->len - 1] : '\n';
}

static void space(struct spacer *spacer)
{
    if (spacer->out->len && last_of(spacer->out) != ' ' && last_of(spacer->out) != '\n')
        strbuf_add_char(spacer->out, ' ');
}

static void line_end(struct spacer *spacer)
{
    if (!spacer->lines) {
        space(spacer);
        return;
    }
    if (last_of(spacer->out) == ' ')
        spacer->out->len--;
    if (last_of(spacer->out) != '\n')
        strbuf_add_char(spacer->out, '\n');
}

static void character(struct spacer *spacer, char c)
{
    char last = last_of(spacer->out);
    spacer->run = c == last ? spacer->run + 1 : 1;
    if (is_rule_char(c) && spacer->run > (c == '`' ? 1 : RUN_MAX))
        return;
    if (must_part(last, c))
        strbuf_add_char(spacer->out, ' ');
    strbuf_add_char(spacer->out, c);
}

static void token(struct spacer *spacer, struct str text)
{
    character(spacer, text.ptr[0]);
    strbuf_add_char(spacer->out, ' ');
    strbuf_add(spacer->out, str_slice(text, 1, text.len - 1));
    strbuf_add_char(spacer->out, ' ');
    strbuf_add_char(spacer->out, text.ptr[text.len - 1]);
}

static void lay_out(struct str text, struct spacer *spacer)
{
    while (text.len) {
        size_t len = token_length(text);
        if (len)
            token(spacer, str_slice(text, 0, len));
        else if (text.ptr[0] == ' ')
            space(spacer);
        else if (text.ptr[0] == '\n')
            line_end(spacer);
        else
            character(spacer, text.ptr[0]);
        text = str_slice(text, len ? len : 1, text.len);
    }
}

static struct str clean(struct arena *arena, struct str text, size_t max, bool lines)
{
    AUTO(strbuf) struct strbuf kept = { 0 }, normal = { 0 }, folded = { 0 }, out = { 0 };
    keep_visible(text, max > SIZE_MAX / 4 - 4 ? SIZE_MAX : 4 * max + 4, &kept);
    normalise(strbuf_str(&kept), &normal);
    fold(strbuf_str(&normal), &folded);
    lay_out(strbuf_str(&folded), &(struct spacer){ .out = &out, .lines = lines });
    return arena_str(arena, str_trim(utf8_prefix(strbuf_str(&out), max)));
}

struct str sanitise(struct arena *arena, struct str text, size_t max)
{
    return clean(arena, text, max, false);
}

struct str sanitise_lines(struct arena *arena, struct str text, size_t max)
{
    return clean(arena, text, max, true);
}
