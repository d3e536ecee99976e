#include "config/yaml.h"

#include <libfyaml.h>

#include <stdio.h>

/* libfyaml's document API would need a second look at each node for its position and resolves anchors into trees of
 * any size, so we build our own small tree from its events. */
struct builder {
    struct arena *arena;
    const char *name;
    struct fy_parser *parser;
    struct error **err;
};

static void parser_cleanup(struct fy_parser **parser)
{
    if (*parser)
        fy_parser_destroy(*parser);
}

/* unref() would leave the errors that it collected. */
static void diag_cleanup(struct fy_diag **diag)
{
    if (*diag)
        fy_diag_destroy(*diag);
}

static bool fail_at(struct builder *b, int line, int column, const char *what)
{
    return error_set(b->err, ERROR_INVALID, "%s:%d:%d: %s", b->name, line, column, what);
}

/* What libfyaml collected; it reports the first error only once per parse. */
static bool fail_parse(struct builder *b)
{
    void *at = NULL;
    struct fy_diag *diag = fy_parser_get_diag(b->parser);
    const struct fy_diag_error *found = diag ? fy_diag_errors_iterate(diag, &at) : NULL;
    bool failed = found ? fail_at(b, found->line, found->column, found->msg) : fail_at(b, 1, 1, "not YAML");
    if (diag)
        fy_diag_unref(diag);
    return failed;
}

static void set_position(struct yaml *node, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    node->line = mark ? mark->line + 1 : 1;
    node->column = mark ? mark->column + 1 : 1;
}

static bool is_null_text(struct str text)
{
    return text.len == 0 || str_eq(text, STR("~")) || str_eq_nocase(text, STR("null"));
}

static bool take_scalar(struct builder *b, struct yaml *node, struct fy_event *event)
{
    struct fy_token *token = event->scalar.value;
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : NULL;
    struct str value = { text, text ? len : 0 };
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    node->quoted = style != FYSS_PLAIN;
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
        node->column -= node->column > 1; /* the token begins after its quote */
    node->kind = !node->quoted && is_null_text(value) ? YAML_NULL : YAML_SCALAR;
    if (value.len && memchr(value.ptr, 0, value.len))
        return fail_at(b, node->line, node->column, "a NUL character is not allowed here");
    node->text = (struct str){ arena_text(b->arena, value), value.len };
    return true;
}

static bool refuse_extras(struct builder *b, const struct yaml *at, struct fy_event *event)
{
    if (event->type == FYET_ALIAS || fy_event_get_anchor_token(event))
        return fail_at(b, at->line, at->column, "anchors and aliases are not supported: write the value out");
    if (fy_event_get_tag_token(event))
        return fail_at(b, at->line, at->column, "tags are not supported: write the plain value");
    return true;
}

static bool take_node(struct builder *b, struct fy_event *event, unsigned depth, struct yaml *node);

static struct fy_event *next_event(struct builder *b)
{
    struct fy_event *event = fy_parser_parse(b->parser);
    if (!event)
        fail_parse(b);
    return event;
}

/* The event after this one as a child's beginning; *done if it ends the collection instead. */
static bool take_child(struct builder *b, enum fy_event_type end, unsigned depth, struct yaml *child,
                       bool *done)
{
    struct fy_event *event = next_event(b);
    if (!event)
        return false;
    *done = event->type == end;
    bool ok = *done || take_node(b, event, depth, child);
    fy_parser_event_free(b->parser, event);
    return ok;
}

static bool take_list(struct builder *b, struct yaml *list, unsigned depth)
{
    struct yaml **tail = &list->first;
    list->kind = YAML_LIST;
    for (;;) {
        struct yaml *item = ARENA_NEW(b->arena, struct yaml);
        bool done;
        if (!take_child(b, FYET_SEQUENCE_END, depth, item, &done))
            return false;
        if (done)
            return true;
        *tail = item;
        tail = &item->next;
    }
}

static bool check_key(struct builder *b, const struct yaml *map, const struct yaml *key)
{
    if (key->kind != YAML_SCALAR)
        return fail_at(b, key->line, key->column, "a key must be a plain text");
    for (const struct yaml *child = map->first; child; child = child->next) {
        if (!str_eq(child->key, key->text))
            continue;
        AUTO(text)
        char *what = xasprintf("the key \"" STR_FMT "\" is here a second time (first in line %d)",
                               STR_ARG(key->text), child->key_line);
        return fail_at(b, key->line, key->column, what);
    }
    return true;
}

