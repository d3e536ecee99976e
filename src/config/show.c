/* `config show`: every effective value, as YAML with its source, or as JSON. */
#include "config/config_internal.h"

#include <stdlib.h>

/* JSON of any value; YAML reads JSON, so lists are shown this way in both. */
static void add_json(const struct config_key *key, const void *field, struct strbuf *out);

static void add_json_texts(const struct config_texts *texts, struct strbuf *out)
{
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < texts->count; i++) {
        strbuf_add_text(out, i ? ", " : "");
        strbuf_add_json(out, str_of(texts->items[i]));
    }
    strbuf_add_char(out, ']');
}

static void add_json_choices(const struct config_key *key, unsigned bits, struct strbuf *out)
{
    bool first = true;
    strbuf_add_char(out, '[');
    for (const struct config_choice *choice = key->choices; choice->name; choice++) {
        if (!(bits & BIT(choice->value)))
            continue;
        strbuf_addf(out, "%s\"%s\"", first ? "" : ", ", choice->name);
        first = false;
    }
    strbuf_add_char(out, ']');
}

static void add_json_pairs(const struct config_key *key, const void *field, struct strbuf *out)
{
    const struct config_text_map *texts = field;
    const struct config_texts_map *lists = field;
    strbuf_add_char(out, '{');
    for (size_t i = 0; i < texts->count; i++) {
        bool list = key->type == CONFIG_TEXTS_MAP;
        strbuf_add_text(out, i ? ", " : "");
        strbuf_add_json(out, str_of(list ? lists->items[i].name : texts->items[i].name));
        strbuf_add_text(out, ": ");
        if (list)
            add_json_texts(&lists->items[i].texts, out);
        else
            strbuf_add_json(out, str_of(texts->items[i].text));
    }
    strbuf_add_char(out, '}');
}

static bool is_group_end(const char *a, const char *b, size_t len)
{
    return !b || strncmp(a, b, len) != 0;
}

/* {"name": …, "auth": {"type": …}} from dotted names, which stand together in the table. */
static void add_json_keys(const struct config_key *keys, const char *base, size_t prefix, struct strbuf *out)
{
    strbuf_add_char(out, '{');
    bool first = true;
    for (const struct config_key *key = keys;
         key->name && (prefix == 0 || !is_group_end(keys->name, key->name, prefix));) {
        const char *rest = key->name + prefix, *dot = strchr(rest, '.');
        strbuf_add_text(out, first ? "" : ", ");
        first = false;
        strbuf_add_json(out, (struct str){ rest, dot ? (size_t)(dot - rest) : strlen(rest) });
        strbuf_add_text(out, ": ");
        if (!dot) {
            add_json(key, base + key->offset, out);
            key++;
            continue;
        }
        size_t inner = (size_t)(dot + 1 - key->name);
        add_json_keys(key, base, inner, out);
        for (const struct config_key *group = key; key->name && !is_group_end(group->name, key->name, inner);)
            key++;
    }
    strbuf_add_char(out, '}');
}

static void add_json_list(const struct config_key *key, const struct config_list *list, struct strbuf *out)
{
    strbuf_add_char(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        strbuf_add_text(out, i ? ", " : "");
        add_json_keys(key->element->keys, (const char *)list->items + i * key->element->size, 0, out);
    }
    strbuf_add_char(out, ']');
}

static void add_json_scalar(const struct config_key *key, const void *field, struct strbuf *out)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    value_format(key, field, &text);
    if (key->type == CONFIG_BOOL || key->type == CONFIG_INT || key->type == CONFIG_NUMBER)
        strbuf_add(out, strbuf_str(&text));
    else
        strbuf_add_json(out, strbuf_str(&text));
}

