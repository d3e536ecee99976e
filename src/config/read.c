/* A YAML tree into the struct, by the table of keys. Errors are gathered with their positions; reading goes on. */
#include "config/config_internal.h"

#include <stdio.h>

/* Where we are: the rows in question, the struct they fill, and how both are called. */
struct scope {
    const char *file;
    const struct config_key *keys;
    char *base;
    const char *name;                  /* "server", "server.credentials[0]" */
    const struct config_keys *section; /* NULL within an element of a list */
};

static const char *place(struct loader *loader, const char *file, int line, int column)
{
    return arena_printf(loader->arena, "%s:%d:%d", file, line, column);
}
static const char *place_of(struct loader *loader, const char *file, const struct yaml *node)
{
    return place(loader, file, node->line, node->column);
}
static const char *place_of_key(struct loader *loader, const char *file, const struct yaml *node)
{
    return place(loader, file, node->key_line, node->key_column);
}

static bool fail_kind(struct loader *loader, const char *where, const char *name, const char *expected,
                      const struct yaml *node)
{
    loader_fail(loader, where, "%s: expected %s, found %s", name, expected, yaml_kind_name(node->kind));
    return false;
}

static bool read_value(struct loader *loader, const struct scope *scope, const struct config_key *key,
                       const char *name, const struct yaml *node, void *field);

/* A scalar's text with ${VAR} replaced, by the row's type into the field. */
static bool read_scalar(struct loader *loader, const char *file, const struct config_key *key,
                        const char *name, const struct yaml *node, void *field)
{
    AUTO(error) struct error *err = NULL;
    struct str text = { 0 };
    if (value_expand(loader, node->text, &text, &err) && value_parse(loader, key, text, field, &err))
        return true;
    loader_fail(loader, place_of(loader, file, node), "%s: %s", name,
                key->flags & CONFIG_SECRET ? "this value cannot be used" : error_message(err));
    return false;
}

static bool read_texts(struct loader *loader, const char *file, const struct config_key *key,
                       const char *name, const struct yaml *node, struct config_texts *texts)
{
    struct config_key one = *key;
    one.type = CONFIG_TEXT;
    bool single = node->kind == YAML_SCALAR, ok = true;
    if (!single && node->kind != YAML_LIST)
        return fail_kind(loader, place_of(loader, file, node), name, "a list of texts", node);
    *texts = (struct config_texts){ ARENA_ARRAY(loader->arena, const char *, MAX(yaml_count(node), 1)), 0 };
    for (const struct yaml *item = single ? node : node->first; item; item = single ? NULL : item->next) {
        if (item->kind != YAML_SCALAR)
            ok = fail_kind(loader, place_of(loader, file, item), name, "a text", item);
        else
            ok = read_scalar(loader, file, &one, name, item, &texts->items[texts->count++]) && ok;
    }
    return ok;
}

static bool read_choices(struct loader *loader, const char *file, const struct config_key *key,
                         const char *name, const struct yaml *node, unsigned *bits)
{
    if (node->kind == YAML_SCALAR)
        return read_scalar(loader, file, key, name, node, bits);
    if (node->kind != YAML_LIST)
        return fail_kind(loader, place_of(loader, file, node), name, "a list", node);
    bool ok = true;
    *bits = 0;
    for (const struct yaml *item = node->first; item; item = item->next) {
        unsigned bit = 0;
        if (item->kind != YAML_SCALAR)
            ok = fail_kind(loader, place_of(loader, file, item), name, "a text", item);
        else
            ok = read_scalar(loader, file, key, name, item, &bit) && ok;
        *bits |= bit;
    }
    return ok;
}

/* name: text, or name: [texts] */
static bool read_pairs(struct loader *loader, const char *file, const struct config_key *key,
                       const char *name, const struct yaml *node, void *field)
{
    if (node->kind != YAML_MAP)
        return fail_kind(loader, place_of(loader, file, node), name, "a mapping", node);
    size_t count = yaml_count(node), at = 0;
    bool ok = true, lists = key->type == CONFIG_TEXTS_MAP;
    struct config_text_pair *texts =
        lists ? NULL : ARENA_ARRAY(loader->arena, struct config_text_pair, count + 1);
    struct config_texts_pair *many =
        lists ? ARENA_ARRAY(loader->arena, struct config_texts_pair, count + 1) : NULL;
    struct config_key one = *key;
    one.type = CONFIG_TEXT;
    for (const struct yaml *child = node->first; child; child = child->next, at++) {
        const char *child_name = arena_printf(loader->arena, "%s." STR_FMT, name, STR_ARG(child->key));
        const char *own = arena_text(loader->arena, child->key);
        if (lists) {
            many[at].name = own;
            ok = read_texts(loader, file, &one, child_name, child, &many[at].texts) && ok;
        } else {
            texts[at] = (struct config_text_pair){ own, "" };
            ok = (child->kind == YAML_NULL ||
                  (child->kind == YAML_SCALAR
                       ? read_scalar(loader, file, &one, child_name, child, &texts[at].text)
                       : fail_kind(loader, place_of(loader, file, child), child_name, "a text", child))) &&
                 ok;
        }
    }
    *(struct config_list *)field = (struct config_list){ lists ? (void *)many : (void *)texts, count };
    return ok;
}