static bool take_map(struct builder *b, struct yaml *map, unsigned depth)
{
    struct yaml **tail = &map->first;
    map->kind = YAML_MAP;
    for (size_t count = 0;; count++) {
        if (count > YAML_KEYS_MAX) /* each key is compared with all before it */
            return fail_at(b, map->line, map->column, "too many keys in one mapping");
        struct yaml key = { 0 };
        struct yaml *value = ARENA_NEW(b->arena, struct yaml);
        bool done;
        if (!take_child(b, FYET_MAPPING_END, depth, &key, &done))
            return false;
        if (done)
            return true;
        if (!check_key(b, map, &key) || !take_child(b, FYET_NONE, depth, value, &done))
            return false;
        value->key = key.text;
        value->key_line = key.line;
        value->key_column = key.column;
        *tail = value;
        tail = &value->next;
    }
}

static bool take_node(struct builder *b, struct fy_event *event, unsigned depth, struct yaml *node)
{
    set_position(node, event);
    if (!refuse_extras(b, node, event))
        return false;
    if (depth > YAML_DEPTH_MAX)
        return fail_at(b, node->line, node->column, "nested too deeply");
    switch (event->type) {
    case FYET_SCALAR:
        return take_scalar(b, node, event);
    case FYET_SEQUENCE_START:
        return take_list(b, node, depth + 1);
    case FYET_MAPPING_START:
        return take_map(b, node, depth + 1);
    default:
        return fail_at(b, node->line, node->column, "unexpected end");
    }
}

/* Stream and document markers carry nothing; the first content event starts the tree. */
static struct yaml *take_document(struct builder *b)
{
    struct yaml *root = NULL;
    for (;;) {
        struct fy_event *event = next_event(b);
        if (!event)
            return NULL;
        enum fy_event_type type = event->type;
        bool ok = true, content = type == FYET_SCALAR || type == FYET_SEQUENCE_START ||
                                  type == FYET_MAPPING_START || type == FYET_ALIAS;
        if (content && root)
            ok = fail_at(b, root->line, root->column, "one document is expected, and here are two");
        else if (content)
            ok = take_node(b, event, 0, root = ARENA_NEW(b->arena, struct yaml));
        fy_parser_event_free(b->parser, event);
        if (!ok)
            return NULL;
        if (type == FYET_STREAM_END)
            return root ? root : ARENA_NEW(b->arena, struct yaml);
    }
}

/* libfyaml takes bytes that are not UTF-8 for the end of the text, so we look first. */
static bool check_utf8(struct builder *b, struct str text)
{
    int line = 1, column = 1;
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t len = utf8_decode(str_slice(text, i, text.len), &code);
        if (code == UTF8_INVALID)
            return fail_at(b, line, column, "not valid UTF-8");
        line += code == '\n';
        column = code == '\n' ? 1 : column + 1;
        i += len;
    }
    return true;
}

struct yaml *yaml_parse(struct arena *arena, const char *name, struct str text, struct error **err)
{
    if (text.len > YAML_SIZE_MAX) {
        error_set(err, ERROR_LIMIT, "%s: larger than %d MiB", name, YAML_SIZE_MAX / 1024 / 1024);
        return NULL;
    }
    struct fy_diag_cfg diag_config = { .level = FYET_ERROR };
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    __attribute__((cleanup(diag_cleanup))) struct fy_diag *diag = fy_diag_create(&diag_config);
    if (diag)
        fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg config = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag };
    __attribute__((cleanup(parser_cleanup))) struct fy_parser *parser = fy_parser_create(&config);
    if (!parser || fy_parser_set_string(parser, text.len ? text.ptr : "", text.len) != 0) {
        error_set(err, ERROR_NO_MEMORY, "%s: the YAML parser could not be started", name);
        return NULL;
    }
    struct builder builder = { arena, name, parser, err };
    return check_utf8(&builder, text) ? take_document(&builder) : NULL;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
    for (const struct yaml *child = map && map->kind == YAML_MAP ? map->first : NULL; child;
         child = child->next)
        if (str_eq(child->key, str_of(key)))
            return child;
    return NULL;
}

size_t yaml_count(const struct yaml *node)
{
    size_t count = 0;
    for (const struct yaml *child = node ? node->first : NULL; child; child = child->next)
        count++;
    return count;
}

const char *yaml_kind_name(enum yaml_kind kind)
{
    static const char *const names[] = { "nothing", "a single value", "a list", "a mapping" };
    return names[kind];
}

/* Plain only where nobody can misread it: words, paths, numbers. Everything else goes in double quotes, as JSON does,
 * which YAML reads the same way. */
static bool is_plain(struct str text)
{
    if (is_null_text(text))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' ||
                    c == '_';
        if (!word && !(i > 0 && (c == '-' || c == '.' || (c == ':' && i + 1 < text.len))))
            return false;
    }
    return true;
}

void yaml_add_scalar(struct strbuf *out, struct str text)
{
    if (is_plain(text))
        strbuf_add(out, text);
    else
        strbuf_add_json(out, text);
}