static void add_json(const struct config_key *key, const void *field, struct strbuf *out)
{
    switch (key->type) {
    case CONFIG_TEXTS:
        add_json_texts(field, out);
        break;
    case CONFIG_CHOICES:
        add_json_choices(key, *(const unsigned *)field, out);
        break;
    case CONFIG_TEXT_MAP:
    case CONFIG_TEXTS_MAP:
        add_json_pairs(key, field, out);
        break;
    case CONFIG_LIST:
        add_json_list(key, field, out);
        break;
    default:
        add_json_scalar(key, field, out);
    }
}

static const char *source_of(const struct config_slot *slot)
{
    static const char *const names[] = {
        [SOURCE_DEFAULT] = "default", [SOURCE_DERIVED] = "follows from other keys"
    };
    return slot->source == SOURCE_DEFAULT || slot->source == SOURCE_DERIVED ? names[slot->source]
                                                                            : slot->where;
}

static void add_source(const struct config_slot *slot, struct strbuf *out)
{
    strbuf_addf(out, "  # %s\n", source_of(slot));
}

const char *config_value_source(const struct config *config, const char *name)
{
    const struct config_slot *slot = slot_find(config->private, str_of(name));
    return slot ? source_of(slot_target(config->private, slot)) : NULL;
}

static void add_yaml_value(const struct config *config, const struct config_slot *slot, struct strbuf *out)
{
    const void *field = slot_field(config, slot);
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!value_is_scalar(slot->key)) {
        add_json(slot->key, field, out);
        return;
    }
    value_format(slot->key, field, &text);
    yaml_add_scalar(out, strbuf_str(&text));
}

/* "tls.cert_file" after "address": open the group; two levels are the deepest there are. */
static void add_yaml_key(const struct config *config, const struct config_slot *slot, const char **group,
                         struct strbuf *out)
{
    const char *name = slot->key->name, *dot = strchr(name, '.');
    size_t len = dot ? (size_t)(dot + 1 - name) : 0;
    if (dot && (!*group || strncmp(*group, name, len) != 0))
        strbuf_addf(out, "  %.*s:\n", (int)len - 1, name);
    *group = dot ? name : NULL;
    strbuf_addf(out, "%s%s: ", dot ? "    " : "  ", name + len);
    add_yaml_value(config, slot, out);
    add_source(slot, out);
}

void config_show_yaml(const struct config *config, struct strbuf *out)
{
    const struct config_keys *section = NULL;
    const char *group = NULL;
    for (size_t i = 0; i < config->private->slots_len; i++) {
        const struct config_slot *slot = &config->private->slots[i];
        if (slot->key->same_as)
            continue;
        if (slot->section != section) {
            section = slot->section;
            group = NULL;
            strbuf_addf(out, "%s:%s", section->name, *slot->key->name ? "\n" : " ");
        }
        if (*slot->key->name) {
            add_yaml_key(config, slot, &group, out);
            continue;
        }
        add_yaml_value(config, slot, out);
        add_source(slot, out);
    }
}

/* Another name of a key is left out: skip such rows where they stand first in their section. */
static const struct config_key *own_keys(const struct config_key *keys)
{
    while (keys->same_as)
        keys++;
    return keys;
}

void config_show_json(const struct config *config, struct strbuf *out)
{
    strbuf_add_char(out, '{');
    for (const struct config_keys *section = config_sections; section->name; section++) {
        const char *base = (const char *)config + section->offset;
        strbuf_addf(out, "%s\"%s\": ", section == config_sections ? "" : ",\n ", section->name);
        if (*section->keys[0].name)
            add_json_keys(own_keys(section->keys), base, 0, out);
        else
            add_json(section->keys, base + section->keys[0].offset, out);
    }
    strbuf_add_text(out, "}\n");
}

char *config_value_text(const struct config *config, const char *name)
{
    const struct config_slot *slot = slot_find(config->private, str_of(name));
    if (!slot || !value_is_scalar(slot->key))
        return NULL;
    AUTO(strbuf) struct strbuf text = { 0 };
    value_format(slot_target(config->private, slot)->key, slot_field(config, slot), &text);
    return strbuf_take(&text);
}
