/* The configuration of a running process. A reload loads a whole new one and swaps it in; whoever holds the old one
 * keeps it until release. */
#include "config/config_internal.h"

#include <pthread.h>
#include <stdlib.h>

struct listener {
    config_changed_fn *changed;
    void *context;
    struct listener *next;
};

struct config_live {
    struct arena *arena;           /* of the copied options */
    struct config_options options; /* set at the start, read-only since */

    pthread_mutex_t reload_lock; /* one reload at a time; guards listeners */
    struct listener *listeners;

    pthread_mutex_t lock; /* guards current and every config's private->holders */
    struct config *current;
}; /* lock order: reload_lock, then lock */

static void copy_options(struct config_live *live, const struct config_options *options)
{
    size_t count = 0;
    while (options->set && options->set[count])
        count++;
    const char **set = ARENA_ARRAY(live->arena, const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        set[i] = arena_strdup(live->arena, options->set[i]);
    live->options =
        (struct config_options){ arena_strdup(live->arena, options->path), set, options->environment };
}

struct config_live *config_live_new_take(struct config *config, const struct config_options *options)
{
    struct config_live *live = xcalloc(1, sizeof *live);
    live->arena = arena_new(4096);
    pthread_mutex_init(&live->reload_lock, NULL);
    pthread_mutex_init(&live->lock, NULL);
    copy_options(live, options);
    live->current = config;
    config->private->holders = 1; /* ours */
    return live;
}

void config_live_free(struct config_live *live)
{
    if (!live)
        return;
    config_live_release(live, live->current);
    while (live->listeners) {
        struct listener *next = live->listeners->next;
        free(live->listeners);
        live->listeners = next;
    }
    pthread_mutex_destroy(&live->reload_lock);
    pthread_mutex_destroy(&live->lock);
    arena_free(live->arena);
    free(live);
}

const struct config *config_live_hold(struct config_live *live)
{
    pthread_mutex_lock(&live->lock);
    struct config *config = live->current;
    config->private->holders++;
    pthread_mutex_unlock(&live->lock);
    return config;
}

void config_live_release(struct config_live *live, const struct config *config)
{
    if (!config)
        return;
    pthread_mutex_lock(&live->lock);
    bool last = --config->private->holders == 0;
    pthread_mutex_unlock(&live->lock);
    if (last)
        config_free((struct config *)config); /* ours to free: callers only ever borrowed it */
}

void config_live_listen(struct config_live *live, config_changed_fn *changed, void *context)
{
    pthread_mutex_lock(&live->reload_lock);
    struct listener **tail = &live->listeners;
    while (*tail)
        tail = &(*tail)->next;
    *tail = xcalloc(1, sizeof **tail);
    **tail = (struct listener){ changed, context, NULL };
    pthread_mutex_unlock(&live->reload_lock);
}

/* Scalars only: a list that needs a restart would have to be compared deeply, and every list we have is reloadable. */
static void report_restarts(const struct config *before, const struct config *now)
{
    for (size_t i = 0; i < now->private->slots_len; i++) {
        const struct config_slot *slot = &now->private->slots[i];
        if ((slot->key->flags & CONFIG_RELOADABLE) || slot->key->same_as || !value_is_scalar(slot->key) ||
            value_equal(slot->key, slot_field(before, slot), slot_field(now, slot)))
            continue;
        log_warn("a changed key takes effect at the next start", KV("key", slot->name));
    }
}

static struct config *swap(struct config_live *live, struct config *now)
{
    pthread_mutex_lock(&live->lock);
    struct config *before = live->current;
    now->private->holders = 1;
    live->current = now;
    pthread_mutex_unlock(&live->lock);
    return before;
}

bool config_live_reload(struct config_live *live, struct error **err)
{
    pthread_mutex_lock(&live->reload_lock);
    struct config *now = config_load(&live->options, err);
    if (now) {
        struct config *before = swap(live, now);
        report_restarts(before, now);
        for (struct listener *listener = live->listeners; listener; listener = listener->next)
            listener->changed(before, now, listener->context);
        config_live_release(live, before);
    }
    pthread_mutex_unlock(&live->reload_lock);
    return now != NULL;
}
