/* JSON schemas, the part of them that describes what a decision looks like, written into an automaton.
 *
 * Known: type (also a list of types), properties, required, items, minItems, maxItems, enum, const, minLength, maxLength,
 * pattern, minimum, maximum, exclusiveMinimum, exclusiveMaximum, anyOf, oneOf. What only tells (title, description,
 * default, examples, format, $schema, $id, $comment, names that begin with x-) is passed over; any other key is refused:
 * a bound that is not kept would be worse than none. Keys come in the order of `properties`, those that are not required
 * may be left out, and there are no others. */
#include <math.h>
#include <stdlib.h>
#include <yyjson.h>

#include "engine/automaton.h"

enum { DECIMALS = 6, STRING_MAX = 4096, ITEMS_MAX = 256, ITEMS_DEFAULT = 16 };

struct schema {
    struct nfa *nfa;
    struct arena *arena; /* parsed patterns */
    unsigned depth;
    struct error **err;
};

static bool emit_value(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start);

static bool unsupported(struct schema *s, const char *what)
{
    return error_set(s->err, ERROR_UNSUPPORTED, "the schema: %s", what);
}

static uint32_t or_else(struct nfa *nfa, uint32_t all, uint32_t part)
{
    return all == UINT32_MAX ? part : nfa_either(nfa, all, part);
}

static uint32_t word(struct schema *s, const char *text, uint32_t next)
{
    return nfa_text(s->nfa, str_of(text), next);
}

/* ---- numbers: all of one number of digits, between two bounds of as many. Two flags go along with the position:
 * whether what was written so far equals the bound's beginning, below and above. */

struct digits {
    struct nfa *nfa;
    char low[48], high[48]; /* as many digits, of which `whole` stand before the point */
    unsigned whole, all;
    uint32_t next;
    uint32_t nodes[48][4]; /* by position and flags; UINT32_MAX: not made yet */
};

static uint32_t digits_from(struct digits *d, unsigned at, bool on_low, bool on_high);

static uint32_t one_digit(struct digits *d, unsigned at, bool on_low, bool on_high)
{
    uint32_t all = UINT32_MAX;
    char from = on_low ? d->low[at] : '0', to = on_high ? d->high[at] : '9';
    for (char c = from; c <= to; c++) {
        uint32_t rest = digits_from(d, at + 1, on_low && c == d->low[at], on_high && c == d->high[at]);
        all = or_else(d->nfa, all, nfa_range(d->nfa, (unsigned char)c, (unsigned char)c, rest));
    }
    return all == UINT32_MAX ? nfa_range(d->nfa, 1, 0, d->next) : all;
}

/* May the number end here? What was left out stands for zeros. */
static bool may_end(const struct digits *d, unsigned at, bool on_low)
{
    return at >= d->whole && (!on_low || strspn(d->low + at, "0") == d->all - at);
}

static uint32_t digits_from(struct digits *d, unsigned at, bool on_low, bool on_high)
{
    uint32_t *node = &d->nodes[at][on_low + 2 * on_high], all = UINT32_MAX;
    if (*node != UINT32_MAX)
        return *node;
    if (may_end(d, at, on_low))
        all = d->next;
    if (at < d->all) {
        uint32_t more = one_digit(d, at, on_low, on_high);
        if (at == d->whole)
            more = nfa_range(d->nfa, '.', '.', more);
        all = or_else(d->nfa, all, more);
    }
    return *node = all == UINT32_MAX ? nfa_range(d->nfa, 1, 0, d->next) : all;
}

static uint64_t power_of_ten(unsigned n)
{
    return n ? 10 * power_of_ten(n - 1) : 1;
}

