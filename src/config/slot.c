/* The rows of all sections as one flat list, with where each value came from. */
#include "config/config_internal.h"

#include <stdio.h>

static const char *name_of(struct arena *arena, const struct config_keys *section,
                           const struct config_key *key)
{
    return *key->name ? arena_printf(arena, "%s.%s", section->name, key->name) : section->name;
}

void slots_make(struct config_private *private)
{
    size_t count = 0;
    for (const struct config_keys *section = config_sections; section->name; section++)
        for (const struct config_key *key = section->keys; key->name; key++)
            count++;
    private->slots = ARENA_ARRAY(private->arena, struct config_slot, count);
    for (const struct config_keys *section = config_sections; section->name; section++)
        for (const struct config_key *key = section->keys; key->name; key++)
    private->slots[private->slots_len++] =
        (struct config_slot){ .section = section, .key = key, .name = name_of(private->arena, section, key) };
}

struct config_slot *slot_find(const struct config_private *private, struct str name)
{
    for (size_t i = 0; i < private->slots_len; i++)
        if (str_eq(str_of(private->slots[i].name), name))
            return &private->slots[i];
    return NULL;
}

/* The slot that holds the value: itself, or the one that it is another name of. */
const struct config_slot *slot_target(const struct config_private *private, const struct config_slot *slot)
{
    return slot->key->same_as ? slot_find(private, str_of(slot->key->same_as)) : slot;
}

void *slot_field(const struct config *config, const struct config_slot *slot)
{
    const struct config_slot *target = slot_target(config->private, slot);
    return (char *)config + target->section->offset + target->key->offset;
}

const char *slot_nearest(const struct config_private *private, struct str name, char text[CONFIG_NAME_MAX])
{
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    const char **names = ARENA_ARRAY(arena, const char *, private->slots_len);
    for (size_t i = 0; i < private->slots_len; i++)
        names[i] = private->slots[i].name;
    const char *nearest = str_nearest(name, names, private->slots_len);
    if (nearest)
        snprintf(text, CONFIG_NAME_MAX, "%s", nearest);
    return nearest ? text : NULL;
}
