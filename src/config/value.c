/* One value between its text (file, environment, --set, default) and its field. */
#include "config/config_internal.h"

#include <math.h>
#include <stdio.h>

static bool parse_bool(const struct config_key *key, struct str text, bool *value, struct error **err)
{
    (void)key;
    static const struct {
        struct str name;
        bool value;
    } names[] = { { STR("true"), true },   { STR("yes"), true }, { STR("on"), true },   { STR("1"), true },
                  { STR("false"), false }, { STR("no"), false }, { STR("off"), false }, { STR("0"), false } };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq_nocase(text, names[i].name)) {
            *value = names[i].value;
            return true;
        }
    }
    return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not true or false", STR_ARG(text));
}

static void format_bound(const struct config_key *key, double bound, char text[DURATION_TEXT_MAX])
{
    if (key->type == CONFIG_DURATION)
        duration_format((int64_t)bound, text);
    else if (key->type == CONFIG_SIZE)
        quantity_format((int64_t)bound * 1000, QUANTITY_BYTES, text);
    else
        snprintf(text, DURATION_TEXT_MAX, "%.12g", bound);
}

static bool check_bounds(const struct config_key *key, double value, struct str text, struct error **err)
{
    if ((key->min == 0 && key->max == 0) || (value >= key->min && value <= key->max))
        return true;
    char min[DURATION_TEXT_MAX], max[DURATION_TEXT_MAX];
    format_bound(key, key->min, min);
    format_bound(key, key->max, max);
    return error_set(err, ERROR_INVALID, STR_FMT " is out of bounds: give %s to %s", STR_ARG(text), min, max);
}

static bool parse_int(const struct config_key *key, struct str text, int64_t *value, struct error **err)
{
    if (!str_to_i64(text, value))
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not a whole number", STR_ARG(text));
    return check_bounds(key, (double)*value, text, err);
}

static bool parse_number(const struct config_key *key, struct str text, double *value, struct error **err)
{
    if (!str_to_double(text, value))
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not a number", STR_ARG(text));
    return check_bounds(key, *value, text, err);
}

static bool parse_duration(const struct config_key *key, struct str text, int64_t *value, struct error **err)
{
    if (!duration_parse(text, value))
        return error_set(err, ERROR_INVALID,
                         "\"" STR_FMT "\" is not a duration: write it as 30s, 5m or 1h30m", STR_ARG(text));
    return check_bounds(key, (double)*value, text, err);
}

static bool parse_size(const struct config_key *key, struct str text, int64_t *value, struct error **err)
{
    int64_t milli;
    if (!quantity_parse(text, &milli) || milli % 1000 != 0)
        return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not a size: write it as 512Ki, 32Mi or 1G",
                         STR_ARG(text));
    *value = milli / 1000;
    return check_bounds(key, (double)*value, text, err);
}

static bool parse_choice(const struct config_key *key, struct str text, int *value, struct error **err)
{
    for (const struct config_choice *choice = key->choices; choice->name; choice++) {
        if (str_eq_nocase(text, str_of(choice->name))) {
            *value = choice->value;
            return true;
        }
    }
    AUTO(strbuf) struct strbuf names = { 0 };
    for (const struct config_choice *choice = key->choices; choice->name; choice++)
        strbuf_addf(&names, "%s%s", names.len ? ", " : "", choice->name);
    return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not one of %s", STR_ARG(text), names.ptr);
}

static bool parse_text(struct loader *loader, const struct config_key *key, struct str text,
                       const char **value, struct error **err)
{
    if (text.len && memchr(text.ptr, 0, text.len))
        return error_set(err, ERROR_INVALID, "a NUL character is not allowed here");
    if (!utf8_is_valid(text))
        return error_set(err, ERROR_INVALID, "not valid UTF-8");
    *value = arena_text(loader->arena, text);
    if (text.len == 0 || !key->check || key->check(*value, err))
        return true;
    return error_wrap(err, "\"%s\"", key->flags & CONFIG_URL_SECRET ? "…" : *value);
}

/* "a, b" as the environment writes lists. */
static bool parse_texts(struct loader *loader, const struct config_key *key, struct str text,
                        struct config_texts *texts, struct error **err)
{
    struct str rest = text, part;
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == ',';
    *texts = (struct config_texts){ ARENA_ARRAY(loader->arena, const char *, count), 0 };
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.len && !parse_text(loader, key, part, &texts->items[texts->count++], err))
            return false;
    }
    return true;
}

