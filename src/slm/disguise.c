#include "slm/disguise.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "slm/homoglyph.h"
#include "slm/sanitise.h"

enum {
    ENCODED_MIN = 12, /* characters that could hide something worth hiding */
    ENCODED_MAX = 4096,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t hex_number(struct str text, size_t max, uint32_t *value)
{
    size_t at = 0;
    for (*value = 0; at < text.len && at < max && hex_digit(text.ptr[at]) >= 0; at++)
        *value = *value << 4 | (uint32_t)hex_digit(text.ptr[at]);
    return at;
}

/* An escape at the front of `text`: its length and character, or 0. */
static size_t escape(struct str text, uint32_t *code)
{
    static const struct {
        struct str opening;
        size_t min, max;
    } forms[] = {
        { { "%", 1 }, 2, 2 }, { { "\\u", 2 }, 4, 4 }, { { "\\x", 2 }, 2, 2 }, { { "&#x", 3 }, 1, 6 }
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (str_starts_with(text, forms[i].opening)) {
            size_t digits = hex_number(str_slice(text, forms[i].opening.len, text.len), forms[i].max, code);
            size_t len = forms[i].opening.len + digits;
            if (digits >= forms[i].min)
                return len + (text.ptr[0] == '&' && len < text.len && text.ptr[len] == ';');
        }
    if (!str_starts_with(text, STR("&#")))
        return 0;
    size_t at = 2;
    for (*code = 0; at < text.len && at < 9 && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
        *code = *code * 10 + (uint32_t)(text.ptr[at] - '0');
    return at > 2 ? at + (at < text.len && text.ptr[at] == ';') : 0;
}

/* Only what is printable ASCII then: "100%25" stays odd, but an escaped letter is read as one. */
static void resolve_escapes(struct str text, struct strbuf *out)
{
    while (text.len) {
        uint32_t code = 0;
        size_t len = escape(text, &code);
        bool printable = len && code >= ' ' && code < 0x7f;
        strbuf_add_char(out, printable ? (char)code : text.ptr[0]);
        text = str_slice(text, printable ? len : 1, text.len);
    }
}

static void add_folded(struct strbuf *out, uint32_t code)
{
    uint32_t ascii = homoglyph_letter(code);
    char bytes[4];
    code = ascii ? ascii : code;
    if (code < 128)
        strbuf_add_char(out, code >= 'A' && code <= 'Z' ? (char)(code | 32) : (char)code);
    else
        strbuf_add(out, (struct str){
                            bytes, utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)code), bytes) });
}

/* A letter under its accents: the first character of its decomposition. */
static uint32_t base_letter(uint32_t code)
{
    utf8proc_int32_t parts[8];
    int class = 0;
    if (code < 128)
        return code;
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)code, parts, 8, UTF8PROC_DECOMPOSE, &class);
    return count > 0 && count <= 8 ? (uint32_t)parts[0] : code;
}

struct str disguise_skeleton(struct arena *arena, struct str text)
{
    AUTO(strbuf) struct strbuf plain = { 0 }, folded = { 0 };
    resolve_escapes(text, &plain);
    struct str clean = sanitise(arena, strbuf_str(&plain), plain.len * 2 + 16);
    bool foreign = false;
    for (size_t at = 0; at < clean.len;) {
        uint32_t code;
        at += utf8_decode(str_slice(clean, at, clean.len), &code);
        foreign |= code >= 0x370 && !homoglyph_letter(code) && !homoglyph_mark(code);
    }
    while (clean.len) {
        uint32_t code;
        size_t len = utf8_decode(clean, &code);
        uint32_t base = base_letter(code);
        if (foreign &&
            base >= 0x370) { /* a Russian word is kept as one; sanitise() has folded the mixed ones */
            char bytes[4];
            strbuf_add(&folded,
                       (struct str){
                           bytes, utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)base), bytes) });
        } else {
            add_folded(&folded, base);
        }
        clean = str_slice(clean, len, clean.len);
    }
    return arena_str(arena, strbuf_str(&folded));
}

static char unleet(char c)
{
    static const char from[] = "013457@$!|", to[] = "oieastasil";
    const char *at = c ? strchr(from, c) : NULL;
    return at ? to[at - from] : c;
}

struct str disguise_unleet(struct arena *arena, struct str skeleton)
{
    char *out = arena_text(arena, skeleton);
    for (size_t i = 0; i < skeleton.len; i++)
        out[i] = unleet(out[i]);
    return (struct str){ out, skeleton.len };
}