static void read_map(struct loader *loader, const struct scope *scope, const char *prefix,
                     const struct yaml *node);

static void check_required(struct loader *loader, const struct scope *scope, const struct yaml *node)
{
    for (const struct config_key *key = scope->keys; key->name; key++)
        if ((key->flags & CONFIG_REQUIRED) && value_is_empty(key, scope->base + key->offset))
            loader_fail(loader, place_of(loader, scope->file, node), "%s: %s is missing", scope->name,
                        key->name);
}

static bool read_list(struct loader *loader, const char *file, const struct config_key *key, const char *name,
                      const struct yaml *node, struct config_list *list)
{
    if (node->kind == YAML_NULL) {
        *list = (struct config_list){ 0 };
        return true;
    }
    if (node->kind != YAML_LIST)
        return fail_kind(loader, place_of(loader, file, node), name, "a list", node);
    size_t count = yaml_count(node), size = key->element->size;
    char *items = arena_calloc(loader->arena, count + 1, size);
    *list = (struct config_list){ items, count };
    for (const struct yaml *item = node->first; item; item = item->next, items += size) {
        size_t index = (size_t)(items - (char *)list->items) / size;
        struct scope inner = { file, key->element->keys, items,
                               arena_printf(loader->arena, "%s[%zu]", name, index), NULL };
        read_defaults(loader, inner.keys, inner.base);
        if (item->kind != YAML_MAP) {
            fail_kind(loader, place_of(loader, file, item), inner.name, "a mapping", item);
            continue;
        }
        read_map(loader, &inner, "", item);
        check_required(loader, &inner, item);
    }
    return true;
}

static bool read_value(struct loader *loader, const struct scope *scope, const struct config_key *key,
                       const char *name, const struct yaml *node, void *field)
{
    const char *file = scope->file;
    switch (key->type) {
    case CONFIG_LIST:
        return read_list(loader, file, key, name, node, field);
    case CONFIG_TEXTS:
        return read_texts(loader, file, key, name, node, field);
    case CONFIG_CHOICES:
        return read_choices(loader, file, key, name, node, field);
    case CONFIG_TEXT_MAP:
    case CONFIG_TEXTS_MAP:
        return read_pairs(loader, file, key, name, node, field);
    default:
        if (node->kind == YAML_SCALAR)
            return read_scalar(loader, file, key, name, node, field);
        return fail_kind(loader, place_of(loader, file, node), name, "a single value", node);
    }
}

bool read_secret_file(struct loader *loader, const char *where, const char *path, struct str *secret)
{
    AUTO(strbuf) struct strbuf content = { 0 };
    AUTO(error) struct error *err = NULL;
    if (!file_read(path, CONFIG_SECRET_FILE_MAX, &content, &err)) {
        loader_fail(loader, where, "%s", error_message(err));
        return false;
    }
    struct config_private *private = loader->private;
    if (private->secrets_len == private->secrets_cap) {
        private->secrets_cap = MAX(8, private->secrets_cap * 2);
        private->secrets = xrealloc(private->secrets, private->secrets_cap * sizeof *private->secrets);
    }
    struct secret_file *file = &private->secrets[private->secrets_len++];
    file->path = arena_strdup(loader->arena, path);
    sha256_hex(strbuf_str(&content), file->hash);
    *secret = arena_str(loader->arena, str_trim(strbuf_str(&content)));
    if (secret->len == 0)
        loader_fail(loader, where, "%s is empty", path);
    return secret->len > 0;
}

/* A source's second word on the same value, under another name, must be the same word. */
static bool agrees(struct loader *loader, const struct config_slot *slot, const struct config_key *via,
                   enum config_source source, const char *where, const void *value, const void *field)
{
    if (slot->source != source || !slot->via || slot->via == via || value_equal(slot->key, value, field))
        return true;
    loader_fail(loader, where, "two names of one setting differ: %s was given at %s", slot->name,
                slot->where);
    return false;
}

/* Move a value that was read to `scratch` into its place, and remember where it came from. */
static void settle(struct loader *loader, const struct config_slot *named, enum config_source source,
                   const char *where, const void *scratch, size_t size)
{
    struct config_slot *slot = (struct config_slot *)slot_target(loader->private, named);
    void *field = slot_field(loader->config, slot);
    if (!agrees(loader, slot, named->key, source, where, scratch, field))
        return;
    memcpy(field, scratch, size);
    slot->source = source;
    slot->via = named->key;
    slot->where = where;
}

