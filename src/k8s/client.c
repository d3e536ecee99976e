/* Clients and their sessions: opening, closing, counting. */
#include "k8s/k8s.h"

#include <stdlib.h>

#include "k8s/k8s_internal.h"

static bool is_set(const char *text)
{
    return text && *text;
}

static bool load_home(struct arena *arena, const struct k8s_options *options, struct kubeconfig *config,
                      struct error **err)
{
    const char *home = getenv("HOME");
    const char *path = arena_printf(arena, "%s/.kube/config", is_set(home) ? home : "/root");
    if (file_exists(path))
        return kubeconfig_load(arena, path, options->context, config, err);
    return error_set(
        err, ERROR_NOT_FOUND,
        "no cluster to talk to: no kubeconfig given, KUBECONFIG is not set, this is no pod with a service "
        "account, and there is no %s",
        path);
}

static bool load_config(struct arena *arena, const struct k8s_options *options, struct kubeconfig *config,
                        struct error **err)
{
    const char *paths = is_set(options->kubeconfig) ? options->kubeconfig : getenv("KUBECONFIG");
    if (is_set(paths))
        return kubeconfig_load(arena, arena_strdup(arena, paths), options->context, config, err);
    const char *root = options->service_account_root ? options->service_account_root : "";
    struct error *why = NULL;
    if (!is_set(options->context) && kubeconfig_in_cluster(arena, arena_strdup(arena, root), config, &why))
        return true;
    error_free(why);
    *config = (struct kubeconfig){ 0 };
    return load_home(arena, options, config, err);
}

static void take_options(struct client *client, const struct k8s_options *options)
{
    const char *namespace = is_set(options->namespace) ? options->namespace : client->config.namespace;
    client->namespace = xstrdup(is_set(namespace) ? namespace : "default");
    client->field_manager =
        xstrdup(is_set(options->field_manager) ? options->field_manager : "prometheus-alerts-slm");
    client->deadline_ms = options->deadline_ms ? options->deadline_ms : K8S_DEADLINE_MS;
    client->max_answer = options->max_answer ? options->max_answer : K8S_ANSWER_MAX;
    client->observer = options->observer;
    client->rate = options->rate > 0 ? options->rate : 50;
    client->burst = options->burst ? options->burst : 100;
    client->tokens = client->burst;
    client->tokens_at_us = clock_mono_us();
}

static void client_free(struct client *client)
{
    transport_free(client->transport);
    auth_free(client->auth);
    discovery_free(client->discovery);
    pthread_mutex_destroy(&client->lock);
    free(client->field_manager);
    free(client->namespace);
    arena_free(client->arena);
    free(client);
}

struct k8s *k8s_open(const struct k8s_options *options, struct error **err)
{
    static const struct k8s_options defaults;
    options = options ? options : &defaults;
    struct client *client = xcalloc(1, sizeof *client);
    client->arena = arena_new(16 * 1024);
    client->discovery = discovery_new();
    pthread_mutex_init(&client->lock, NULL);
    bool ok = load_config(client->arena, options, &client->config, err);
    ok = ok && (client->transport = transport_new(&client->config, options->connections, err));
    ok = ok && (client->auth = auth_new(&client->config, err));
    if (!ok) {
        client_free(client);
        error_wrap(err, "Kubernetes");
        return NULL;
    }
    take_options(client, options);
    struct k8s *k8s = xcalloc(1, sizeof *k8s);
    k8s->client = client;
    k8s->deadline_ms = client->deadline_ms;
    return k8s;
}

struct k8s *k8s_session(struct k8s *k8s, const struct k8s_session_options *options)
{
    struct k8s *session = xcalloc(1, sizeof *session);
    session->client = k8s->client;
    session->is_session = true;
    session->writes = MAX(k8s->writes, options->writes); /* a session of a dry run stays one */
    session->deadline_ms = options->deadline_ms ? options->deadline_ms : k8s->deadline_ms;
    session->until_mono_ms = options->until_mono_ms ? options->until_mono_ms : k8s->until_mono_ms;
    session->observer = options->observer;
    return session;
}

void k8s_close(struct k8s *k8s)
{
    if (!k8s)
        return;
    if (!k8s->is_session)
        client_free(k8s->client);
    free(k8s);
}

const char *k8s_server(const struct k8s *k8s)
{
    return k8s->client->config.server;
}

const char *k8s_context(const struct k8s *k8s)
{
    return k8s->client->config.context;
}

const char *k8s_namespace(const struct k8s *k8s)
{
    return k8s->client->namespace;
}

bool k8s_in_cluster(const struct k8s *k8s)
{
    return k8s->client->config.in_cluster;
}

void k8s_stats(const struct k8s *k8s, struct k8s_stats *stats)
{
    pthread_mutex_lock(&k8s->client->lock);
    *stats = k8s->client->stats;
    pthread_mutex_unlock(&k8s->client->lock);
}

void observe_before(struct k8s *k8s, struct k8s_call *seen)
{
    struct client *client = k8s->client;
    pthread_mutex_lock(&client->lock);
    seen->number = ++client->calls;
    client->stats.calls++;
    pthread_mutex_unlock(&client->lock);
    if (client->observer.before)
        client->observer.before(seen, client->observer.context);
    if (k8s->observer.before)
        k8s->observer.before(seen, k8s->observer.context);
}

void observe_after(struct k8s *k8s, struct k8s_call *seen)
{
    struct client *client = k8s->client;
    pthread_mutex_lock(&client->lock);
    client->stats.failures += seen->status / 100 != 2 && seen->status / 100 != 1;
    client->stats.answered_429 += seen->status == 429;
    pthread_mutex_unlock(&client->lock);
    if (client->observer.after)
        client->observer.after(seen, client->observer.context);
    if (k8s->observer.after)
        k8s->observer.after(seen, k8s->observer.context);
}
