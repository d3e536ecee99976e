/* The watch cache: a thread for each kind follows a watch and keeps, of each object, the few fields that decisions ask
 * for, in one piece of memory. Whole objects would take twenty times as much. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

enum { KINDS_MAX = 24, BUCKETS_FIRST = 1024, AGAIN_MS = 30 * 1000, LABELS_MAX = 64, LABELS_TEXT_MAX = 4096 };

struct entry {
    struct entry *next;
    uint64_t hash;
    unsigned round; /* of the list in which it was last seen */
    uint32_t bytes;
    struct k8s_item item; /* its texts follow */
};
struct kind {
    struct k8s_cache *cache;
    const struct k8s_resource *resource;
    pthread_t thread;

    /* Guarded by the cache's lock. */
    bool is_listed;
    unsigned round;
    int64_t heard_mono_ms;
    char failed[200];
};
struct k8s_cache {
    struct k8s *k8s;
    char *namespace;
    void (*changed)(enum k8s_change change, const struct k8s_item *item, void *context);
    void *context;
    struct kind kinds[KINDS_MAX];
    size_t kinds_len;
    atomic_bool stop;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t heard;
    struct entry **buckets;
    size_t buckets_len, count, bytes;
    uint64_t events, relists;
    char failed_text[320]; /* what stats points at */
};

/* ---- one object in few bytes ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "app=web,tier=front", sorted. */
static void add_labels(yyjson_val *labels, struct strbuf *out)
{
    char *pairs[LABELS_MAX];
    size_t i, len, count = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(labels, i, len, key, value) if (count < LABELS_MAX && yyjson_is_str(value))
        pairs[count++] = xasprintf("%s=%s", yyjson_get_str(key), yyjson_get_str(value));
    qsort(pairs, count, sizeof *pairs, compare_texts);
    for (size_t n = 0; n < count; n++) {
        if (out->len < LABELS_TEXT_MAX)
            strbuf_addf(out, "%s%s", n ? "," : "", pairs[n]);
        free(pairs[n]);
    }
}

static void add_claims(yyjson_val *pod, struct strbuf *out)
{
    size_t i, count;
    yyjson_val *volume;
    yyjson_arr_foreach(k8s_at(pod, "/spec/volumes"), i, count, volume)
    {
        const char *claim = k8s_text_at(volume, "/persistentVolumeClaim/claimName");
        if (*claim)
            strbuf_addf(out, "%s%s", out->len ? "," : "", claim);
    }
}

static struct entry *pack(const struct k8s_resource *resource, yyjson_val *object, uint64_t hash)
{
    AUTO(strbuf) struct strbuf labels = { 0 }, claims = { 0 };
    struct summary s = summarise(resource->kind, object);
    yyjson_val *owner = k8s_controller_of(object);
    add_labels(k8s_at(object, "/metadata/labels"), &labels);
    add_claims(object, &claims);
    struct k8s_item item = {
        .resource = resource,
        .namespace = k8s_text_at(object, "/metadata/namespace"),
        .name = k8s_text_at(object, "/metadata/name"),
        .uid = k8s_text_at(object, "/metadata/uid"),
        .resource_version = k8s_text_at(object, "/metadata/resourceVersion"),
        .owner_kind = k8s_text_at(owner, "/kind"),
        .owner_name = k8s_text_at(owner, "/name"),
        .owner_uid = k8s_text_at(owner, "/uid"),
        .node = k8s_text_at(object, "/spec/nodeName"),
        .phase = s.phase,
        .reason = s.reason,
        .labels = labels.len ? labels.ptr : "",
        .claims = claims.len ? claims.ptr : "",
        .replicas = s.replicas,
        .ready = s.ready,
        .restarts = s.restarts,
        .is_ready = s.is_ready,
        .is_unschedulable = s.is_unschedulable,
        .is_deleting = k8s_at(object, "/metadata/deletionTimestamp") != NULL,
        .created = k8s_time_at(object, "/metadata/creationTimestamp"),
    };
    const char **texts[] = { &item.namespace,  &item.name,       &item.uid,       &item.resource_version,
                             &item.owner_kind, &item.owner_name, &item.owner_uid, &item.node,
                             &item.phase,      &item.reason,     &item.labels,    &item.claims };
    size_t bytes = sizeof(struct entry);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        bytes += **texts[i] ? strlen(*texts[i]) + 1 : 0;
    struct entry *entry = xmalloc(bytes);
    char *at = (char *)(entry + 1);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!**texts[i]) {
            *texts[i] = "";
            continue;
        }
        char *copy = at;
        at = stpcpy(at, *texts[i]) + 1;
        *texts[i] = copy;
    }
    *entry = (struct entry){ .hash = hash, .bytes = (uint32_t)bytes, .item = item };
    return entry;
}