static size_t field_size(const struct config_key *key)
{
    static const size_t sizes[] = {
        [CONFIG_TEXT] = sizeof(char *),
        [CONFIG_BOOL] = sizeof(bool),
        [CONFIG_INT] = sizeof(int64_t),
        [CONFIG_NUMBER] = sizeof(double),
        [CONFIG_DURATION] = sizeof(int64_t),
        [CONFIG_SIZE] = sizeof(int64_t),
        [CONFIG_CHOICE] = sizeof(int),
        [CONFIG_TEXTS] = sizeof(struct config_texts),
        [CONFIG_CHOICES] = sizeof(unsigned),
        [CONFIG_TEXT_MAP] = sizeof(struct config_list),
        [CONFIG_TEXTS_MAP] = sizeof(struct config_list),
        [CONFIG_LIST] = sizeof(struct config_list),
    };
    return sizes[key->type];
}

static struct config_slot *slot_of(struct loader *loader, const struct scope *scope,
                                   const struct config_key *key)
{
    for (size_t i = 0; i < loader->private->slots_len && scope->section; i++)
        if (loader->private->slots[i].section == scope->section && loader->private->slots[i].key == key)
            return &loader->private->slots[i];
    return NULL;
}

/* A named key's value, in a section (which keeps its source) or in an element of a list. */
static void read_key(struct loader *loader, const struct scope *scope, const struct config_key *key,
                     const char *name, const struct yaml *node)
{
    struct config_slot *slot = slot_of(loader, scope, key);
    if (node->kind == YAML_NULL && key->type != CONFIG_LIST)
        return; /* "key:" with nothing after it: the default */
    if (!slot) {
        read_value(loader, scope, key, name, node, scope->base + key->offset);
        return;
    }
    union {
        struct config_list list;
        int64_t integer;
        double number;
    } scratch = { 0 };
    if (read_value(loader, scope, key, name, node, &scratch))
        settle(loader, slot, SOURCE_FILE, place_of(loader, scope->file, node), &scratch, field_size(key));
}

/* token_file: beside token. */
static bool read_file_key(struct loader *loader, const struct scope *scope, const char *prefix,
                          const struct yaml *map, const struct yaml *node)
{
    if (!str_ends_with(node->key, STR("_file")))
        return false;
    struct str leaf = str_slice(node->key, 0, node->key.len - 5);
    AUTO(text)
    char *wanted = xasprintf("%s" STR_FMT, prefix, STR_ARG(leaf)), *beside = xstrndup(leaf.ptr, leaf.len);
    const struct config_key *key = scope->keys;
    while (key->name && (!(key->flags & CONFIG_SECRET) || strcmp(key->name, wanted) != 0))
        key++;
    if (!key->name)
        return false;
    const char *where = place_of(loader, scope->file, node);
    struct yaml value = *node;
    const char *path = "", *name = arena_printf(loader->arena, "%s.%s_file", scope->name, wanted);
    struct config_key path_key = { .name = key->name, .type = CONFIG_TEXT };
    if (yaml_get(map, beside))
        loader_fail(loader, where, "%s: give %s or %s_file, not both", name, beside, beside);
    else if (node->kind != YAML_SCALAR)
        fail_kind(loader, where, name, "a path", node);
    else if (read_scalar(loader, scope->file, &path_key, name, node, &path) &&
             read_secret_file(loader, where, path, &value.text)) {
        struct config_slot *slot = slot_of(loader, scope, key);
        const char *secret = arena_text(loader->arena, value.text);
        if (slot)
            settle(loader, slot, SOURCE_FILE, where, &secret, sizeof secret);
        else
            *(const char **)(scope->base + key->offset) = secret;
    }
    return true;
}

static bool is_group(const struct config_key *keys, const char *name)
{
    size_t len = strlen(name);
    for (; keys->name; keys++)
        if (strncmp(keys->name, name, len) == 0 && keys->name[len] == '.')
            return true;
    return false;
}