/* low..high, both not negative, scaled by 10^decimals. */
static uint32_t emit_magnitudes(struct nfa *nfa, uint64_t low, uint64_t high, unsigned decimals,
                                uint32_t next)
{
    uint32_t all = UINT32_MAX;
    for (unsigned whole = 1; whole + decimals <= 19; whole++) {
        uint64_t least = whole == 1 ? 0 : power_of_ten(whole - 1 + decimals);
        uint64_t most = whole + decimals == 19 ? UINT64_MAX : power_of_ten(whole + decimals) - 1;
        if (low > most || high < least)
            continue;
        struct digits d = { .nfa = nfa, .whole = whole, .all = whole + decimals, .next = next };
        memset(d.nodes, 0xff, sizeof d.nodes);
        snprintf(d.low, sizeof d.low, "%0*llu", (int)d.all, (unsigned long long)MAX(low, least));
        snprintf(d.high, sizeof d.high, "%0*llu", (int)d.all, (unsigned long long)MIN(high, most));
        all = or_else(nfa, all, digits_from(&d, 0, true, true));
    }
    return all == UINT32_MAX ? nfa_range(nfa, 1, 0, next) : all;
}

uint32_t nfa_numbers(struct nfa *nfa, int64_t low, int64_t high, unsigned decimals, uint32_t next)
{
    uint32_t all = UINT32_MAX;
    if (high >= 0 && low <= high)
        all = emit_magnitudes(nfa, (uint64_t)MAX(low, 0), (uint64_t)high, decimals, next);
    if (low < 0 && low <= high) {
        uint64_t least = high < 0 ? -(uint64_t)high : 1;
        uint32_t part = emit_magnitudes(nfa, least, -(uint64_t)low, decimals, next);
        all = or_else(nfa, all, nfa_range(nfa, '-', '-', part));
    }
    return all == UINT32_MAX ? nfa_range(nfa, 1, 0, next) : all;
}

/* A bound in units of 10^-decimals: for a lower one the first unit not below it, for an upper one the last not above. */
static bool get_bound(struct schema *s, yyjson_val *schema, const char *key, const char *exclusive_key,
                      bool lower, unsigned decimals, int64_t *bound)
{
    yyjson_val *value = yyjson_obj_get(schema, key), *exclusive = yyjson_obj_get(schema, exclusive_key);
    double scale = (double)power_of_ten(decimals), limit = 9e18 / scale;
    for (int i = 0; i < 2; i++) {
        yyjson_val *given = i ? exclusive : value;
        if (!given)
            continue;
        if (!yyjson_is_num(given) || fabs(yyjson_get_num(given)) > limit)
            return unsupported(s, "a bound is no number, or has too many digits");
        double scaled = yyjson_get_num(given) * scale, whole = lower ? ceil(scaled) : floor(scaled);
        int64_t units = yyjson_is_int(given) && decimals == 0 ? yyjson_get_sint(given) : (int64_t)whole;
        if (i && whole == scaled)
            units += lower ? 1 : -1;
        *bound = lower ? MAX(*bound, units) : MIN(*bound, units);
    }
    return true;
}

static bool emit_number(struct schema *s, yyjson_val *schema, bool integer, uint32_t next, uint32_t *start)
{
    int64_t most = integer ? (int64_t)power_of_ten(18) - 1 : (int64_t)power_of_ten(12 + DECIMALS) - 1;
    int64_t low = -most, high = most;
    unsigned decimals = integer ? 0 : DECIMALS;
    if (!get_bound(s, schema, "minimum", "exclusiveMinimum", true, decimals, &low) ||
        !get_bound(s, schema, "maximum", "exclusiveMaximum", false, decimals, &high))
        return false;
    if (low > high)
        return error_set(s->err, ERROR_INVALID, "the schema: no number lies between minimum and maximum");
    *start = nfa_numbers(s->nfa, low, high, decimals, next);
    return true;
}

/* ---- strings */

