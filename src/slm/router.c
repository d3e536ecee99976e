#include "slm/router.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct routed {
    struct target target;
    struct config_texts severity, namespace; /* in the router's arena */
};

struct router {
    struct arena *arena;
    struct target fallback_targets[ROUTER_CHAIN_MAX - 1], default_target;
    size_t fallback_count;
    bool has_default;
    struct routed *routes;
    size_t route_count;
    const char **embedded; /* names of embedded models, each once */
    size_t embedded_count;
};

static size_t embedded_number(struct router *router, const char *model)
{
    for (size_t i = 0; i < router->embedded_count; i++)
        if (!strcmp(router->embedded[i], model))
            return i;
    router->embedded = xrealloc(router->embedded, (router->embedded_count + 1) * sizeof *router->embedded);
    router->embedded[router->embedded_count] = model;
    return router->embedded_count++;
}

/* A route's endpoint and key are its own; what a route leaves empty is slm's. */
static const char *or_default(const char *own, const char *general)
{
    return *own ? own : general;
}

static struct target make_target(struct router *router, const struct config_slm *slm,
                                 const struct config_slm_route *route)
{
    struct target target = { .name = arena_strdup(router->arena, route->name),
                             .provider = route->provider,
                             .model = arena_strdup(router->arena, route->model) };
    if (route->provider == CONFIG_PROVIDER_EMBEDDED) {
        target.embedded = embedded_number(router, target.model);
        return target;
    }
    bool own = *route->endpoint != '\0';
    target.remote = remote_new(&(struct remote_options){
        .protocol = route->provider == CONFIG_PROVIDER_OLLAMA ? REMOTE_OLLAMA : REMOTE_OPENAI,
        .endpoint = or_default(or_default(route->endpoint, slm->endpoint),
                               route->provider == CONFIG_PROVIDER_OLLAMA ? "http://localhost:11434"
                                                                         : "http://localhost:8080"),
        .model = target.model,
        .api_key = own ? route->api_key : or_default(route->api_key, slm->api_key),
        .ca_file = own ? route->ca_file : or_default(route->ca_file, slm->ca_file),
        .timeout_ms = slm->timeout_ms,
        .retries = (unsigned)slm->retry_count,
        .temperature = slm->temperature,
        .max_tokens = (unsigned)slm->max_tokens,
        .context = (unsigned)slm->max_context_size });
    return target;
}

static struct config_texts copy_texts(struct router *router, const struct config_texts *from)
{
    struct config_texts to = { ARENA_ARRAY(router->arena, const char *, from->count + 1), from->count };
    for (size_t i = 0; i < from->count; i++)
        to.items[i] = arena_strdup(router->arena, from->items[i]);
    return to;
}

struct router *router_new(const struct config *config)
{
    const struct config_slm *slm = &config->slm;
    struct router *router = xcalloc(1, sizeof *router);
    router->arena = arena_new(4096);
    router->has_default = slm->provider != CONFIG_PROVIDER_NONE;
    struct config_slm_route general = { .name = "default",
                                        .provider = slm->provider,
                                        .model = slm->model,
                                        .endpoint = slm->endpoint,
                                        .api_key = slm->api_key,
                                        .ca_file = slm->ca_file };
    if (router->has_default)
        router->default_target = make_target(router, slm, &general);
    router->routes = xcalloc(slm->routes.count + 1, sizeof *router->routes);
    for (size_t i = 0; i < slm->routes.count; i++) {
        const struct config_slm_route *route = &slm->routes.items[i];
        if (route->provider != CONFIG_PROVIDER_NONE)
            router->routes[router->route_count++] =
                (struct routed){ make_target(router, slm, route), copy_texts(router, &route->severity),
                                 copy_texts(router, &route->namespace) };
    }
    for (size_t i = 0; i < slm->fallbacks.count && router->fallback_count < ROUTER_CHAIN_MAX - 1; i++)
        if (slm->fallbacks.items[i].provider != CONFIG_PROVIDER_NONE)
            router->fallback_targets[router->fallback_count++] =
                make_target(router, slm, &slm->fallbacks.items[i]);
    return router;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    remote_free(router->default_target.remote);
    for (size_t i = 0; i < router->route_count; i++)
        remote_free(router->routes[i].target.remote);
    for (size_t i = 0; i < router->fallback_count; i++)
        remote_free(router->fallback_targets[i].remote);
    arena_free(router->arena);
    free(router->routes);
    free(router->embedded);
    free(router);
}

static bool fits(const struct config_texts *patterns, struct str value)
{
    AUTO(text) char *text = xstrndup(value.ptr, value.len);
    for (size_t i = 0; i < patterns->count; i++)
        if (fnmatch(patterns->items[i], text, 0) == 0)
            return true;
    return patterns->count == 0;
}

static const struct target *first_of(const struct router *router, const struct alert *alert)
{
    for (size_t i = 0; i < router->route_count; i++)
        if (fits(&router->routes[i].severity, alert->severity_text) &&
            fits(&router->routes[i].namespace, alert->namespace))
            return &router->routes[i].target;
    return router->has_default ? &router->default_target : NULL;
}

size_t router_chain(const struct router *router, const struct alert *alert,
                    const struct target *chain[ROUTER_CHAIN_MAX])
{
    size_t count = 0;
    const struct target *first = first_of(router, alert);
    if (first)
        chain[count++] = first;
    for (size_t i = 0; i < router->fallback_count && count; i++)
        chain[count++] = &router->fallback_targets[i];
    return count;
}

size_t router_embedded_count(const struct router *router)
{
    return router->embedded_count;
}

const char *router_embedded_model(const struct router *router, size_t i)
{
    return router->embedded[i];
}
