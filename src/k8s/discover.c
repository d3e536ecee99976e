/* What the cluster serves, and what we may do there. Groups are asked through GET /apis, never by trying: a request that
 * RBAC refuses is 403 for groups that do not exist too. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

enum { FRESH_MS = 5 * 60 * 1000 };

struct found { /* one group and version; what it serves */
    char *group, *version;
    struct k8s_resource *resources;
    size_t count;
    struct found *next;
};
struct discovery {
    pthread_mutex_t lock; /* guards everything; held while asking, so that it is asked once */
    struct arena *arena;  /* resources live as long as the client: what was found once stays in it */
    struct k8s_object *groups;
    int64_t groups_mono_ms;
    struct found *found;
};

struct discovery *discovery_new(void)
{
    struct discovery *d = xcalloc(1, sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    d->arena = arena_new(8 * 1024);
    return d;
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    k8s_object_free(d->groups);
    arena_free(d->arena);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static struct k8s_object *get_json(struct k8s *k8s, const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    if (!k8s_raw(k8s, path, NULL, &body, err))
        return NULL;
    return k8s_object_parse(strbuf_str(&body), err);
}

static bool load_groups(struct k8s *k8s, struct discovery *d, struct error **err)
{
    if (d->groups && clock_mono_ms() - d->groups_mono_ms < FRESH_MS)
        return true;
    struct k8s_object *groups = get_json(k8s, "/apis", err);
    if (!groups)
        return error_wrap(err, "what the cluster serves");
    k8s_object_free(d->groups);
    d->groups = groups;
    d->groups_mono_ms = clock_mono_ms();
    d->found = NULL;
    return true;
}

static bool serves_version(yyjson_val *group, const char *version)
{
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(yyjson_obj_get(group, "versions"), i, count,
                       item) if (!strcmp(k8s_text_at(item, "/version"), version)) return true;
    return false;
}

/* `wanted` if it is served, else the group's preferred version; NULL: no such group. */
static const char *version_of(struct discovery *d, const char *group, const char *wanted)
{
    if (!*group)
        return "v1";
    yyjson_val *entry = k8s_find(d->groups->root, "/groups", "name", group);
    if (!entry)
        return NULL;
    return wanted && serves_version(entry, wanted) ? wanted : k8s_text_at(entry, "/preferredVersion/version");
}

static void take_resources(struct discovery *d, struct found *found, yyjson_val *list)
{
    size_t i, count;
    yyjson_val *item;
    found->resources = ARENA_ARRAY(d->arena, struct k8s_resource, yyjson_arr_size(list) + 1);
    yyjson_arr_foreach(list, i, count, item)
    {
        const char *name = k8s_text_at(item, "/name");
        if (!*name || strchr(name, '/'))
            continue;
        found->resources[found->count++] = (struct k8s_resource){
            .group = found->group,
            .version = found->version,
            .plural = arena_strdup(d->arena, name),
            .kind = arena_strdup(d->arena, k8s_text_at(item, "/kind")),
            .namespaced = k8s_bool_at(item, "/namespaced"),
        };
    }
}

static struct found *load_version(struct k8s *k8s, struct discovery *d, const char *group,
                                  const char *version, struct error **err)
{
    for (struct found *found = d->found; found; found = found->next)
        if (!strcmp(found->group, group) && !strcmp(found->version, version))
            return found;
    AUTO(text) char *path = *group ? xasprintf("/apis/%s/%s", group, version) : xstrdup("/api/v1");
    AUTO(k8s_object) struct k8s_object *list = get_json(k8s, path, err);
    if (!list)
        return NULL;
    struct found *found = ARENA_NEW(d->arena, struct found);
    found->group = arena_strdup(d->arena, group);
    found->version = arena_strdup(d->arena, version);
    take_resources(d, found, k8s_at(list->root, "/resources"));
    found->next = d->found;
    return d->found = found;
}

static const struct k8s_resource *look_up(struct k8s *k8s, const char *group, const char *wanted,
                                          const char *kind, struct error **err)
{
    struct discovery *d = k8s->client->discovery;
    if (!load_groups(k8s, d, err))
        return NULL;
    const char *version = version_of(d, group, wanted);
    struct found *found = version && *version ? load_version(k8s, d, group, version, err) : NULL;
    if (version && *version && !found)
        return NULL;
    for (size_t i = 0; found && i < found->count; i++)
        if (!strcmp(found->resources[i].kind, kind))
            return &found->resources[i];
    error_set(err, ERROR_UNSUPPORTED, "no %s%s: the cluster does not serve %s%s%s", kind,
              strchr(group, '.') ? " CRD" : "", *group ? group : "core/v1", version ? "/" : "",
              version ? version : "");
    return NULL;
}

const struct k8s_resource *k8s_discover(struct k8s *k8s, const char *group, const char *kind,
                                        struct error **err)
{
    pthread_mutex_lock(&k8s->client->discovery->lock);
    const struct k8s_resource *resource = look_up(k8s, group, NULL, kind, err);
    pthread_mutex_unlock(&k8s->client->discovery->lock);
    return resource;
}

const struct k8s_resource *k8s_served(struct k8s *k8s, const struct k8s_resource *resource,
                                      struct error **err)
{
    pthread_mutex_lock(&k8s->client->discovery->lock);
    const struct k8s_resource *served = look_up(k8s, resource->group, resource->version, resource->kind, err);
    pthread_mutex_unlock(&k8s->client->discovery->lock);
    return served;
}

bool k8s_is_openshift(struct k8s *k8s)
{
    struct discovery *d = k8s->client->discovery;
    pthread_mutex_lock(&d->lock);
    bool is = load_groups(k8s, d, NULL) && version_of(d, "config.openshift.io", NULL);
    pthread_mutex_unlock(&d->lock);
    return is;
}

void k8s_discover_again(struct k8s *k8s)
{
    pthread_mutex_lock(&k8s->client->discovery->lock);
    k8s_object_free(k8s->client->discovery->groups);
    k8s->client->discovery->groups = NULL;
    pthread_mutex_unlock(&k8s->client->discovery->lock);
}

bool k8s_version(struct k8s *k8s, int *major, int *minor, struct error **err)
{
    AUTO(k8s_object) struct k8s_object *version = get_json(k8s, "/version", err);
    if (!version)
        return false;
    *major = atoi(k8s_text_at(version->root, "/major"));
    *minor = atoi(k8s_text_at(version->root, "/minor")); /* "27+" on some */
    return true;
}

/* ---- rights ---- */

static void add_pair(struct strbuf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, str_of(value));
}

bool k8s_may(struct k8s *k8s, const char *verb, const struct k8s_ref *ref, bool *allowed, struct error **err)
{
    static const struct k8s_resource reviews = { "authorization.k8s.io", "v1", "selfsubjectaccessreviews",
                                                 "SelfSubjectAccessReview", false };
    AUTO(strbuf) struct strbuf body = { 0 };
    strbuf_add_text(&body, "{\"apiVersion\":\"authorization.k8s.io/v1\",\"kind\":\"SelfSubjectAccessReview\","
                           "\"spec\":{\"resourceAttributes\":{\"verb\":");
    strbuf_add_json(&body, str_of(verb));
    add_pair(&body, "group", ref->resource->group);
    add_pair(&body, "resource", ref->resource->plural);
    add_pair(&body, "subresource", ref->subresource);
    add_pair(&body, "namespace", ref->resource->namespaced ? ref->namespace : NULL);
    add_pair(&body, "name", ref->name);
    strbuf_add_text(&body, "}}}");
    /* A POST that changes nothing: also a plan may ask, and it may be asked again. */
    struct call call = {
        .verb = "create", .method = "POST", .ref.resource = &reviews, .body = strbuf_str(&body)
    };
    call.content_type = "application/json";
    AUTO(k8s_object) struct k8s_object *review = call_object(k8s, &call, NULL, err);
    if (!review)
        return false;
    *allowed = k8s_bool_at(review->root, "/status/allowed");
    return true;
}