static bool get_count(struct schema *s, yyjson_val *schema, const char *key, uint64_t max, uint64_t *value)
{
    yyjson_val *given = yyjson_obj_get(schema, key);
    if (!given)
        return true;
    if (!yyjson_is_uint(given))
        return error_set(s->err, ERROR_INVALID, "the schema: %s is no whole number", key);
    if (yyjson_get_uint(given) > max)
        return error_set(s->err, ERROR_LIMIT, "the schema: %s is over %llu", key, (unsigned long long)max);
    *value = yyjson_get_uint(given);
    return true;
}

/* Any character of a string, escaped where JSON wants it; \u is never needed, so never written. */
static const struct str any_character = { "[^\\x00-\\x07\\x0b\\x0e-\\x1f]", 25 };

static bool emit_pattern(struct schema *s, struct str pattern, uint32_t next, uint32_t *start)
{
    struct regex *regex = regex_parse(s->arena, pattern, s->err);
    if (!regex)
        return error_wrap(s->err, "the schema's pattern");
    *start = regex_emit(regex, s->nfa, true, next);
    return true;
}

static bool emit_free_string(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start)
{
    uint64_t min = 0, max = UINT64_MAX;
    if (!get_count(s, schema, "minLength", STRING_MAX, &min) ||
        !get_count(s, schema, "maxLength", STRING_MAX, &max))
        return false;
    if (min > max)
        return error_set(s->err, ERROR_INVALID, "the schema: minLength is over maxLength");
    AUTO(strbuf) struct strbuf pattern = { 0 };
    strbuf_add(&pattern, any_character);
    if (max == UINT64_MAX)
        strbuf_addf(&pattern, "{%llu,}", (unsigned long long)min);
    else
        strbuf_addf(&pattern, "{%llu,%llu}", (unsigned long long)min, (unsigned long long)max);
    return emit_pattern(s, strbuf_str(&pattern), next, start);
}

static bool emit_string(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start)
{
    yyjson_val *pattern = yyjson_obj_get(schema, "pattern");
    uint32_t inner = 0, end = word(s, "\"", next);
    if (pattern && (yyjson_obj_get(schema, "maxLength") || yyjson_obj_get(schema, "minLength")))
        return unsupported(s, "pattern beside minLength or maxLength; write the bound into the pattern");
    bool ok = pattern ? yyjson_is_str(pattern) &&
                            emit_pattern(s, (struct str){ yyjson_get_str(pattern), yyjson_get_len(pattern) },
                                         end, &inner)
                      : emit_free_string(s, schema, end, &inner);
    if (!ok)
        return pattern && !yyjson_is_str(pattern) ? unsupported(s, "a pattern that is no string") : false;
    *start = word(s, "\"", inner);
    return true;
}

/* ---- values that are given */

static bool emit_given(struct schema *s, yyjson_val *value, uint32_t next, uint32_t *start)
{
    size_t len;
    char *text = yyjson_val_write(value, 0, &len);
    if (!text)
        return unsupported(s, "a value that cannot be written");
    *start = nfa_text(s->nfa, (struct str){ text, len }, next);
    free(text);
    return true;
}

static bool emit_any_given(struct schema *s, yyjson_val *values, uint32_t next, uint32_t *start)
{
    size_t i, n;
    yyjson_val *value;
    uint32_t part = 0;
    *start = UINT32_MAX;
    if (!yyjson_is_arr(values) || yyjson_arr_size(values) == 0)
        return unsupported(s, "enum is no list, or empty");
    yyjson_arr_foreach(values, i, n, value)
    {
        if (!emit_given(s, value, next, &part))
            return false;
        *start = or_else(s->nfa, *start, part);
    }
    return true;
}

static bool emit_any_of(struct schema *s, yyjson_val *schemas, uint32_t next, uint32_t *start)
{
    size_t i, n;
    yyjson_val *schema;
    uint32_t part = 0;
    *start = UINT32_MAX;
    if (!yyjson_is_arr(schemas) || yyjson_arr_size(schemas) == 0)
        return unsupported(s, "anyOf is no list, or empty");
    yyjson_arr_foreach(schemas, i, n, schema)
    {
        if (!emit_value(s, schema, next, &part))
            return false;
        *start = or_else(s->nfa, *start, part);
    }
    return true;
}

