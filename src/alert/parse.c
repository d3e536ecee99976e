/* Alertmanager's JSON → alerts. Every byte is hostile: types, lengths, depths and doubled keys are checked, and an
 * error says where. A table of fields for each object does the reading.
 *
 * yyjson reads without recursion, so depth costs no stack there; what we know has a fixed depth, so only fields that
 * we do not know are walked to measure theirs. */
#include "alert/alert.h"

#include <stdlib.h>
#include <yyjson.h>

struct parse {
    struct arena *arena;
    struct error **err;
};

/* Where in the payload: the alert's index, or -1 for the top. */
static bool refuse(struct parse *in, long at, enum error_code code, const char *field, const char *why)
{
    if (at < 0)
        return error_set(in->err, code, "%s: %s", field, why);
    return error_set(in->err, code, "alerts[%ld].%s: %s", at, field, why);
}

static void *take(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}
static void leave(void *arena, void *old)
{
    (void)arena, (void)old;
}
static void *retake(void *arena, void *old, size_t old_size, size_t size)
{
    if (size <= old_size)
        return old;
    return memcpy(arena_alloc(arena, size), old, old_size);
}

static yyjson_val *read_json(struct parse *in, struct str body)
{
    const yyjson_alc alc = { .malloc = take, .realloc = retake, .free = leave, .ctx = in->arena };
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)body.ptr, body.len, YYJSON_READ_NOFLAG, &alc, &why);
    if (doc)
        return yyjson_doc_get_root(doc);
    error_set(in->err, ERROR_INVALID, "not JSON: %s at byte %zu", why.msg, why.pos);
    return NULL;
}

/* PostgreSQL's text cannot hold a NUL, and no label of ours needs one. */
static struct str without_nul(struct arena *arena, struct str s)
{
    if (!memchr(s.ptr, 0, s.len))
        return s;
    struct strbuf clean = { 0 };
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i])
            strbuf_add_char(&clean, s.ptr[i]);
        else
            strbuf_add(&clean, STR("\xef\xbf\xbd"));
    struct str kept = arena_str(arena, strbuf_str(&clean));
    strbuf_free(&clean);
    return kept;
}

static struct str text_of(struct arena *arena, yyjson_val *value)
{
    return without_nul(arena, (struct str){ unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value) });
}

static bool is_shallow(yyjson_val *value, int depth)
{
    if (!yyjson_is_ctn(value))
        return true;
    if (depth == 0)
        return false;
    size_t at, max;
    yyjson_val *key, *item;
    if (yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, at, max, key, item)
        {
            if (!is_shallow(item, depth - 1))
                return false;
        }
    } else {
        yyjson_arr_foreach(value, at, max, item)
        {
            if (!is_shallow(item, depth - 1))
                return false;
        }
    }
    return true;
}

/* --- values of the kinds that fields have */

