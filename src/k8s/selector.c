/* Label selectors: as a query's text, and matched here. Semantics: k8s.io "Labels and Selectors". */
#include "k8s/k8s.h"

#include "k8s/k8s_internal.h"

static bool is_selector(yyjson_val *selector)
{
    return yyjson_obj_get(selector, "matchLabels") || yyjson_obj_get(selector, "matchExpressions");
}

static void add_part(struct strbuf *text, const char *separator)
{
    if (text->len)
        strbuf_add_text(text, separator);
}

static bool add_map(yyjson_val *map, struct strbuf *text)
{
    size_t i, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, count, key, value)
    {
        if (!yyjson_is_str(value))
            return false;
        add_part(text, ",");
        strbuf_addf(text, "%s=%s", yyjson_get_str(key), yyjson_get_str(value));
    }
    return true;
}

static bool add_values(yyjson_val *values, struct strbuf *text)
{
    size_t i, count;
    yyjson_val *value;
    yyjson_arr_foreach(values, i, count, value)
    {
        if (!yyjson_is_str(value))
            return false;
        strbuf_addf(text, "%s%s", i ? "," : "", yyjson_get_str(value));
    }
    return true;
}

static bool add_expression(yyjson_val *expression, struct strbuf *text)
{
    const char *key = k8s_text_at(expression, "/key"), *operator= k8s_text_at(expression, "/operator");
    bool in = !strcmp(operator, "In");
    add_part(text, ",");
    if (!strcmp(operator, "Exists"))
        strbuf_add_text(text, key);
    else if (!strcmp(operator, "DoesNotExist"))
        strbuf_addf(text, "!%s", key);
    else if (in || !strcmp(operator, "NotIn")) {
        strbuf_addf(text, "%s %s (", key, in ? "in" : "notin");
        if (!add_values(yyjson_obj_get(expression, "values"), text))
            return false;
        strbuf_add_char(text, ')');
    } else
        return false;
    return *key;
}

bool k8s_selector_text(yyjson_val *selector, struct strbuf *text)
{
    strbuf_add_text(text, "");
    if (!is_selector(selector))
        return add_map(selector, text);
    if (!add_map(yyjson_obj_get(selector, "matchLabels"), text))
        return false;
    size_t i, count;
    yyjson_val *expression;
    yyjson_arr_foreach(yyjson_obj_get(selector, "matchExpressions"), i, count,
                       expression) if (!add_expression(expression, text)) return false;
    return true;
}

static bool map_matches(yyjson_val *map, yyjson_val *labels)
{
    size_t i, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, count, key, value)
    {
        const char *have = yyjson_get_str(yyjson_obj_get(labels, yyjson_get_str(key)));
        if (!have || !yyjson_is_str(value) || strcmp(have, yyjson_get_str(value)))
            return false;
    }
    return true;
}

static bool is_among(yyjson_val *values, const char *text)
{
    size_t i, count;
    yyjson_val *value;
    yyjson_arr_foreach(values, i, count, value) if (text && yyjson_equals_str(value, text)) return true;
    return false;
}

static bool expression_matches(yyjson_val *expression, yyjson_val *labels)
{
    const char *operator= k8s_text_at(expression, "/operator");
    const char *have = yyjson_get_str(yyjson_obj_get(labels, k8s_text_at(expression, "/key")));
    bool among = is_among(yyjson_obj_get(expression, "values"), have);
    if (!strcmp(operator, "In"))
        return among;
    if (!strcmp(operator, "NotIn"))
        return !among;
    return !strcmp(operator, "Exists") ? have != NULL : !strcmp(operator, "DoesNotExist") && !have;
}

bool k8s_selector_matches(yyjson_val *selector, yyjson_val *labels)
{
    if (!is_selector(selector))
        return map_matches(selector, labels);
    if (!map_matches(yyjson_obj_get(selector, "matchLabels"), labels))
        return false;
    size_t i, count;
    yyjson_val *expression;
    yyjson_arr_foreach(yyjson_obj_get(selector, "matchExpressions"), i, count,
                       expression) if (!expression_matches(expression, labels)) return false;
    return true;
}
