/* What no single row can say: keys that exclude or need each other, and values that follow from others. */
#include "config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const struct config_slot *slot(struct loader *loader, const char *name)
{
    return slot_find(loader->private, str_of(name));
}

static bool is_given(struct loader *loader, const char *name)
{
    return slot(loader, name)->source != SOURCE_DEFAULT;
}

/* Where the user said it, so that an error points at a line. */
static const char *where(struct loader *loader, const char *name)
{
    return slot(loader, name)->where;
}

static void derive(struct loader *loader, const char *name, const char **field, const char *value)
{
    struct config_slot *target = slot_find(loader->private, str_of(name));
    *field = arena_strdup(loader->arena, value);
    target->source = SOURCE_DERIVED;
}

bool config_address_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strcmp(address, "localhost") == 0;
}

static void validate_credential(struct loader *loader, const struct config_credential *credential)
{
    const char *at = where(loader, "server.credentials");
    int ways = (*credential->token != 0) + (*credential->username || *credential->password) +
               (*credential->client_name != 0);
    if (ways != 1)
        loader_fail(
            loader, at,
            "server.credentials: \"%s\" needs exactly one of token, username and password, or client_name",
            credential->name);
    if (!*credential->username != !*credential->password)
        loader_fail(loader, at, "server.credentials: \"%s\" needs both username and password",
                    credential->name);
    if (*credential->client_name && !*loader->config->server.tls.client_ca_file)
        loader_fail(loader, at,
                    "server.credentials: \"%s\" has a client_name, which needs server.tls.client_ca_file",
                    credential->name);
}

static void validate_webhook_auth(struct loader *loader)
{
    const struct config_webhook *webhook = &loader->config->webhook;
    bool named = *webhook->auth_username || *webhook->auth_password;
    const char *at = where(loader, "webhook.auth.type");
    if (webhook->auth_type == CONFIG_AUTH_NONE && (named || *webhook->auth_token))
        loader_fail(loader, at, "webhook.auth.type is none, but a token or password is given");
    if (webhook->auth_type == CONFIG_AUTH_BASIC && *webhook->auth_token)
        loader_fail(loader, at, "webhook.auth.type is basic, but a token is given");
    if (webhook->auth_type == CONFIG_AUTH_BASIC && (!*webhook->auth_username || !*webhook->auth_password))
        loader_fail(loader, at, "webhook.auth.type is basic, which needs username and password");
    if (webhook->auth_type == CONFIG_AUTH_BEARER && named)
        loader_fail(loader, at,
                    "webhook.auth.type is bearer, but a username or password is given: set it to basic");
}

static bool has_credentials(const struct config *config)
{
    return config->server.credentials.count > 0 || *config->webhook.auth_token ||
           *config->webhook.auth_password;
}

static void validate_server(struct loader *loader)
{
    struct config_server *server = &loader->config->server;
    if (!*server->tls.cert_file != !*server->tls.key_file)
        loader_fail(loader,
                    where(loader, *server->tls.cert_file ? "server.tls.cert_file" : "server.tls.key_file"),
                    "server.tls needs both cert_file and key_file");
    if (*server->tls.client_ca_file && !*server->tls.cert_file)
        loader_fail(loader, where(loader, "server.tls.client_ca_file"),
                    "server.tls.client_ca_file needs cert_file and key_file");
    for (size_t i = 0; i < server->credentials.count; i++)
        validate_credential(loader, &server->credentials.items[i]);
    if (!has_credentials(loader->config) && !server->allow_unauthenticated &&
        !config_address_is_loopback(server->address))
        loader_fail(
            loader, where(loader, "server.address"),
            "server.address %s can be reached by others, and there are no credentials: set webhook.auth.token or "
            "server.credentials, or server.allow_unauthenticated: true",
            server->address);
    if (!*server->metrics_address)
        derive(loader, "server.metrics_address", &server->metrics_address, server->address);
    if (!*server->health_address)
        derive(loader, "server.health_address", &server->health_address, server->address);
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._~", c);
}

static void add_url_part(struct strbuf *url, const char *text)
{
    for (; *text; text++) {
        if (is_unreserved(*text))
            strbuf_add_char(url, *text);
        else
            strbuf_addf(url, "%%%02X", (unsigned char)*text);
    }
}

