/* A policy file → struct policy. Everything in it is known or an error with its position. */
#include "policy/policy_internal.h"

#include <stdarg.h>
#include <stdio.h>

enum { FILE_SIZE_MAX = 1024 * 1024, MESSAGE_MAX = 400 };

bool policy_read_fail(const struct reading *in, const struct yaml *at, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(in->err, ERROR_INVALID, "%s:%d:%d: %s", in->policy->name, at->line, at->column, text);
}

bool policy_read_known_keys(const struct reading *in, const struct yaml *map, const char *what,
                            const char *const *keys)
{
    if (map->kind != YAML_MAP)
        return policy_read_fail(in, map, "%s is a mapping, and here is %s", what, yaml_kind_name(map->kind));
    size_t count = 0;
    while (keys[count])
        count++;
    for (const struct yaml *child = map->first; child; child = child->next) {
        size_t i = 0;
        while (i < count && !str_eq(child->key, str_of(keys[i])))
            i++;
        if (i < count)
            continue;
        const char *near = str_nearest(child->key, keys, count);
        struct yaml at = { .line = child->key_line, .column = child->key_column };
        return policy_read_fail(in, &at, "%s has no `%.*s`%s%s%s", what, (int)MIN(child->key.len, 64),
                                child->key.ptr, near ? ": did you mean `" : "", near ? near : "",
                                near ? "`?" : "");
    }
    return true;
}

bool policy_read_text(const struct reading *in, const struct yaml *map, const char *key, bool required,
                      struct str *text)
{
    const struct yaml *node = yaml_get(map, key);
    *text = (struct str){ "", 0 };
    if (!node || node->kind == YAML_NULL)
        return !required || policy_read_fail(in, map, "`%s` is missing", key);
    if (node->kind != YAML_SCALAR)
        return policy_read_fail(in, node, "`%s` is a single value, and here is %s", key,
                                yaml_kind_name(node->kind));
    *text = node->text;
    return (text->len || !required) || policy_read_fail(in, node, "`%s` is empty", key);
}

/* One value, or a list of them. */
bool policy_read_patterns(const struct reading *in, const struct yaml *map, const char *key,
                          struct patterns *patterns)
{
    const struct yaml *node = yaml_get(map, key);
    if (!node || node->kind == YAML_NULL)
        return true;
    if (node->kind == YAML_MAP)
        return policy_read_fail(in, node, "`%s` is a value or a list of values", key);
    size_t count = node->kind == YAML_LIST ? yaml_count(node) : 1;
    if (count == 0 || count > POLICY_PATTERNS_MAX)
        return policy_read_fail(in, node, "`%s` has %s values", key, count ? "too many" : "no");
    patterns->items = ARENA_ARRAY(in->policy->arena, struct str, count);
    for (const struct yaml *item = node->kind == YAML_LIST ? node->first : node; item;
         item = node->kind == YAML_LIST ? item->next : NULL) {
        if (item->kind != YAML_SCALAR || !item->text.len)
            return policy_read_fail(in, item, "`%s` holds something that is no text", key);
        patterns->items[patterns->count++] = item->text;
    }
    return true;
}

bool policy_read_actions(const struct reading *in, const struct yaml *map, const char *key, uint32_t *set)
{
    struct patterns patterns = { 0 };
    if (!policy_read_patterns(in, map, key, &patterns))
        return false;
    if (patterns.count)
        *set = 0;
    for (size_t i = 0; i < patterns.count; i++) {
        uint32_t found = 0;
        for (int action = 0; action < ACTION_COUNT; action++)
            if (policy_pattern_matches(patterns.items[i], str_of(action_name((enum action)action))))
                found |= BIT(action);
        if (!found)
            return policy_read_fail(in, yaml_get(map, key), "there is no action `%.*s`: see `actions list`",
                                    (int)MIN(patterns.items[i].len, 64), patterns.items[i].ptr);
        *set |= found;
    }
    return true;
}

bool policy_read_verdict(const struct reading *in, const struct yaml *map, const char *key,
                         enum verdict *verdict)
{
    struct str text;
    if (!policy_read_text(in, map, key, true, &text))
        return false;
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (str_eq(text, str_of(verdict_names[i])) ||
            (i == VERDICT_REQUIRE_APPROVAL &&
             (str_eq(text, STR("require-approval")) || str_eq(text, STR("require approval"))))) {
            *verdict = (enum verdict)i;
            return true;
        }
    return policy_read_fail(in, yaml_get(map, key), "`%s` is allow, deny or require_approval", key);
}

