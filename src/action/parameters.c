/* An action's parameters: checked, made canonical, and described as JSON Schema. */
#include "action/action.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/mem.h"
#include "base/quantity.h"

enum { NAME_LEN_MAX = 253, PATH_LEN_MAX = 255, NUMBER_TEXT_MAX = 48 };

bool action_bounds_of(const struct action_parameter *parameter, const struct action_bounds *narrow,
                      int64_t *minimum, int64_t *maximum)
{
    *minimum = parameter->minimum;
    *maximum = parameter->maximum;
    for (size_t i = 0; narrow && i < narrow->count; i++)
        if (strcmp(narrow->bounds[i].parameter, parameter->name) == 0) {
            *minimum = MAX(*minimum, narrow->bounds[i].minimum);
            *maximum = MIN(*maximum, narrow->bounds[i].maximum);
        }
    return *minimum <= *maximum;
}

static bool is_number_type(enum parameter_type type)
{
    return type <= PARAMETER_DURATION;
}

/* A number of the parameter's type, in its unit, as the wire carries it. */
static const char *number_text(enum parameter_type type, int64_t number, char text[NUMBER_TEXT_MAX])
{
    switch (type) {
    case PARAMETER_CPU:
        return quantity_format(number, QUANTITY_CPU, text);
    case PARAMETER_BYTES:
        return quantity_format(number, QUANTITY_BYTES, text);
    case PARAMETER_DURATION:
        return duration_format(number, text);
    default:
        snprintf(text, NUMBER_TEXT_MAX, "%" PRId64, number);
        return text;
    }
}

static bool text_to_number(enum parameter_type type, struct str text, int64_t *number)
{
    switch (type) {
    case PARAMETER_CPU:
    case PARAMETER_BYTES:
        return quantity_parse(text, number);
    case PARAMETER_DURATION:
        return duration_parse(text, number);
    default:
        return str_to_i64(text, number);
    }
}

bool action_parameter_number(const struct action_parameter *parameter, yyjson_val *value, int64_t *number)
{
    if (yyjson_is_str(value))
        return text_to_number(parameter->type, (struct str){ yyjson_get_str(value), yyjson_get_len(value) },
                              number);
    char text[NUMBER_TEXT_MAX];
    if (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX)
        snprintf(text, sizeof text, "%" PRIu64, yyjson_get_uint(value));
    else if (yyjson_is_sint(value))
        snprintf(text, sizeof text, "%" PRId64, yyjson_get_sint(value));
    else if (yyjson_is_real(value))
        snprintf(text, sizeof text, "%.15g", yyjson_get_real(value));
    else
        return false;
    /* A model may write 5.0 where 5 is meant. */
    char *point = parameter->type == PARAMETER_INTEGER ? strstr(text, ".0") : NULL;
    if (point && point[2] == 0)
        *point = 0;
    return text_to_number(parameter->type, str_of(text), number);
}

static bool is_name(struct str s)
{
    if (!s.len || s.len > NAME_LEN_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool at_edge = i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.' || s.ptr[i + 1] == '.';
        if (!alphanumeric && (at_edge || (c != '-' && c != '.')))
            return false;
    }
    return true;
}

static bool is_safe_path(struct str s)
{
    if (!s.len || s.len > PATH_LEN_MAX || s.ptr[0] != '/' || str_find(s, STR(".."), NULL))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("/._-", s.ptr[i]) && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'z') &&
            !(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') && !(s.ptr[i] >= '0' && s.ptr[i] <= '9'))
            return false;
    return true;
}

static bool is_choice(const char *const *choices, struct str s)
{
    for (; *choices; choices++)
        if (str_eq(s, str_of(*choices)))
            return true;
    return false;
}