struct str disguise_rot13(struct arena *arena, struct str skeleton)
{
    char *out = arena_text(arena, skeleton);
    for (size_t i = 0; i < skeleton.len; i++)
        if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)('a' + (out[i] - 'a' + 13) % 26);
    return (struct str){ out, skeleton.len };
}

struct str disguise_reverse(struct arena *arena, struct str skeleton)
{
    char *out = arena_text(arena, skeleton);
    for (size_t i = 0; i < skeleton.len; i++)
        out[i] = skeleton.ptr[skeleton.len - 1 - i];
    return (struct str){ out, skeleton.len };
}

static bool is_single(struct str text, size_t at)
{
    return (at == 0 || text.ptr[at - 1] == ' ') && text.ptr[at] != ' ' &&
           (at + 1 >= text.len || text.ptr[at + 1] == ' ');
}

struct str disguise_join(struct arena *arena, struct str skeleton)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    for (size_t i = 0; i < skeleton.len; i++) {
        bool between = skeleton.ptr[i] == ' ' && i > 0 && i + 1 < skeleton.len &&
                       is_single(skeleton, i - 1) && is_single(skeleton, i + 1);
        if (!between)
            strbuf_add_char(&out, skeleton.ptr[i]);
    }
    return arena_str(arena, strbuf_str(&out));
}

struct str disguise_compact(struct arena *arena, struct str skeleton)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    for (size_t i = 0; i < skeleton.len; i++) {
        char c = skeleton.ptr[i];
        if (c == ' ' || (c >= 'a' && c <= 'z') || (unsigned char)c >= 128)
            strbuf_add_char(&out, c);
    }
    return arena_str(arena, strbuf_str(&out));
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

static struct str decode_base64(struct arena *arena, struct str run)
{
    char *out = arena_alloc(arena, run.len);
    size_t len = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < run.len; i++) {
        bits = bits << 6 | (uint32_t)base64_digit(run.ptr[i]);
        if (i % 4)
            out[len++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return (struct str){ out, len };
}

static struct str decode_hex(struct arena *arena, struct str run)
{
    char *out = arena_alloc(arena, run.len / 2 + 1);
    for (size_t i = 0; i + 1 < run.len; i += 2)
        out[i / 2] = (char)(hex_digit(run.ptr[i]) << 4 | hex_digit(run.ptr[i + 1]));
    return (struct str){ out, run.len / 2 };
}

static bool is_readable(struct str text)
{
    size_t letters = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
            return false;
        letters += (c | 32) >= 'a' && (c | 32) <= 'z';
    }
    return text.len >= 6 && letters * 2 > text.len && utf8_is_valid(utf8_prefix(text, text.len));
}

static bool decode(struct arena *arena, struct str run, struct str *decoded)
{
    bool hex = run.len % 2 == 0;
    for (size_t i = 0; i < run.len && hex; i++)
        hex = hex_digit(run.ptr[i]) >= 0;
    if (hex)
        *decoded = decode_hex(arena, run);
    if (!hex || !is_readable(*decoded))
        *decoded = decode_base64(arena, run);
    return is_readable(*decoded);
}

bool disguise_decode_next(struct arena *arena, struct str *text, struct str *decoded)
{
    while (text->len) {
        size_t len = 0;
        if (text->len > 2 && text->ptr[0] == '0' && (text->ptr[1] | 32) == 'x')
            *text = str_slice(*text, 2, text->len);
        while (len < text->len && base64_digit(text->ptr[len]) >= 0)
            len++;
        struct str run = str_slice(*text, 0, MIN(len, ENCODED_MAX));
        *text = str_slice(*text, len ? len : 1, text->len);
        if (run.len >= ENCODED_MIN && decode(arena, run, decoded))
            return true;
    }
    return false;
}

size_t disguise_count(struct str text)
{
    size_t count = 0;
    bool in_latin = false;
    while (text.len) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        bool ascii = code < 128 && (((code | 32) >= 'a' && (code | 32) <= 'z') || code == '_');
        if (code != UTF8_INVALID && code >= 128) {
            bool tag_or_direction =
                utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_CF && code != 0xAD;
            bool look_alike = in_latin && code >= 0x370 && homoglyph_letter(code);
            count += tag_or_direction || look_alike;
        }
        in_latin = ascii || (in_latin && code >= 128);
        text = str_slice(text, len, text.len);
    }
    return count;
}