static bool parse_choices(const struct config_key *key, struct str text, unsigned *bits, struct error **err)
{
    struct str part;
    *bits = 0;
    while (str_split(&text, ',', &part)) {
        int value;
        part = str_trim(part);
        if (part.len && !parse_choice(key, part, &value, err))
            return false;
        if (part.len)
            *bits |= BIT(value);
    }
    return true;
}

bool value_parse(struct loader *loader, const struct config_key *key, struct str text, void *field,
                 struct error **err)
{
    switch (key->type) {
    case CONFIG_TEXT:
        return parse_text(loader, key, text, field, err);
    case CONFIG_BOOL:
        return parse_bool(key, text, field, err);
    case CONFIG_INT:
        return parse_int(key, text, field, err);
    case CONFIG_NUMBER:
        return parse_number(key, text, field, err);
    case CONFIG_DURATION:
        return parse_duration(key, text, field, err);
    case CONFIG_SIZE:
        return parse_size(key, text, field, err);
    case CONFIG_CHOICE:
        return parse_choice(key, text, field, err);
    case CONFIG_TEXTS:
        return parse_texts(loader, key, text, field, err);
    case CONFIG_CHOICES:
        return parse_choices(key, text, field, err);
    case CONFIG_TEXT_MAP:
    case CONFIG_TEXTS_MAP:
    case CONFIG_LIST:
        break;
    }
    return error_set(err, ERROR_INVALID, "give a list or a mapping, as YAML: [ … ] or { … }");
}

bool value_is_scalar(const struct config_key *key)
{
    return key->type <= CONFIG_CHOICE;
}

bool value_is_empty(const struct config_key *key, const void *field)
{
    if (key->type == CONFIG_TEXT)
        return **(const char *const *)field == '\0';
    if (key->type == CONFIG_CHOICES)
        return *(const unsigned *)field == 0;
    return key->type > CONFIG_CHOICE && ((const struct config_list *)field)->count == 0;
}

/* Of scalars; lists are compared by their text in show.c. */
bool value_equal(const struct config_key *key, const void *a, const void *b)
{
    switch (key->type) {
    case CONFIG_TEXT:
        return strcmp(*(const char *const *)a, *(const char *const *)b) == 0;
    case CONFIG_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_NUMBER:
        return fabs(*(const double *)a - *(const double *)b) == 0;
    case CONFIG_CHOICE:
        return *(const int *)a == *(const int *)b;
    case CONFIG_CHOICES:
        return *(const unsigned *)a == *(const unsigned *)b;
    default:
        return *(const int64_t *)a == *(const int64_t *)b;
    }
}

/* postgresql://user:secret@host/db → postgresql://user:***@host/db */
static void format_url(const char *url, struct strbuf *out)
{
    const char *host = strstr(url, "://");
    const char *at = host ? strrchr(host, '@') : NULL;
    const char *colon = at ? memchr(host + 3, ':', (size_t)(at - host - 3)) : NULL;
    if (!colon) {
        strbuf_add_text(out, url);
        return;
    }
    strbuf_add(out, (struct str){ url, (size_t)(colon - url) });
    strbuf_addf(out, ":***%s", at);
}

static void format_text(const struct config_key *key, const char *text, struct strbuf *out)
{
    if (key->flags & CONFIG_SECRET)
        strbuf_add_text(out, *text ? "***" : "");
    else if (key->flags & CONFIG_URL_SECRET)
        format_url(text, out);
    else
        strbuf_add_text(out, text);
}

static void format_choice(const struct config_key *key, int value, struct strbuf *out)
{
    for (const struct config_choice *choice = key->choices; choice->name; choice++) {
        if (choice->value == value) {
            strbuf_add_text(out, choice->name);
            return;
        }
    }
}

void value_format(const struct config_key *key, const void *field, struct strbuf *out)
{
    char text[DURATION_TEXT_MAX];
    switch (key->type) {
    case CONFIG_TEXT:
        format_text(key, *(const char *const *)field, out);
        break;
    case CONFIG_BOOL:
        strbuf_add_text(out, *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_INT:
        strbuf_addf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case CONFIG_NUMBER:
        strbuf_addf(out, "%.12g", *(const double *)field);
        break;
    case CONFIG_DURATION:
        strbuf_add_text(out, duration_format(*(const int64_t *)field, text));
        break;
    case CONFIG_SIZE:
        strbuf_add_text(out, quantity_format(*(const int64_t *)field * 1000, QUANTITY_BYTES, text));
        break;
    case CONFIG_CHOICE:
        format_choice(key, *(const int *)field, out);
        break;
    default:
        break;
    }
}