/* ---- the table ---- */

static uint64_t hash_of(const struct k8s_resource *resource, const char *namespace, const char *name)
{
    uint64_t hash = str_hash(str_of(resource->kind), str_hash(str_of(resource->group), 0));
    return str_hash(str_of(name), str_hash(str_of(namespace), hash));
}

static bool is_of(const struct k8s_resource *a, const struct k8s_resource *b)
{
    return a == b || (!strcmp(a->kind, b->kind) && !strcmp(a->group, b->group));
}

static struct entry **find(struct k8s_cache *cache, const struct k8s_resource *resource,
                           const char *namespace, const char *name, uint64_t hash)
{
    struct entry **at = &cache->buckets[hash & (cache->buckets_len - 1)];
    for (; *at; at = &(*at)->next)
        if ((*at)->hash == hash && is_of((*at)->item.resource, resource) && !strcmp((*at)->item.name, name) &&
            !strcmp((*at)->item.namespace, namespace))
            break;
    return at;
}

static void grow(struct k8s_cache *cache)
{
    size_t len = cache->buckets_len * 2;
    struct entry **buckets = xcalloc(len, sizeof *buckets);
    for (size_t i = 0; i < cache->buckets_len; i++)
        for (struct entry *entry = cache->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (len - 1)];
            buckets[entry->hash & (len - 1)] = entry;
        }
    free(cache->buckets);
    cache->buckets = buckets;
    cache->buckets_len = len;
}

static struct entry *unlink_entry(struct k8s_cache *cache, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    cache->count--;
    cache->bytes -= entry->bytes;
    return entry;
}

static void put(struct k8s_cache *cache, struct entry *entry)
{
    if (cache->count >= cache->buckets_len)
        grow(cache);
    struct entry **head = &cache->buckets[entry->hash & (cache->buckets_len - 1)];
    entry->next = *head;
    *head = entry;
    cache->count++;
    cache->bytes += entry->bytes;
}

static void tell(struct k8s_cache *cache, enum k8s_change change, const struct k8s_item *item)
{
    if (cache->changed)
        cache->changed(change, item, cache->context);
}

/* ---- changes ---- */

static void take_object(struct kind *kind, enum k8s_change change, yyjson_val *object)
{
    struct k8s_cache *cache = kind->cache;
    const char *namespace = k8s_text_at(object, "/metadata/namespace"),
               *name = k8s_text_at(object, "/metadata/name");
    uint64_t hash = hash_of(kind->resource, namespace, name);
    struct entry *fresh = change == K8S_DELETED ? NULL : pack(kind->resource, object, hash);
    pthread_mutex_lock(&cache->lock);
    struct entry **at = find(cache, kind->resource, namespace, name, hash);
    struct entry *old = *at ? unlink_entry(cache, at) : NULL;
    if (fresh) {
        fresh->round = kind->round;
        put(cache, fresh);
    }
    cache->events++;
    kind->heard_mono_ms = clock_mono_ms();
    bool same = old && fresh && !strcmp(old->item.resource_version, fresh->item.resource_version);
    if (!same && (fresh || old))
        tell(cache, fresh ? old ? K8S_MODIFIED : K8S_ADDED : K8S_DELETED, fresh ? &fresh->item : &old->item);
    pthread_mutex_unlock(&cache->lock);
    free(old);
}