/* ---- arrays and objects */

static bool emit_array(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start)
{
    uint64_t min = 0, max = ITEMS_DEFAULT;
    yyjson_val *items = yyjson_obj_get(schema, "items");
    if (!get_count(s, schema, "minItems", ITEMS_MAX, &min) ||
        !get_count(s, schema, "maxItems", ITEMS_MAX, &max))
        return false;
    max = yyjson_obj_get(schema, "maxItems") ? max : MAX(max, min);
    if (!items || min > max)
        return unsupported(s, !items ? "an array without items" : "minItems is over maxItems");
    uint32_t end = word(s, "]", next), rest = end;
    for (uint64_t i = max; i > 0; i--) { /* `rest`: what follows the i-th item */
        uint32_t item;
        if (!emit_value(s, items, rest, &item))
            return false;
        if (i > 1) {
            rest = word(s, ", ", item);
            if (i - 1 >= min)
                rest = nfa_either(s->nfa, rest, end);
        } else {
            rest = min == 0 ? nfa_either(s->nfa, item, end) : item;
        }
    }
    *start = word(s, "[", rest);
    return true;
}

static bool is_required(yyjson_val *required, yyjson_val *key)
{
    size_t i, n;
    yyjson_val *name;
    yyjson_arr_foreach(required, i, n, name) if (yyjson_equals(name, key)) return true;
    return false;
}

static bool all_required_are_there(struct schema *s, yyjson_val *properties, yyjson_val *required)
{
    size_t i, n;
    yyjson_val *name;
    yyjson_arr_foreach(
        required, i, n,
        name) if (!yyjson_is_str(name) ||
                  !yyjson_obj_get(
                      properties,
                      yyjson_get_str(name))) return unsupported(s,
                                                                "a required property that is not described");
    return true;
}

/* From the last property to the first. `after` and `first`: what follows when some property is written already, and when
 * none is. */
static bool emit_object(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start)
{
    yyjson_val *properties = yyjson_obj_get(schema, "properties"),
               *required = yyjson_obj_get(schema, "required");
    yyjson_val *more = yyjson_obj_get(schema, "additionalProperties");
    if ((more && !yyjson_is_bool(more)) || (properties && !yyjson_is_obj(properties)))
        return unsupported(s, "additionalProperties with a schema, or properties that are no object");
    if (!all_required_are_there(s, properties, required))
        return false;
    size_t n = yyjson_obj_size(properties);
    yyjson_val **keys = ARENA_ARRAY(s->arena, yyjson_val *, n + 1), *key;
    yyjson_obj_iter iter = yyjson_obj_iter_with(properties);
    for (size_t i = 0; (key = yyjson_obj_iter_next(&iter)); i++)
        keys[i] = key;
    uint32_t after = word(s, "}", next), first = after, value = 0;
    for (size_t i = n; i-- > 0;) {
        bool needed = is_required(required, keys[i]);
        if (!emit_value(s, yyjson_obj_iter_get_val(keys[i]), after, &value) ||
            !emit_given(s, keys[i], word(s, ": ", value), &value))
            return false;
        uint32_t following = word(s, ", ", value);
        after = needed ? following : nfa_either(s->nfa, following, after);
        first = needed ? value : nfa_either(s->nfa, value, first);
    }
    *start = word(s, "{", first);
    return true;
}

/* ---- any schema */

static bool only_known_keys(struct schema *s, yyjson_val *schema)
{
    static const char *const known[] = {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "enum",
        "const",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "title",
        "description",
        "default",
        "examples",
        "exclusiveMinimum",
        "format",
        "$schema",
        "$id",
        "$comment",
        "exclusiveMaximum",
    };
    yyjson_obj_iter iter = yyjson_obj_iter_with(schema);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&iter));) {
        const char *name = yyjson_get_str(key);
        bool is_known = strncmp(name, "x-", 2) == 0;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (!is_known)
            return error_set(s->err, ERROR_UNSUPPORTED,
                             "the schema: \"%.64s\" is not among the keys that are kept", name);
    }
    return true;
}