static int label_order(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static bool sort_labels(struct parse *in, long at, const char *field, struct label_list *list)
{
    bool sorted = true;
    for (size_t i = 1; sorted && i < list->count; i++)
        sorted = str_cmp(list->items[i - 1].name, list->items[i].name) < 0;
    if (sorted)
        return true;
    qsort(list->items, list->count, sizeof *list->items, label_order);
    for (size_t i = 1; i < list->count; i++)
        if (str_eq(list->items[i - 1].name, list->items[i].name))
            return refuse(in, at, ERROR_INVALID, field, "a name is there twice");
    return true;
}

static bool read_labels(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    struct label_list *list = out;
    if (yyjson_is_null(value))
        return true;
    if (!yyjson_is_obj(value))
        return refuse(in, at, ERROR_INVALID, field, "must be an object of texts");
    if (yyjson_obj_size(value) > ALERT_LABELS_MAX)
        return refuse(in, at, ERROR_LIMIT, field, "more than 512 entries");
    list->items = ARENA_ARRAY(in->arena, struct label, yyjson_obj_size(value));
    size_t i, max;
    yyjson_val *key, *item;
    yyjson_obj_foreach(value, i, max, key, item)
    {
        if (!yyjson_is_str(item))
            return refuse(in, at, ERROR_INVALID, field, "a value is not a text");
        if (yyjson_get_len(key) > ALERT_NAME_MAX || yyjson_get_len(item) > ALERT_VALUE_MAX)
            return refuse(in, at, ERROR_LIMIT, field, "a name over 1 KiB or a value over 256 KiB");
        list->items[i] = (struct label){ text_of(in->arena, key), text_of(in->arena, item) };
    }
    list->count = yyjson_obj_size(value);
    return sort_labels(in, at, field, list);
}

static bool read_text(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    if (yyjson_is_null(value))
        return true;
    if (!yyjson_is_str(value))
        return refuse(in, at, ERROR_INVALID, field, "must be a text");
    if (yyjson_get_len(value) > ALERT_VALUE_MAX)
        return refuse(in, at, ERROR_LIMIT, field, "over 256 KiB");
    *(struct str *)out = text_of(in->arena, value);
    return true;
}

static bool read_time(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    int64_t *ms = out;
    struct str text = { 0 };
    if (!read_text(in, at, field, value, &text))
        return false;
    if (str_is_empty(text))
        return true;
    if (!clock_parse(text, ms))
        return refuse(in, at, ERROR_INVALID, field, "not an RFC 3339 time");
    if (*ms <= 0) /* "no time", and what lies before 1970, which no alert does */
        *ms = 0;
    return true;
}

static bool read_status(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    if (yyjson_is_obj(value)) /* the API's list: {"state":"active",…} */
        value = yyjson_obj_get(value, "state");
    struct str text = { 0 };
    if (value && !read_text(in, at, field, value, &text))
        return false;
    if (str_eq(text, STR("resolved")))
        *(enum alert_status *)out = ALERT_RESOLVED;
    else if (str_is_empty(text) || str_eq(text, STR("firing")) || str_eq(text, STR("active")) ||
             str_eq(text, STR("suppressed")) || str_eq(text, STR("unprocessed")))
        *(enum alert_status *)out = ALERT_FIRING;
    else
        return refuse(in, at, ERROR_INVALID, field, "must be firing or resolved");
    return true;
}

static bool read_count(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    if (yyjson_is_null(value))
        return true;
    if (!yyjson_is_uint(value))
        return refuse(in, at, ERROR_INVALID, field, "must be a number, 0 or more");
    *(uint64_t *)out = yyjson_get_uint(value);
    return true;
}

/* Keep a sender's own only where it can serve as a key; else ours, which is Prometheus'. */
static bool read_fingerprint(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    struct str text = { 0 };
    if (!read_text(in, at, field, value, &text))
        return false;
    if (text.len > ALERT_FINGERPRINT_MAX)
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || strchr("/\"'\\", text.ptr[i]))
            return true;
    memcpy(out, text.ptr ? text.ptr : "", text.len);
    return true;
}

/* --- objects */

typedef bool (*read_fn)(struct parse *in, long at, const char *field, yyjson_val *value, void *out);

struct field {
    const char *name;
    size_t offset;
    read_fn read;
};

static const struct field alert_fields[] = {
    { "status", offsetof(struct alert, status), read_status },
    { "labels", offsetof(struct alert, labels), read_labels },
    { "annotations", offsetof(struct alert, annotations), read_labels },
    { "startsAt", offsetof(struct alert, starts_at), read_time },
    { "endsAt", offsetof(struct alert, ends_at), read_time },
    { "generatorURL", offsetof(struct alert, generator_url), read_text },
    { "fingerprint", offsetof(struct alert, fingerprint), read_fingerprint },
};

static bool read_alerts(struct parse *in, long at, const char *field, yyjson_val *value, void *out);
static bool read_version(struct parse *in, long at, const char *field, yyjson_val *value, void *out);

static const struct field payload_fields[] = {
    { "version", 0, read_version },
    { "alerts", 0, read_alerts },
    { "receiver", offsetof(struct alert_payload, receiver), read_text },
    { "groupKey", offsetof(struct alert_payload, group_key), read_text },
    { "externalURL", offsetof(struct alert_payload, external_url), read_text },
    { "groupLabels", offsetof(struct alert_payload, group_labels), read_labels },
    { "truncatedAlerts", offsetof(struct alert_payload, truncated), read_count },
};