static bool check_number(const struct action_parameter *parameter, yyjson_val *given,
                         const struct action_bounds *narrow, yyjson_mut_doc *doc, yyjson_mut_val **value,
                         struct error **err)
{
    char low_text[NUMBER_TEXT_MAX], high_text[NUMBER_TEXT_MAX], text[NUMBER_TEXT_MAX];
    int64_t number, low, high;
    bool possible = action_bounds_of(parameter, narrow, &low, &high);
    if (!possible)
        return error_set(err, ERROR_INVALID, "%s: the present state and the policy leave no value",
                         parameter->name);
    number_text(parameter->type, low, low_text);
    number_text(parameter->type, high, high_text);
    if (!action_parameter_number(parameter, given, &number))
        return error_set(err, ERROR_INVALID, "%s is not a %s: give a value from %s to %s", parameter->name,
                         parameter->type == PARAMETER_DURATION  ? "duration"
                         : parameter->type == PARAMETER_INTEGER ? "whole number"
                                                                : "quantity",
                         low_text, high_text);
    number_text(parameter->type, number, text);
    if (number < low || number > high)
        return error_set(err, ERROR_INVALID, "%s is %s: give %s to %s", parameter->name, text, low_text,
                         high_text);
    *value =
        parameter->type == PARAMETER_INTEGER ? yyjson_mut_sint(doc, number) : yyjson_mut_strcpy(doc, text);
    return true;
}

static bool check_text(const struct action_parameter *parameter, yyjson_val *given, yyjson_mut_doc *doc,
                       yyjson_mut_val **value, struct error **err)
{
    struct str text = { yyjson_get_str(given), yyjson_get_len(given) };
    if (yyjson_is_bool(given) && parameter->type == PARAMETER_CHOICE)
        text = yyjson_get_bool(given) ? STR("true") : STR("false");
    if (!text.ptr)
        return error_set(err, ERROR_INVALID, "%s is not a text", parameter->name);
    switch (parameter->type) {
    case PARAMETER_CHOICE:
        if (!is_choice(parameter->choices, text))
            return error_set(err, ERROR_INVALID, "%s cannot be \"" STR_FMT "\": see `actions show`",
                             parameter->name, STR_ARG(str_slice(text, 0, 64)));
        break;
    case PARAMETER_NAME:
        if (!is_name(text))
            return error_set(err, ERROR_INVALID,
                             "%s is not an object's name: give lower-case letters, digits, '-' and '.'",
                             parameter->name);
        break;
    case PARAMETER_PATH:
        if (!is_safe_path(text))
            return error_set(err, ERROR_INVALID, "%s is not a plain absolute path", parameter->name);
        break;
    default:
        if (text.len > parameter->max_len)
            return error_set(err, ERROR_INVALID, "%s is longer than %zu bytes", parameter->name,
                             parameter->max_len);
    }
    *value = yyjson_mut_strncpy(doc, text.ptr, text.len);
    return true;
}

static bool check_known_names(enum action action, yyjson_val *given, struct error **err)
{
    size_t i, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(given, i, count, key, value)
    {
        struct str name = { yyjson_get_str(key), yyjson_get_len(key) };
        if (!action_parameter_find(action, name))
            return error_set(err, ERROR_INVALID, "%s has no parameter \"" STR_FMT "\": see `actions show %s`",
                             action_name(action), STR_ARG(str_slice(name, 0, 64)), action_name(action));
    }
    return true;
}

yyjson_mut_val *action_parameters_check(enum action action, yyjson_val *given,
                                        const struct action_bounds *narrow, yyjson_mut_doc *doc,
                                        struct error **err)
{
    yyjson_mut_val *checked = yyjson_mut_obj(doc);
    if (given && !yyjson_is_obj(given) && !yyjson_is_null(given))
        return error_set(err, ERROR_INVALID, "parameters of %s are not an object", action_name(action)), NULL;
    if (!check_known_names(action, given, err))
        return NULL;
    const struct action_parameter *parameter = actions[action].parameters;
    for (int i = 0; i < ACTION_PARAMETERS_MAX && parameter[i].name; i++) {
        yyjson_val *value = yyjson_obj_get(given, parameter[i].name);
        yyjson_mut_val *canonical = NULL;
        if (!value || yyjson_is_null(value)) {
            if (parameter[i].required)
                return error_set(err, ERROR_INVALID, "%s needs %s: %s", action_name(action),
                                 parameter[i].name, parameter[i].help),
                       NULL;
            int64_t number;
            if (!parameter[i].fallback)
                continue;
            canonical =
                parameter[i].type == PARAMETER_INTEGER && str_to_i64(str_of(parameter[i].fallback), &number)
                    ? yyjson_mut_sint(doc, number)
                    : yyjson_mut_str(doc, parameter[i].fallback);
        } else if (!(is_number_type(parameter[i].type)
                         ? check_number(&parameter[i], value, narrow, doc, &canonical, err)
                         : check_text(&parameter[i], value, doc, &canonical, err))) {
            return NULL;
        }
        yyjson_mut_obj_add_val(doc, checked, parameter[i].name, canonical);
    }
    return checked;
}

