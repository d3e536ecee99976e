/* The request's target: "/a%20b?x=1&y" → path and query. */
#include "http/http.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* In a query '+' is a blank; a NUL, however written, is never accepted: C strings further on would end there. */
static bool decode(struct arena *arena, struct str text, bool plus_is_blank, struct str *out)
{
    char *decoded = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            bool whole = text.len - i > 2;
            int high = whole ? hex_value(text.ptr[i + 1]) : -1, low = whole ? hex_value(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == '\0')
            return false;
        decoded[len++] = c;
    }
    *out = (struct str){ decoded, len };
    return true;
}

static bool decode_pair(struct arena *arena, struct str pair, struct str *name, struct str *value)
{
    size_t at;
    bool has_value = str_find(pair, STR("="), &at);
    return decode(arena, str_slice(pair, 0, has_value ? at : pair.len), true, name) &&
           decode(arena, has_value ? str_slice(pair, at + 1, pair.len) : (struct str){ 0 }, true, value);
}

static bool parse_query(struct arena *arena, struct str text, struct http_query *query)
{
    struct str pair;
    query->items = arena_calloc(arena, HTTP_QUERY_MAX, sizeof *query->items);
    while (str_split(&text, '&', &pair)) {
        if (pair.len == 0)
            continue;
        if (query->count == HTTP_QUERY_MAX)
            return false;
        if (!decode_pair(arena, pair, &query->items[query->count].name, &query->items[query->count].value))
            return false;
        query->count++;
    }
    return true;
}

bool http_target_parse(struct arena *arena, struct str target, struct str *path, struct http_query *query)
{
    size_t at;
    *query = (struct http_query){ 0 };
    bool has_query = str_find(target, STR("?"), &at);
    struct str raw = str_slice(target, 0, has_query ? at : target.len);
    if (raw.len == 0 || raw.ptr[0] != '/' || !decode(arena, raw, false, path))
        return false;
    return !has_query || parse_query(arena, str_slice(target, at + 1, target.len), query);
}
