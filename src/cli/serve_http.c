/* From the configuration to the HTTP server: ports, TLS, limits, and who may call. */
#include "cli/serve.h"

#include <stdio.h>

#include "metrics/metrics.h"

static bool is_tls(const struct config_server *server)
{
    return *server->tls.cert_file != '\0';
}

/* The scopes that no credential has need none where only this machine can reach us, or where the configuration says so;
 * health and metrics are open until a credential is made for them. */
static unsigned open_scopes(const struct config *config, unsigned held)
{
    unsigned guarded = BIT(HTTP_SCOPE_INGEST) | BIT(HTTP_SCOPE_READ) | BIT(HTTP_SCOPE_OPERATE);
    bool trusting =
        config->server.allow_unauthenticated || config_address_is_loopback(config->server.address);
    unsigned all = BIT(HTTP_SCOPE_COUNT) - 1;
    return all & ~held & (trusting ? all : ~guarded);
}

static int64_t expiry(const char *text)
{
    int64_t ms;
    return *text && clock_parse(str_of(text), &ms) ? ms : 0;
}

/* webhook.auth is a credential with scope ingest. */
static bool webhook_credential(const struct config_webhook *webhook, struct http_credential *credential)
{
    *credential = (struct http_credential){ .name = "webhook", .scopes = BIT(HTTP_SCOPE_INGEST) };
    if (webhook->auth_type == CONFIG_AUTH_BEARER)
        credential->tokens = webhook->auth_token;
    if (webhook->auth_type == CONFIG_AUTH_BASIC) {
        credential->username = webhook->auth_username;
        credential->password = webhook->auth_password;
    }
    return (credential->tokens && *credential->tokens) || (credential->username && *credential->username);
}

static bool set_access(struct http_server *server, const struct config *config, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    const struct config_credentials *from = &config->server.credentials;
    struct http_credential *credentials = ARENA_ARRAY(arena, struct http_credential, from->count + 1);
    size_t len = 0;
    unsigned held = 0;
    for (size_t i = 0; i < from->count; i++) {
        const struct config_credential *one = &from->items[i];
        credentials[len++] =
            (struct http_credential){ one->name,     one->scopes,      one->token,          one->username,
                                      one->password, one->client_name, expiry(one->expires) };
        held |= one->scopes;
    }
    if (webhook_credential(&config->webhook, &credentials[len])) {
        held |= credentials[len].scopes;
        len++;
    }
    return http_server_set_access(
        server,
        &(struct http_access){ .credentials = credentials,
                               .credentials_len = len,
                               .open_scopes = open_scopes(config, held),
                               .allowed_cidrs = config->server.allowed_cidrs.items,
                               .allowed_cidrs_len = config->server.allowed_cidrs.count,
                               .rate_limit = config->server.rate_limit,
                               .rate_burst = (unsigned)config->server.rate_burst },
        err);
}

static void access_changed(const struct config *before, const struct config *now, void *server)
{
    AUTO(error) struct error *err = NULL;
    (void)before;
    if (!set_access(server, now, &err))
        log_error("the new credentials cannot be used, the old ones stay", KV("error", error_message(err)));
    if (!http_server_reload_tls(server, &err))
        log_error("the certificate cannot be used, the old one stays", KV("error", error_message(err)));
}

static void observe(const struct http_request *request, unsigned status, int64_t duration_us, void *context)
{
    (void)context;
    char code[8];
    const struct http_route *route = http_request_route(request);
    const char *path = route ? route->path : "none";
    snprintf(code, sizeof code, "%u", status);
    metric_inc(METRIC_HTTP_REQUESTS, path, code);
    metric_observe(METRIC_HTTP_DURATION, (double)duration_us / 1e6, path);
    log_debug("request answered", KV_STR("method", http_request_method(request)),
              KV_STR("path", http_request_path(request)), KV_INT("status", status),
              KV("client", http_request_client(request)), KV_INT("duration_us", duration_us));
}

static void collect(void *server)
{
    struct http_server_stats stats;
    http_server_stats(server, &stats);
    metric_set(METRIC_HTTP_CONNECTIONS, (double)stats.connections_open);
    metric_set(METRIC_HTTP_CUT, (double)stats.cut_slow, "slow");
    metric_set(METRIC_HTTP_CUT, (double)stats.cut_rate, "rate");
    metric_set(METRIC_HTTP_CUT, (double)stats.refused_network, "network");
    metric_set(METRIC_HTTP_CUT, (double)stats.refused_credentials, "credentials");
    metric_set(METRIC_HTTP_CUT, (double)stats.refused_size, "size");
}

bool serve_http_make(struct serve *serve, struct error **err)
{
    const struct config_server *from = &serve->config->server;
    const struct http_listener listeners[] = {
        { from->address, (unsigned)from->webhook_port, HTTP_GROUP_API },
        { from->metrics_address, (unsigned)from->metrics_port, HTTP_GROUP_METRICS },
        { from->health_address, (unsigned)from->health_port, HTTP_GROUP_HEALTH },
    };
    serve->server = http_server_new(&(struct http_server_options){
        .listeners = listeners,
        .listeners_len = ARRAY_LEN(listeners),
        .cert_file = from->tls.cert_file,
        .key_file = from->tls.key_file,
        .client_ca_file = from->tls.client_ca_file,
        .max_header = (size_t)from->max_header_size,
        .max_body = (size_t)from->max_body_size,
        .request_timeout_ms = from->request_timeout_ms,
        .idle_timeout_ms = from->idle_timeout_ms,
        .max_connections = (unsigned)from->max_connections,
        .max_connections_per_client = (unsigned)from->max_connections_per_client,
        .threads = (unsigned)from->threads,
        .observe = observe,
    });
    return set_access(serve->server, serve->config, err);
}

bool serve_http_start(struct serve *serve, struct error **err)
{
    if (!http_server_start(serve->server, err))
        return false;
    config_live_listen(serve->live, access_changed, serve->server);
    metrics_on_collect(collect, serve->server);
    const struct config_server *server = &serve->config->server;
    log_info("serving", KV("address", server->address),
             KV_INT("webhook_port", http_server_port(serve->server, HTTP_GROUP_API)),
             KV_INT("metrics_port", http_server_port(serve->server, HTTP_GROUP_METRICS)),
             KV_INT("health_port", http_server_port(serve->server, HTTP_GROUP_HEALTH)),
             KV_BOOL("tls", is_tls(server)));
    return true;
}

void serve_http_stop(struct serve *serve, int64_t deadline_ms)
{
    metrics_off_collect(collect, serve->server);
    http_server_stop(serve->server, deadline_ms);
}