/* What the new list did not name is gone. */
static void drop_unseen(struct kind *kind)
{
    struct k8s_cache *cache = kind->cache;
    for (size_t i = 0; i < cache->buckets_len; i++)
        for (struct entry **at = &cache->buckets[i]; *at;) {
            if ((*at)->item.resource != kind->resource || (*at)->round == kind->round) {
                at = &(*at)->next;
                continue;
            }
            struct entry *gone = unlink_entry(cache, at);
            tell(cache, K8S_DELETED, &gone->item);
            free(gone);
        }
}

static bool take_change(enum k8s_change change, yyjson_val *object, void *context)
{
    struct kind *kind = context;
    struct k8s_cache *cache = kind->cache;
    if (object) {
        take_object(kind, change, object);
        return !atomic_load(&cache->stop);
    }
    pthread_mutex_lock(&cache->lock);
    kind->heard_mono_ms = clock_mono_ms();
    kind->failed[0] = 0;
    if (change == K8S_LISTING) {
        kind->round++;
        cache->relists += kind->is_listed;
    }
    if (change == K8S_SYNCED) {
        drop_unseen(kind);
        kind->is_listed = true;
    }
    pthread_cond_broadcast(&cache->heard);
    pthread_mutex_unlock(&cache->lock);
    return !atomic_load(&cache->stop);
}

static void *follow(void *context)
{
    struct kind *kind = context;
    struct k8s_cache *cache = kind->cache;
    struct k8s_watch_options options = { .stop = &cache->stop };
    while (!atomic_load(&cache->stop)) {
        struct error *why = NULL;
        if (k8s_watch(cache->k8s, kind->resource, cache->namespace, &options, take_change, kind, &why))
            continue;
        pthread_mutex_lock(&cache->lock);
        snprintf(kind->failed, sizeof kind->failed, "%s", error_message(why));
        pthread_cond_broadcast(&cache->heard);
        pthread_mutex_unlock(&cache->lock);
        log_warn("a kind cannot be watched", KV("kind", kind->resource->kind),
                 KV("error", error_message(why)));
        error_free(why);
        for (int64_t until = clock_mono_ms() + AGAIN_MS;
             clock_mono_ms() < until && !atomic_load(&cache->stop);)
            clock_sleep_ms(100);
    }
    return NULL;
}

/* ---- starting and stopping ---- */

static const struct k8s_resource *const usual[] = { &k8s_pods,        &k8s_nodes,        &k8s_deployments,
                                                    &k8s_replicasets, &k8s_statefulsets, &k8s_daemonsets,
                                                    &k8s_pvcs,        &k8s_hpas,         NULL };

struct k8s_cache *k8s_cache_start(struct k8s *k8s, const struct k8s_cache_options *options)
{
    static const struct k8s_cache_options defaults;
    options = options ? options : &defaults;
    struct k8s_cache *cache = xcalloc(1, sizeof *cache);
    cache->k8s = k8s_session(k8s, &(struct k8s_session_options){ .writes = K8S_WRITES_NONE });
    cache->namespace = xstrdup(options->namespace ? options->namespace : "");
    cache->changed = options->changed;
    cache->context = options->context;
    cache->buckets_len = BUCKETS_FIRST;
    cache->buckets = xcalloc(BUCKETS_FIRST, sizeof *cache->buckets);
    pthread_mutex_init(&cache->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cache->heard, &attributes);
    pthread_condattr_destroy(&attributes);
    const struct k8s_resource *const *resources = options->resources ? options->resources : usual;
    while (resources[cache->kinds_len] && cache->kinds_len < KINDS_MAX) {
        cache->kinds[cache->kinds_len] =
            (struct kind){ .cache = cache, .resource = resources[cache->kinds_len] };
        cache->kinds_len++;
    }
    for (size_t i = 0; i < cache->kinds_len; i++)
        if (pthread_create(&cache->kinds[i].thread, NULL, follow, &cache->kinds[i]) != 0)
            abort();
    return cache;
}

