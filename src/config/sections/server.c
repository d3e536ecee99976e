#include "config/sections/server.h"

static const struct config_choice scopes[] = {
    { "ingest", CONFIG_SCOPE_INGEST },   { "read", CONFIG_SCOPE_READ },
    { "operate", CONFIG_SCOPE_OPERATE }, { "metrics", CONFIG_SCOPE_METRICS },
    { "health", CONFIG_SCOPE_HEALTH },   { 0 },
};
static const struct config_choice auth_types[] = {
    { "bearer", CONFIG_AUTH_BEARER },
    { "basic", CONFIG_AUTH_BASIC },
    { "none", CONFIG_AUTH_NONE },
    { 0 },
};

#define AT(field) offsetof(struct config_credential, field)
static const struct config_key credential_keys[] = {
    { "name", CONFIG_TEXT, AT(name), .flags = CONFIG_REQUIRED,
      .help = "Who this is, in logs and the audit trail." },
    { "scopes", CONFIG_CHOICES, AT(scopes), .choices = scopes, .flags = CONFIG_REQUIRED,
      .help =
          "What it may do; none implies another. `metrics` and `health` close those endpoints to everybody else." },
    { "token", CONFIG_TEXT, AT(token), .flags = CONFIG_SECRET,
      .help = "Bearer token; several, one a line, for rotation." },
    { "username", CONFIG_TEXT, AT(username), .help = "Name for HTTP basic authentication." },
    { "password", CONFIG_TEXT, AT(password), .flags = CONFIG_SECRET, .help = "Its password." },
    { "client_name", CONFIG_TEXT, AT(client_name),
      .help =
          "Name in a client certificate (common name, DNS or URI name) signed by server.tls.client_ca_file." },
    { "expires", CONFIG_TEXT, AT(expires), .check = config_check_time,
      .help = "Refused from this time on (RFC 3339)." },
    { 0 },
};
#undef AT
static const struct config_keys credential = {
    "credential",
    .size = sizeof(struct config_credential),
    .keys = credential_keys,
};

enum { DAY_MS = 24 * 3600 * 1000, PORT_MAX = 65535, KIB = 1024, MIB = 1024 * KIB };