static bool read_freeze(const struct reading *in, const struct yaml *node, struct freeze *freeze)
{
    static const char *const keys[] = { "name", "window",     "except", "days", "from",
                                        "to",   "utc_offset", "starts", "ends", NULL };
    struct str window;
    if (!policy_read_known_keys(in, node, "a freeze", keys) ||
        !policy_read_text(in, node, "name", true, &freeze->name) ||
        !policy_read_actions(in, node, "except", &freeze->except) ||
        !policy_read_text(in, node, "window", false, &window))
        return false;
    if (!window.len) {
        struct window *own = ARENA_NEW(in->policy->arena, struct window);
        freeze->window = own;
        return policy_read_window(in, node, own);
    }
    for (const struct window *w = in->policy->windows; w; w = w->next)
        if (str_eq(w->name, window))
            freeze->window = w;
    return freeze->window || policy_read_fail(in, yaml_get(node, "window"), "there is no window `%.*s`",
                                              (int)MIN(window.len, 64), window.ptr);
}

static bool read_windows(const struct reading *in, const struct yaml *map)
{
    static const char *const keys[] = { "days", "from", "to", "utc_offset", "starts", "ends", NULL };
    if (map->kind != YAML_MAP)
        return policy_read_fail(in, map, "`windows` is a mapping of names to windows");
    for (const struct yaml *node = map->first; node; node = node->next) {
        struct window *window = ARENA_NEW(in->policy->arena, struct window);
        if (!policy_read_known_keys(in, node, "a window", keys) || !policy_read_window(in, node, window))
            return false;
        window->name = node->key;
        window->next = in->policy->windows;
        in->policy->windows = window;
    }
    return true;
}

/* Lists of structs that begin as zeros and are joined by `next`, in the file's order. */
#define READ_LIST(in, root, key, type, list, initial, read)                                                  \
    do {                                                                                                     \
        const struct yaml *list_ = yaml_get(root, key);                                                      \
        struct type **tail_ = &(list);                                                                       \
        if (!list_ || list_->kind == YAML_NULL)                                                              \
            break;                                                                                           \
        if (list_->kind != YAML_LIST || yaml_count(list_) > POLICY_RULES_MAX)                                \
            return policy_read_fail(in, list_, "`" key "` is a list of at most %d entries",                  \
                                    POLICY_RULES_MAX);                                                       \
        for (const struct yaml *node_ = list_->first; node_; node_ = node_->next) {                          \
            struct type *item_ = ARENA_NEW((in)->policy->arena, struct type);                                \
            *item_ = (struct type)initial;                                                                   \
            if (!read(in, node_, item_))                                                                     \
                return false;                                                                                \
            *tail_ = item_;                                                                                  \
            tail_ = &item_->next;                                                                            \
        }                                                                                                    \
    } while (0)

static bool read_root(const struct reading *in, const struct yaml *root)
{
    static const char *const keys[] = { "version", "windows", "freeze", "bounds",
                                        "limits",  "rules",   "tests",  NULL };
    struct policy *policy = in->policy;
    struct str version;
    if (root->kind == YAML_NULL)
        return true;
    if (!policy_read_known_keys(in, root, "a policy", keys) ||
        !policy_read_text(in, root, "version", true, &version))
        return false;
    if (!str_eq(version, STR("1")))
        return policy_read_fail(in, yaml_get(root, "version"), "this program reads policy version 1");
    const struct yaml *windows = yaml_get(root, "windows"), *bounds = yaml_get(root, "bounds");
    if ((windows && windows->kind != YAML_NULL && !read_windows(in, windows)) ||
        (bounds && bounds->kind != YAML_NULL && !policy_read_bounds(in, bounds)))
        return false;
    READ_LIST(in, root, "freeze", freeze, policy->freezes, { 0 }, read_freeze);
    if (yaml_get(root, "limits"))
        policy->limits = NULL;
    READ_LIST(in, root, "limits", limit, policy->limits, { .executions = -1 }, policy_read_limit);
    READ_LIST(in, root, "rules", rule, policy->rules, { .actions = ACTION_SET_ALL }, policy_read_rule);
    READ_LIST(in, root, "tests", example, policy->examples, { 0 }, policy_read_example);
    return true;
}

static struct policy *policy_new(const char *name)
{
    struct arena *arena = arena_new(16 * 1024);
    struct policy *policy = ARENA_NEW(arena, struct policy);
    policy->arena = arena;
    policy->name = arena_strdup(arena, name);
    policy->limits = policy_default_limits;
    return policy;
}

struct policy *policy_parse(const char *name, struct str text, struct error **err)
{
    AUTO(policy) struct policy *policy = policy_new(name);
    sha256_hex(text, policy->sha256);
    struct reading in = { policy, err };
    const struct yaml *root = yaml_parse(policy->arena, policy->name, text, err);
    if (!root || !read_root(&in, root))
        return NULL;
    return STEAL(policy);
}

struct policy *policy_open(const char *path, struct error **err)
{
    if (!path || !path[0])
        return policy_new("default policy");
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(path, FILE_SIZE_MAX, &text, err)) {
        error_wrap(err, "policy");
        return NULL;
    }
    return policy_parse(path, strbuf_str(&text), err);
}

void policy_free(struct policy *policy)
{
    if (policy)
        arena_free(policy->arena);
}

const char *policy_sha256(const struct policy *policy)
{
    return policy->sha256;
}