void k8s_cache_stop(struct k8s_cache *cache)
{
    if (!cache)
        return;
    atomic_store(&cache->stop, true);
    for (size_t i = 0; i < cache->kinds_len; i++)
        pthread_join(cache->kinds[i].thread, NULL);
    for (size_t i = 0; i < cache->buckets_len; i++)
        for (struct entry *entry = cache->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    free(cache->buckets);
    k8s_close(cache->k8s);
    free(cache->namespace);
    pthread_mutex_destroy(&cache->lock);
    pthread_cond_destroy(&cache->heard);
    free(cache);
}

/* ---- asking ---- */

static bool all_heard(const struct k8s_cache *cache, int64_t max_age_ms)
{
    for (size_t i = 0; i < cache->kinds_len; i++) {
        const struct kind *kind = &cache->kinds[i];
        if (!kind->is_listed || *kind->failed ||
            (max_age_ms && clock_mono_ms() - kind->heard_mono_ms > max_age_ms))
            return false;
    }
    return true;
}

bool k8s_cache_synced(struct k8s_cache *cache, int64_t max_age_ms, int64_t wait_ms)
{
    int64_t until_ms = clock_mono_ms() + wait_ms;
    struct timespec until = { until_ms / 1000, until_ms % 1000 * 1000000 };
    pthread_mutex_lock(&cache->lock);
    bool heard = all_heard(cache, max_age_ms);
    while (!heard && pthread_cond_timedwait(&cache->heard, &cache->lock, &until) == 0)
        heard = all_heard(cache, max_age_ms);
    pthread_mutex_unlock(&cache->lock);
    return heard;
}

bool k8s_cache_get(struct k8s_cache *cache, const struct k8s_ref *ref, struct arena *arena,
                   struct k8s_item *item)
{
    const char *namespace = ref->resource->namespaced && ref->namespace ? ref->namespace : "";
    uint64_t hash = hash_of(ref->resource, namespace, ref->name);
    pthread_mutex_lock(&cache->lock);
    const struct entry *entry = *find(cache, ref->resource, namespace, ref->name, hash);
    if (entry) {
        *item = entry->item;
        const char **texts[] = { &item->namespace,        &item->name,       &item->uid,
                                 &item->resource_version, &item->owner_kind, &item->owner_name,
                                 &item->owner_uid,        &item->node,       &item->phase,
                                 &item->reason,           &item->labels,     &item->claims };
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            *texts[i] = arena_strdup(arena, *texts[i]);
    }
    pthread_mutex_unlock(&cache->lock);
    return entry;
}

static bool passes(const struct k8s_filter *filter, const struct k8s_item *item)
{
    return (!filter->resource || is_of(filter->resource, item->resource)) &&
           (!filter->namespace || !*filter->namespace || !strcmp(filter->namespace, item->namespace)) &&
           (!filter->owner_uid || !strcmp(filter->owner_uid, item->owner_uid)) &&
           (!filter->node || !strcmp(filter->node, item->node));
}

size_t k8s_cache_each(struct k8s_cache *cache, const struct k8s_filter *filter, k8s_each *each, void *context)
{
    size_t count = 0;
    bool more = true;
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->buckets_len && more; i++)
        for (struct entry *entry = cache->buckets[i]; entry && more; entry = entry->next)
            if (passes(filter, &entry->item)) {
                count++;
                more = !each || each(&entry->item, context);
            }
    pthread_mutex_unlock(&cache->lock);
    return count;
}

void k8s_cache_stats(struct k8s_cache *cache, struct k8s_cache_stats *stats)
{
    int64_t now = clock_mono_ms();
    *stats = (struct k8s_cache_stats){ .failed = "" };
    pthread_mutex_lock(&cache->lock);
    stats->items = cache->count;
    stats->bytes = cache->bytes + cache->buckets_len * sizeof *cache->buckets;
    stats->events = cache->events;
    stats->relists = cache->relists;
    for (size_t i = 0; i < cache->kinds_len; i++) {
        const struct kind *kind = &cache->kinds[i];
        stats->oldest_ms = MAX(stats->oldest_ms, kind->heard_mono_ms ? now - kind->heard_mono_ms : INT64_MAX);
        if (*kind->failed) {
            snprintf(cache->failed_text, sizeof cache->failed_text, "%s: %s", kind->resource->kind,
                     kind->failed);
            stats->failed = cache->failed_text;
        }
    }
    pthread_mutex_unlock(&cache->lock);
}