/* Every known field of `object` into `out`; *seen gets a bit for each. */
static bool read_object(struct parse *in, long at, yyjson_val *object, const struct field *fields,
                        size_t count, void *out, unsigned *seen)
{
    size_t n, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, n, max, key, value)
    {
        size_t f = 0;
        while (f < count && !yyjson_equals_str(key, fields[f].name))
            f++;
        if (f == count) {
            if (!is_shallow(value, ALERT_DEPTH_MAX))
                return refuse(in, at, ERROR_INVALID, "an unknown field", "nested deeper than 32");
            continue;
        }
        if (*seen & BIT(f))
            return refuse(in, at, ERROR_INVALID, fields[f].name, "the key is there twice");
        *seen |= BIT(f);
        if (!fields[f].read(in, at, fields[f].name, value, (char *)out + fields[f].offset))
            return false;
    }
    return true;
}

static bool read_alert(struct parse *in, long at, yyjson_val *value, struct alert *alert)
{
    unsigned seen = 0;
    if (!yyjson_is_obj(value))
        return error_set(in->err, ERROR_INVALID, "alerts[%ld]: must be an object", at);
    if (!read_object(in, at, value, alert_fields, ARRAY_LEN(alert_fields), alert, &seen))
        return false;
    if (alert->status == ALERT_FIRING) /* the API gives an end in the future: when the alert would time out */
        alert->ends_at = 0;
    if (!alert->fingerprint[0])
        alert_fingerprint(&alert->labels, alert->fingerprint);
    alert_normalise(in->arena, alert);
    return true;
}

static bool read_alerts(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    struct alert_payload *payload = out;
    if (yyjson_is_null(value))
        return true;
    if (!yyjson_is_arr(value))
        return refuse(in, at, ERROR_INVALID, field, "must be a list");
    payload->alerts = ARENA_ARRAY(in->arena, struct alert, yyjson_arr_size(value));
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(value, i, max, item)
    {
        if (!read_alert(in, (long)i, item, &payload->alerts[i]))
            return false;
        payload->severity = MIN(payload->severity, payload->alerts[i].severity);
    }
    payload->count = yyjson_arr_size(value);
    return true;
}

static bool read_version(struct parse *in, long at, const char *field, yyjson_val *value, void *out)
{
    (void)out;
    if (!yyjson_equals_str(value, "4"))
        return refuse(in, at, ERROR_INVALID, field, "must be \"4\", Alertmanager's webhook format");
    return true;
}

static bool read_payload(struct parse *in, yyjson_val *root, struct alert_payload *payload)
{
    unsigned seen = 0;
    if (!read_object(in, -1, root, payload_fields, ARRAY_LEN(payload_fields), payload, &seen))
        return false;
    if (!(seen & BIT(0)))
        return refuse(in, -1, ERROR_INVALID, "version",
                      "missing: is this Alertmanager's own payload, or a custom `payload` template?");
    if (!(seen & BIT(1)))
        return refuse(in, -1, ERROR_INVALID, "alerts", "missing");
    return true;
}

bool alert_parse_webhook(struct arena *arena, struct str body, struct alert_payload *payload,
                         struct error **err)
{
    struct parse in = { arena, err };
    *payload = (struct alert_payload){ .severity = SEVERITY_OTHER };
    yyjson_val *root = read_json(&in, body);
    if (!root)
        return false;
    if (!yyjson_is_obj(root))
        return error_set(err, ERROR_INVALID, "the payload must be an object");
    return read_payload(&in, root, payload);
}

bool alert_parse(struct arena *arena, struct str body, struct alert_payload *payload, struct error **err)
{
    struct parse in = { arena, err };
    *payload = (struct alert_payload){ .severity = SEVERITY_OTHER };
    yyjson_val *root = read_json(&in, body);
    if (!root)
        return false;
    if (yyjson_is_arr(root))
        return read_alerts(&in, -1, "alerts", root, payload);
    if (!yyjson_is_obj(root))
        return error_set(err, ERROR_INVALID, "the payload must be an object or a list");
    if (yyjson_obj_get(root, "alerts") || yyjson_obj_get(root, "version"))
        return read_payload(&in, root, payload);
    payload->alerts = ARENA_NEW(arena, struct alert);
    payload->count = 1;
    if (!read_alert(&in, 0, root, payload->alerts))
        return false;
    payload->severity = payload->alerts->severity;
    return true;
}

bool label_list_parse(struct arena *arena, struct str json, struct label_list *labels, struct error **err)
{
    struct parse in = { arena, err };
    *labels = (struct label_list){ 0 };
    yyjson_val *root = read_json(&in, json);
    return root && read_labels(&in, -1, "labels", root, labels);
}
