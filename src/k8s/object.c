/* Objects as documents: parsing within limits, and reading parts of them. */
#include "k8s/k8s.h"

#include <stdlib.h>

#include "k8s/k8s_internal.h"

/* yyjson does not recurse, but what walks a document may: so the depth is bounded before. */
static bool depth_is_bounded(struct str text)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"')
            in_string = true;
        else if ((c == '{' || c == '[') && ++depth > K8S_DEPTH_MAX)
            return false;
        else if (c == '}' || c == ']')
            depth -= depth > 0;
    }
    return true;
}

yyjson_doc *json_parse(struct str text, struct error **err)
{
    if (!depth_is_bounded(text)) {
        error_set(err, ERROR_LIMIT, "JSON nested deeper than %d", K8S_DEPTH_MAX);
        return NULL;
    }
    yyjson_read_err why = { 0 };
    yyjson_doc *doc = yyjson_read_opts((char *)text.ptr, text.len, 0, NULL, &why);
    if (!doc)
        error_set(err, ERROR_INVALID, "invalid JSON at byte %zu: %s", why.pos, why.msg ? why.msg : "?");
    return doc;
}

struct k8s_object *object_take(yyjson_doc *doc)
{
    struct k8s_object *object = xcalloc(1, sizeof *object);
    object->doc = doc;
    object->root = yyjson_doc_get_root(doc);
    object->namespace = k8s_text_at(object->root, "/metadata/namespace");
    object->name = k8s_text_at(object->root, "/metadata/name");
    object->uid = k8s_text_at(object->root, "/metadata/uid");
    object->resource_version = k8s_text_at(object->root, "/metadata/resourceVersion");
    return object;
}

void k8s_object_free(struct k8s_object *object)
{
    if (!object)
        return;
    yyjson_doc_free(object->doc);
    free(object);
}

struct k8s_object *k8s_object_parse(struct str json, struct error **err)
{
    if (json.len > K8S_ANSWER_MAX) {
        error_set(err, ERROR_LIMIT, "an object of %zu bytes: at most %d", json.len, K8S_ANSWER_MAX);
        return NULL;
    }
    yyjson_doc *doc = json_parse(json, err);
    if (!doc)
        return NULL;
    if (yyjson_is_obj(yyjson_doc_get_root(doc)))
        return object_take(doc);
    yyjson_doc_free(doc);
    error_set(err, ERROR_INVALID, "not a JSON object");
    return NULL;
}

yyjson_val *k8s_at(yyjson_val *object, const char *pointer)
{
    return object ? yyjson_ptr_get(object, pointer) : NULL;
}

const char *k8s_text_at(yyjson_val *object, const char *pointer)
{
    const char *text = yyjson_get_str(k8s_at(object, pointer));
    return text ? text : "";
}

int64_t k8s_int_at(yyjson_val *object, const char *pointer, int64_t otherwise)
{
    yyjson_val *value = k8s_at(object, pointer);
    if (yyjson_is_sint(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX))
        return yyjson_get_sint(value);
    return otherwise;
}

bool k8s_bool_at(yyjson_val *object, const char *pointer)
{
    return yyjson_get_bool(k8s_at(object, pointer));
}

bool k8s_quantity_at(yyjson_val *object, const char *pointer, int64_t *milli)
{
    yyjson_val *value = k8s_at(object, pointer);
    char number[64];
    if (yyjson_is_str(value))
        return quantity_parse(str_of(yyjson_get_str(value)), milli);
    if (!yyjson_is_num(value))
        return false;
    snprintf(number, sizeof number, "%.15g", yyjson_get_num(value));
    return quantity_parse(str_of(number), milli);
}

int64_t k8s_time_at(yyjson_val *object, const char *pointer)
{
    int64_t ms;
    return clock_parse(str_of(k8s_text_at(object, pointer)), &ms) ? ms : 0;
}

static const char *member(yyjson_val *map, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(map, name));
    return text ? text : "";
}

const char *k8s_annotation(yyjson_val *object, const char *name)
{
    return member(k8s_at(object, "/metadata/annotations"), name);
}

const char *k8s_label(yyjson_val *object, const char *name)
{
    return member(k8s_at(object, "/metadata/labels"), name);
}

yyjson_val *k8s_find(yyjson_val *object, const char *pointer, const char *key, const char *value)
{
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(k8s_at(object, pointer), i, count,
                       item) if (!strcmp(member(item, key), value)) return item;
    return NULL;
}

const char *k8s_condition(yyjson_val *object, const char *type, const char **reason, const char **message)
{
    yyjson_val *condition = k8s_find(object, "/status/conditions", "type", type);
    if (reason)
        *reason = member(condition, "reason");
    if (message)
        *message = member(condition, "message");
    return member(condition, "status");
}

yyjson_val *k8s_controller_of(yyjson_val *object)
{
    size_t i, count;
    yyjson_val *owner;
    yyjson_arr_foreach(k8s_at(object, "/metadata/ownerReferences"), i, count,
                       owner) if (yyjson_get_bool(yyjson_obj_get(owner, "controller"))) return owner;
    return NULL;
}
