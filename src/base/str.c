#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { NUMBER_TEXT_MAX = 64, NEAREST_LEN_MAX = 64 };

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

int str_cmp(struct str a, struct str b)
{
    size_t len = MIN(a.len, b.len);
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){ s.ptr, prefix.len }, prefix);
}

bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq((struct str){ s.ptr + s.len - suffix.len, suffix.len }, suffix);
}

bool str_find(struct str s, struct str needle, size_t *at)
{
    if (needle.len > s.len)
        return false;
    const char *found = needle.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : s.ptr;
    if (needle.len && !found)
        return false;
    if (at)
        *at = needle.len ? (size_t)(found - s.ptr) : 0;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.len && is_blank(s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    to = MIN(to, s.len);
    from = MIN(from, to);
    return (struct str){ s.ptr ? s.ptr + from : NULL, to - from };
}

bool str_split(struct str *rest, char separator, struct str *part)
{
    if (!rest->ptr)
        return false;
    const char *cut = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t len = cut ? (size_t)(cut - rest->ptr) : rest->len;
    *part = (struct str){ rest->ptr, len };
    *rest = cut ? (struct str){ cut + 1, rest->len - len - 1 } : (struct str){ NULL, 0 };
    return true;
}

/* The C library's number parsers want a NUL and take leading blanks; ours do neither. */
static bool number_text(struct str s, char text[NUMBER_TEXT_MAX])
{
    if (s.len == 0 || s.len >= NUMBER_TEXT_MAX || is_blank(s.ptr[0]) || memchr(s.ptr, 0, s.len))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    return true;
}

bool str_to_i64(struct str s, int64_t *value)
{
    char text[NUMBER_TEXT_MAX], *end;
    if (!number_text(s, text))
        return false;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno || *end)
        return false;
    *value = parsed;
    return true;
}

bool str_to_u64(struct str s, uint64_t *value)
{
    char text[NUMBER_TEXT_MAX], *end;
    if (!number_text(s, text) || text[0] == '-')
        return false;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 10);
    if (errno || *end)
        return false;
    *value = parsed;
    return true;
}

bool str_to_double(struct str s, double *value)
{
    static locale_t c_locale;
    locale_t locale = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);
    if (!locale) {
        locale_t made = newlocale(LC_ALL_MASK, "C", NULL), none = NULL;
        if (__atomic_compare_exchange_n(&c_locale, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            locale = made;
        else
            locale = none, freelocale(made);
    }
    char text[NUMBER_TEXT_MAX], *end;
    if (!number_text(s, text))
        return false;
    double parsed = strtod_l(text, &end, locale);
    if (*end || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

uint64_t str_hash(struct str s, uint64_t seed)
{
    uint64_t hash = 14695981039346656037ull ^ seed;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * 1099511628211ull;
    return hash;
}

static size_t edit_distance(struct str a, struct str b)
{
    size_t row[NEAREST_LEN_MAX + 1];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

const char *str_nearest(struct str s, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = s.len / 3 + 1;
    for (size_t i = 0; i < count && s.len <= NEAREST_LEN_MAX; i++) {
        struct str name = str_of(names[i]);
        if (name.len > NEAREST_LEN_MAX)
            continue;
        size_t distance = edit_distance(s, name);
        if (distance < best_distance || (distance == best_distance && !best)) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

void strbuf_reserve(struct strbuf *buf, size_t more)
{
    size_t need = buf->len + more + 1;
    if (need <= buf->cap)
        return;
    buf->cap = MAX(need, buf->cap + buf->cap / 2 + 32);
    buf->ptr = xrealloc(buf->ptr, buf->cap);
}

void strbuf_add(struct strbuf *buf, struct str s)
{
    strbuf_reserve(buf, s.len);
    if (s.len)
        memcpy(buf->ptr + buf->len, s.ptr, s.len);
    buf->len += s.len;
    buf->ptr[buf->len] = 0;
}

void strbuf_add_text(struct strbuf *buf, const char *text)
{
    strbuf_add(buf, str_of(text));
}

void strbuf_add_char(struct strbuf *buf, char c)
{
    strbuf_add(buf, (struct str){ &c, 1 });
}

void strbuf_addf(struct strbuf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return;
    strbuf_reserve(buf, (size_t)len);
    va_start(args, format);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void strbuf_clear(struct strbuf *buf)
{
    buf->len = 0;
    if (buf->ptr)
        buf->ptr[0] = 0;
}

void strbuf_free(struct strbuf *buf)
{
    free(buf->ptr);
    *buf = (struct strbuf){ 0 };
}

void strbuf_cleanup(struct strbuf *buf)
{
    strbuf_free(buf);
}

struct str strbuf_str(const struct strbuf *buf)
{
    return (struct str){ buf->ptr ? buf->ptr : "", buf->len };
}

char *strbuf_take(struct strbuf *buf)
{
    strbuf_reserve(buf, 0);
    buf->ptr[buf->len] = 0;
    char *text = buf->ptr;
    *buf = (struct strbuf){ 0 };
    return text;
}

static void add_json_char(struct strbuf *buf, struct str c)
{
    static const char short_escapes[][2] = { { '"', '"' },  { '\\', '\\' }, { '\n', 'n' }, { '\r', 'r' },
                                             { '\t', 't' }, { '\b', 'b' },  { '\f', 'f' } };
    for (size_t i = 0; i < ARRAY_LEN(short_escapes); i++)
        if (c.ptr[0] == short_escapes[i][0]) {
            strbuf_add(buf, (struct str){ (char[]){ '\\', short_escapes[i][1] }, 2 });
            return;
        }
    if ((unsigned char)c.ptr[0] < 0x20 || c.ptr[0] == 0x7f)
        strbuf_addf(buf, "\\u%04x", (unsigned char)c.ptr[0]);
    else
        strbuf_add(buf, c);
}

void strbuf_add_json(struct strbuf *buf, struct str s)
{
    strbuf_add_char(buf, '"');
    while (s.len) {
        uint32_t code;
        size_t len = utf8_decode(s, &code);
        if (code == UTF8_INVALID)
            strbuf_add(buf, STR("\xef\xbf\xbd"));
        else
            add_json_char(buf, (struct str){ s.ptr, len });
        s = str_slice(s, len, s.len);
    }
    strbuf_add_char(buf, '"');
}