static bool emit_type(struct schema *s, yyjson_val *schema, const char *type, uint32_t next, uint32_t *start)
{
    if (strcmp(type, "object") == 0)
        return emit_object(s, schema, next, start);
    if (strcmp(type, "array") == 0)
        return emit_array(s, schema, next, start);
    if (strcmp(type, "string") == 0)
        return emit_string(s, schema, next, start);
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        return emit_number(s, schema, *type == 'i', next, start);
    if (strcmp(type, "boolean") == 0)
        return *start = nfa_either(s->nfa, word(s, "true", next), word(s, "false", next)), true;
    if (strcmp(type, "null") == 0)
        return *start = word(s, "null", next), true;
    return unsupported(s, "a type that does not exist");
}

static bool emit_types(struct schema *s, yyjson_val *schema, yyjson_val *types, uint32_t next,
                       uint32_t *start)
{
    size_t i, n;
    yyjson_val *type;
    uint32_t part = 0;
    *start = UINT32_MAX;
    yyjson_arr_foreach(types, i, n, type)
    {
        if (!yyjson_is_str(type) || !emit_type(s, schema, yyjson_get_str(type), next, &part))
            return yyjson_is_str(type) ? false : unsupported(s, "a type that is no string");
        *start = or_else(s->nfa, *start, part);
    }
    return *start != UINT32_MAX || unsupported(s, "a list of no types");
}

static bool emit_described(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start)
{
    static const char *const choices[] = { "anyOf", "oneOf" };
    yyjson_val *type = yyjson_obj_get(schema, "type"), *value;
    if ((value = yyjson_obj_get(schema, "const")))
        return emit_given(s, value, next, start);
    if ((value = yyjson_obj_get(schema, "enum")))
        return emit_any_given(s, value, next, start);
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        if ((value = yyjson_obj_get(schema, choices[i])))
            return emit_any_of(s, value, next, start);
    if (yyjson_is_str(type))
        return emit_type(s, schema, yyjson_get_str(type), next, start);
    if (yyjson_is_arr(type))
        return emit_types(s, schema, type, next, start);
    return unsupported(s, "a value without type, enum, const or anyOf");
}

static bool emit_value(struct schema *s, yyjson_val *schema, uint32_t next, uint32_t *start)
{
    if (!yyjson_is_obj(schema))
        return unsupported(s, "a schema that is no object");
    if (s->nfa->failed)
        return error_set(s->err, ERROR_LIMIT, "the schema is too large: more than %d nodes",
                         AUTOMATON_NODES_MAX);
    if (s->depth == SCHEMA_DEPTH_MAX)
        return error_set(s->err, ERROR_LIMIT, "the schema: more than %d values within each other",
                         SCHEMA_DEPTH_MAX);
    s->depth++;
    bool ok = only_known_keys(s, schema) && emit_described(s, schema, next, start);
    s->depth--;
    return ok;
}

bool schema_emit(struct nfa *nfa, struct str schema, uint32_t *start, struct error **err)
{
    if (schema.len > PATTERN_LEN_MAX)
        return error_set(err, ERROR_LIMIT, "a schema of %zu bytes: at most %d", schema.len, PATTERN_LEN_MAX);
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)schema.ptr, schema.len, 0, NULL, &why);
    if (!doc)
        return error_set(err, ERROR_INVALID, "the schema is not JSON: %s at byte %zu", why.msg, why.pos);
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    struct schema s = { .nfa = nfa, .arena = arena, .err = err };
    bool ok = emit_value(&s, yyjson_doc_get_root(doc), nfa_accept(nfa), start);
    yyjson_doc_free(doc);
    return ok;
}