/* database.* → postgresql://user@host:port/name. The password stays in its own field: store/ hands it to libpq. */
static void derive_postgresql(struct loader *loader)
{
    struct config_database *database = &loader->config->database;
    AUTO(strbuf) struct strbuf url = { 0 };
    strbuf_add_text(&url, "postgresql://");
    add_url_part(&url, *database->user ? database->user : "slm_user");
    strbuf_add_char(&url, '@');
    add_url_part(&url, *database->host ? database->host : "localhost");
    strbuf_addf(&url, ":%lld/", (long long)database->port);
    add_url_part(&url, *database->name ? database->name : "action_history");
    derive(loader, "store.url", &loader->config->store.url, url.ptr);
}

static void validate_store(struct loader *loader)
{
    static const char *const parts[] = { "database.host", "database.user", "database.name", "database.port" };
    const char *part = NULL;
    for (size_t i = 0; i < ARRAY_LEN(parts) && !part; i++)
        part = is_given(loader, parts[i]) ? parts[i] : NULL;
    bool has_url = *loader->config->store.url != 0;
    if (has_url && part)
        loader_fail(loader, where(loader, part),
                    "%s and store.url (DATABASE_URL, from %s) both name a database: give one", part,
                    where(loader, "store.url"));
    else if (part)
        derive_postgresql(loader);
    else if (!has_url) {
        AUTO(text) char *folder = file_state_directory(), *url = xasprintf("sqlite:%s/alerts.db", folder);
        derive(loader, "store.url", &loader->config->store.url, url);
    }
}

static void validate_slm(struct loader *loader)
{
    struct config_slm *slm = &loader->config->slm;
    if (!*slm->endpoint && slm->provider == CONFIG_PROVIDER_OLLAMA)
        derive(loader, "slm.endpoint", &slm->endpoint, "http://localhost:11434");
    if (!*slm->endpoint && slm->provider == CONFIG_PROVIDER_OPENAI)
        derive(loader, "slm.endpoint", &slm->endpoint, "http://localhost:8080");
    AUTO(text) char *cache = file_cache_directory();
    if (!*slm->cache_dir)
        derive(loader, "slm.cache_dir", &slm->cache_dir, cache);
    if (!*slm->model_dir) {
        AUTO(text) char *models = xasprintf("%s/models", cache);
        derive(loader, "slm.model_dir", &slm->model_dir, models);
    }
}

static void validate_peer(struct loader *loader, const char *name, const struct config_peer *peer)
{
    AUTO(text) char *token = xasprintf("%s.token", name), *username = xasprintf("%s.username", name);
    if (*peer->token && *peer->username)
        loader_fail(loader, where(loader, token), "%s: give a token, or username and password", name);
    if (!*peer->username != !*peer->password)
        loader_fail(loader, where(loader, username), "%s needs both username and password", name);
}

/* A severer band must ask for at least as much as a milder one, else the milder one can never be seen. */
static void validate_detector(struct loader *loader, const char *name, const struct config_detector *detector)
{
    static const char *const bands[] = { "critical", "high", "medium", "low" };
    const struct config_band *band[] = { &detector->critical, &detector->high, &detector->medium,
                                         &detector->low };
    for (size_t i = 0; i + 1 < ARRAY_LEN(bands); i++) {
        char key[CONFIG_NAME_MAX];
        snprintf(key, sizeof key, "oscillation.%s.%s.at_least", name, bands[i]);
        if (band[i]->at_least < band[i + 1]->at_least)
            loader_fail(loader, where(loader, key),
                        "%s is %g, less than %s's %g: a severer band needs no fewer", key, band[i]->at_least,
                        bands[i + 1], band[i + 1]->at_least);
    }
}

static void validate_oscillation(struct loader *loader)
{
    const struct config_oscillation *o = &loader->config->oscillation;
    validate_detector(loader, "scale", &o->scale);
    validate_detector(loader, "thrashing", &o->thrashing);
    validate_detector(loader, "ineffective", &o->ineffective);
    validate_detector(loader, "restart", &o->restart);
    validate_detector(loader, "hpa_fight", &o->hpa_fight);
    if (o->cascade_critical.new_alerts < o->cascade_high.new_alerts ||
        o->cascade_high.new_alerts < o->cascade_medium.new_alerts)
        loader_fail(loader, where(loader, "oscillation.cascade.critical.new_alerts"),
                    "oscillation.cascade: new_alerts must not rise from critical over high to medium");
}

void config_validate(struct loader *loader)
{
    validate_webhook_auth(loader);
    validate_server(loader);
    validate_oscillation(loader);
    validate_store(loader);
    validate_slm(loader);
    validate_peer(loader, "alertmanager", &loader->config->alertmanager);
    validate_peer(loader, "prometheus", &loader->config->prometheus);
}