#define AT(field) offsetof(struct config_server, field)
const struct config_key config_keys_server[] = {
    { "address", CONFIG_TEXT, AT(address), .def = "127.0.0.1", .env = "SERVER_ADDRESS",
      .check = config_check_address,
      .help =
          "Address of the webhook and the API. Any but loopback needs credentials, or allow_unauthenticated." },
    { "metrics_address", CONFIG_TEXT, AT(metrics_address), .check = config_check_address,
      .help = "Address of the metrics port; empty: as address." },
    { "health_address", CONFIG_TEXT, AT(health_address), .check = config_check_address,
      .help = "Address of the health port; empty: as address." },
    { "webhook_port", CONFIG_INT, AT(webhook_port), .def = "8080", .min = 1, .max = PORT_MAX,
      .env = "WEBHOOK_PORT",
      .help = "Port of the webhook and the API. Ports that are equal share one listener." },
    { "metrics_port", CONFIG_INT, AT(metrics_port), .def = "9090", .min = 1, .max = PORT_MAX,
      .env = "METRICS_PORT", .help = "Port of /metrics." },
    { "health_port", CONFIG_INT, AT(health_port), .def = "8081", .min = 1, .max = PORT_MAX,
      .env = "HEALTH_PORT", .help = "Port of /health, /ready and /status." },
    { "tls.cert_file", CONFIG_TEXT, AT(tls.cert_file), .env = "TLS_CERT_FILE",
      .help = "Certificate chain (PEM) for all ports; read again when it changes." },
    { "tls.key_file", CONFIG_TEXT, AT(tls.key_file), .env = "TLS_KEY_FILE",
      .help = "Its private key (PEM)." },
    { "tls.client_ca_file", CONFIG_TEXT, AT(tls.client_ca_file),
      .help =
          "Authority (PEM) that client certificates are verified against; for credentials with client_name." },
    { "max_header_size", CONFIG_SIZE, AT(max_header_size), .def = "32Ki", .min = KIB, .max = MIB,
      .help = "Request line and headers together; over it: 431." },
    { "max_body_size", CONFIG_SIZE, AT(max_body_size), .def = "32Mi", .min = KIB, .max = 1024.0 * MIB,
      .help = "Body of a request; over it: 413." },
    { "request_timeout", CONFIG_DURATION, AT(request_timeout_ms), .def = "30s", .min = 100, .max = DAY_MS,
      .help = "Time for a request's header and body to arrive." },
    { "idle_timeout", CONFIG_DURATION, AT(idle_timeout_ms), .def = "120s", .min = 1000, .max = DAY_MS,
      .help = "A kept-alive connection without a request is closed after this." },
    { "max_connections", CONFIG_INT, AT(max_connections), .def = "1000", .min = 4, .max = 100000,
      .help = "Connections at a time on each port." },
    { "max_connections_per_client", CONFIG_INT, AT(max_connections_per_client), .def = "0", .min = 0,
      .max = 100000, .help = "Of these from one address; 0: no limit of its own." },
    { "threads", CONFIG_INT, AT(threads), .def = "2", .min = 1, .max = 64,
      .help = "Threads that serve each port." },
    { "allow_unauthenticated", CONFIG_BOOL, AT(allow_unauthenticated), .def = "false",
      .env = "ALLOW_UNAUTHENTICATED",
      .help = "Serve webhook and API without credentials on an address that others can reach." },
    { "credentials", CONFIG_LIST, AT(credentials), .element = &credential, .flags = CONFIG_RELOADABLE,
      .help = "Who may call, and what for. webhook.auth is one more, with scope ingest." },
    { "allowed_cidrs", CONFIG_TEXTS, AT(allowed_cidrs), .check = config_check_cidr,
      .flags = CONFIG_RELOADABLE,
      .help = "Networks that may call at all (\"10.0.0.0/8\"); empty: every one." },
    { "rate_limit", CONFIG_NUMBER, AT(rate_limit), .def = "0", .min = 0, .max = 1e6,
      .flags = CONFIG_RELOADABLE,
      .help = "Requests a second from one address; over it 503 on the webhook, 429 elsewhere. 0: no limit." },
    { "rate_burst", CONFIG_INT, AT(rate_burst), .def = "100", .min = 1, .max = 1e6,
      .flags = CONFIG_RELOADABLE, .help = "Requests at once before rate_limit counts." },
    { "reload_endpoint", CONFIG_BOOL, AT(reload_endpoint), .def = "false", .flags = CONFIG_RELOADABLE,
      .help = "Serve POST /-/reload (scope operate). SIGHUP always reloads." },
    { "shutdown_timeout", CONFIG_DURATION, AT(shutdown_timeout_ms), .def = "25s", .min = 100, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "From SIGTERM to the end, at most." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_webhook, field)
const struct config_key config_keys_webhook[] = {
    { "port", CONFIG_INT, 0, .min = 1, .max = PORT_MAX, .same_as = "server.webhook_port",
      .help = "Another name of server.webhook_port." },
    { "path", CONFIG_TEXT, AT(path), .def = "/alerts", .check = config_check_path,
      .help = "Where Alertmanager posts." },
    { "auth.type", CONFIG_CHOICE, AT(auth_type), .def = "bearer", .choices = auth_types,
      .flags = CONFIG_RELOADABLE,
      .help =
          "How Alertmanager proves itself. Without a token or password there is no check, and loopback only." },
    { "auth.token", CONFIG_TEXT, AT(auth_token), .env = "WEBHOOK_AUTH_TOKEN",
      .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
      .help = "Bearer token; several, one a line, for rotation." },
    { "auth.username", CONFIG_TEXT, AT(auth_username), .flags = CONFIG_RELOADABLE,
      .help = "For type basic." },
    { "auth.password", CONFIG_TEXT, AT(auth_password), .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
      .help = "For type basic." },
    { 0 },
};