static void fail_unknown(struct loader *loader, const struct scope *scope, const char *name,
                         const struct yaml *node)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    size_t count = 0, at = 0;
    for (const struct config_key *key = scope->keys; key->name; key++)
        count++;
    const char **names = ARENA_ARRAY(arena, const char *, 2 * count + 1);
    for (const struct config_key *key = scope->keys; key->name; key++) {
        names[at++] = arena_printf(arena, "%s.%s", scope->name, key->name);
        if (key->flags & CONFIG_SECRET)
            names[at++] = arena_printf(arena, "%s.%s_file", scope->name, key->name);
    }
    AUTO(text) char *full = xasprintf("%s.%s", scope->name, name);
    char text[CONFIG_NAME_MAX];
    const char *nearest = str_nearest(str_of(full), names, at);
    if (!nearest && scope->section)
        nearest = slot_nearest(loader->private, str_of(full), text);
    loader_fail(loader, place_of_key(loader, scope->file, node), "unknown key %s%s%s%s", full,
                nearest ? ": did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static void read_map(struct loader *loader, const struct scope *scope, const char *prefix,
                     const struct yaml *map)
{
    for (const struct yaml *node = map->first; node; node = node->next) {
        AUTO(text) char *name = xasprintf("%s" STR_FMT, prefix, STR_ARG(node->key));
        AUTO(text) char *inner = xasprintf("%s.", name), *full = xasprintf("%s.%s", scope->name, name);
        const struct config_key *key = scope->keys;
        while (key->name && strcmp(key->name, name) != 0)
            key++;
        if (key->name)
            read_key(loader, scope, key, full, node);
        else if (is_group(scope->keys, name) && node->kind == YAML_MAP)
            read_map(loader, scope, inner, node);
        else if (is_group(scope->keys, name) && node->kind != YAML_NULL)
            fail_kind(loader, place_of(loader, scope->file, node), full, "a mapping", node);
        else if (!is_group(scope->keys, name) && !read_file_key(loader, scope, prefix, map, node))
            fail_unknown(loader, scope, name, node);
    }
}

static const struct config_keys *find_section(struct str name)
{
    for (const struct config_keys *section = config_sections; section->name; section++)
        if (str_eq(str_of(section->name), name))
            return section;
    return NULL;
}

static void fail_unknown_section(struct loader *loader, const char *file, const struct yaml *node)
{
    const char *names[64];
    size_t count = 0;
    for (const struct config_keys *section = config_sections; section->name && count < ARRAY_LEN(names);
         section++)
        names[count++] = section->name;
    const char *nearest = str_nearest(node->key, names, count);
    loader_fail(loader, place_of_key(loader, file, node), "unknown key " STR_FMT "%s%s%s", STR_ARG(node->key),
                nearest ? ": did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

void read_tree(struct loader *loader, const char *file, const struct yaml *root)
{
    if (root->kind == YAML_NULL)
        return;
    if (root->kind != YAML_MAP) {
        fail_kind(loader, place_of(loader, file, root), "the file", "a mapping", root);
        return;
    }
    for (const struct yaml *node = root->first; node; node = node->next) {
        const struct config_keys *section = find_section(node->key);
        if (!section) {
            fail_unknown_section(loader, file, node);
            continue;
        }
        struct scope scope = { file, section->keys, (char *)loader->config + section->offset, section->name,
                               section };
        if (section->keys[0].name[0] == '\0') /* the section is one value: filters */
            read_key(loader, &scope, section->keys, section->name, node);
        else if (node->kind == YAML_MAP)
            read_map(loader, &scope, "", node);
        else if (node->kind != YAML_NULL)
            fail_kind(loader, place_of(loader, file, node), section->name, "a mapping", node);
    }
}

void read_defaults(struct loader *loader, const struct config_key *keys, char *base)
{
    for (const struct config_key *key = keys; key->name; key++) {
        if (key->same_as)
            continue;
        if (key->type == CONFIG_TEXT)
            *(const char **)(base + key->offset) = "";
        AUTO(error) struct error *err = NULL;
        if (key->def && !value_parse(loader, key, str_of(key->def), base + key->offset, &err))
            loader_fail(loader, "default", "%s: %s", key->name, error_message(err));
    }
}

/* From the environment or --set: a text, or YAML in flow style for what is more than that. */
void read_text(struct loader *loader, struct config_slot *slot, const char *where, enum config_source source,
               struct str text)
{
    const struct config_key *key = slot->key;
    union {
        struct config_list list;
        int64_t integer;
    } scratch = { 0 };
    AUTO(error) struct error *err = NULL;
    const char *name = slot->name;
    struct str trimmed = str_trim(text);
    bool ok, flow = !value_is_scalar(key) && trimmed.len && (trimmed.ptr[0] == '[' || trimmed.ptr[0] == '{');
    if (flow) {
        const struct yaml *node = yaml_parse(loader->arena, where, trimmed, &err);
        struct scope scope = { .file = where, .name = name };
        ok = node && read_value(loader, &scope, key, name, node, &scratch);
        if (!node)
            loader_fail(loader, NULL, "%s", error_message(err));
    } else {
        ok = value_parse(loader, key, text, &scratch, &err);
        if (!ok)
            loader_fail(loader, where, "%s",
                        key->flags & CONFIG_SECRET ? "this value cannot be used" : error_message(err));
    }
    if (ok)
        settle(loader, slot, source, where, &scratch, field_size(key));
}