static void describe_number(const struct action_parameter *parameter, const struct action_bounds *narrow,
                            yyjson_mut_doc *doc, yyjson_mut_val *schema)
{
    char low_text[NUMBER_TEXT_MAX], high_text[NUMBER_TEXT_MAX], text[3 * NUMBER_TEXT_MAX];
    int64_t low, high;
    action_bounds_of(parameter, narrow, &low, &high);
    if (parameter->type == PARAMETER_INTEGER) {
        yyjson_mut_obj_add_str(doc, schema, "type", "integer");
        yyjson_mut_obj_add_sint(doc, schema, "minimum", low);
        yyjson_mut_obj_add_sint(doc, schema, "maximum", high);
        return;
    }
    static const char *const patterns[] = {
        [PARAMETER_CPU] = "^[0-9]{1,6}m?$",
        [PARAMETER_BYTES] = "^[0-9]{1,6}(Mi|Gi|Ti)$",
        [PARAMETER_DURATION] = "^[0-9]{1,5}(s|m|h|d)$",
    };
    yyjson_mut_obj_add_str(doc, schema, "type", "string");
    yyjson_mut_obj_add_str(doc, schema, "pattern", patterns[parameter->type]);
    snprintf(text, sizeof text, "from %s to %s", number_text(parameter->type, low, low_text),
             number_text(parameter->type, high, high_text));
    yyjson_mut_obj_add_strcpy(doc, schema, "x-range", text);
}

static void describe_text(const struct action_parameter *parameter, yyjson_mut_doc *doc,
                          yyjson_mut_val *schema)
{
    yyjson_mut_obj_add_str(doc, schema, "type", "string");
    switch (parameter->type) {
    case PARAMETER_CHOICE: {
        yyjson_mut_val *choices = yyjson_mut_obj_add_arr(doc, schema, "enum");
        for (const char *const *choice = parameter->choices; *choice; choice++)
            yyjson_mut_arr_add_str(doc, choices, *choice);
        break;
    }
    case PARAMETER_NAME:
        yyjson_mut_obj_add_str(doc, schema, "pattern", "^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$");
        break;
    case PARAMETER_PATH:
        yyjson_mut_obj_add_str(doc, schema, "pattern", "^/[a-zA-Z0-9/._-]{0,254}$");
        break;
    default:
        yyjson_mut_obj_add_uint(doc, schema, "maxLength", parameter->max_len);
    }
}

yyjson_mut_val *action_schema(enum action action, const struct action_bounds *narrow, yyjson_mut_doc *doc)
{
    yyjson_mut_val *schema = yyjson_mut_obj(doc), *required = yyjson_mut_arr(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    yyjson_mut_val *properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    const struct action_parameter *parameter = actions[action].parameters;
    for (int i = 0; i < ACTION_PARAMETERS_MAX && parameter[i].name; i++) {
        yyjson_mut_val *property = yyjson_mut_obj_add_obj(doc, properties, parameter[i].name);
        if (is_number_type(parameter[i].type))
            describe_number(&parameter[i], narrow, doc, property);
        else
            describe_text(&parameter[i], doc, property);
        yyjson_mut_obj_add_str(doc, property, "description", parameter[i].help);
        if (parameter[i].required)
            yyjson_mut_arr_add_str(doc, required, parameter[i].name);
    }
    yyjson_mut_obj_add_val(doc, schema, "required", required);
    yyjson_mut_obj_add_bool(doc, schema, "additionalProperties", false);
    return schema;
}
