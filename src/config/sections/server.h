/* server.*, webhook.* */
#ifndef CONFIG_SECTIONS_SERVER_H
#define CONFIG_SECTIONS_SERVER_H

#include "config/keys.h"

enum config_scope { /* what a credential may do; none implies another */
                    CONFIG_SCOPE_INGEST,
                    CONFIG_SCOPE_READ,
                    CONFIG_SCOPE_OPERATE,
                    CONFIG_SCOPE_METRICS,
                    CONFIG_SCOPE_HEALTH,
                    CONFIG_SCOPE_COUNT
};
enum config_auth { CONFIG_AUTH_BEARER, CONFIG_AUTH_BASIC, CONFIG_AUTH_NONE };

struct config_credential { /* one of: token; username and password; client_name */
    const char *name;      /* who this is, in logs and the audit trail */
    unsigned scopes;       /* BIT(CONFIG_SCOPE_…) */
    const char *token;     /* several, one a line, for rotation */
    const char *username, *password;
    const char *client_name; /* of a verified client certificate: its CN or a DNS/URI name */
    const char *expires;     /* RFC 3339; "" never */
};
struct config_credentials {
    struct config_credential *items;
    size_t count;
};

struct config_server {
    const char *address;
    const char *metrics_address, *health_address;    /* "": as address */
    int64_t webhook_port, metrics_port, health_port; /* equal ones share a listener */
    struct {
        const char *cert_file, *key_file; /* both: TLS on every listener; read again when they change */
        const char *client_ca_file;       /* client certificates are verified against it */
    } tls;
    int64_t max_header_size, max_body_size;
    int64_t request_timeout_ms; /* for header and body to arrive */
    int64_t idle_timeout_ms;    /* a kept-alive connection without a request */
    int64_t max_connections, max_connections_per_client;
    int64_t threads;
    bool allow_unauthenticated;
    struct config_credentials credentials;
    struct config_texts allowed_cidrs; /* empty: everybody */
    double rate_limit;                 /* requests a second and client; 0: none */
    int64_t rate_burst;
    bool reload_endpoint;
    int64_t shutdown_timeout_ms;
};

struct config_webhook {
    const char *path;
    int auth_type; /* enum config_auth */
    const char *auth_token, *auth_username, *auth_password;
};

extern const struct config_key config_keys_server[], config_keys_webhook[];

#endif
