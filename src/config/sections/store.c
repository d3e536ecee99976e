#include "config/sections/store.h"

#include <string.h>

static bool check_store_url(const char *text, struct error **err)
{
    if (strncmp(text, "sqlite:", 7) == 0 && text[7])
        return true;
    if (strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0)
        return true;
    return error_set(err, ERROR_INVALID, "give sqlite:PATH or postgresql://USER@HOST/NAME");
}

static bool check_ssl_mode(const char *text, struct error **err)
{
    static const char *const modes[] = {
        "disable", "allow", "prefer", "require", "verify-ca", "verify-full"
    };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (strcmp(text, modes[i]) == 0)
            return true;
    return error_set(err, ERROR_INVALID, "give disable, allow, prefer, require, verify-ca or verify-full");
}

#define AT(field) offsetof(struct config_store, field)
const struct config_key config_keys_store[] = {
    { "url", CONFIG_TEXT, AT(url), .env = "DATABASE_URL", .check = check_store_url,
      .flags = CONFIG_URL_SECRET,
      .help =
          "`sqlite:PATH`, or `postgresql://USER@HOST/NAME` for several replicas. Empty: SQLite in the state directory." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_database, field)
const struct config_key config_keys_database[] = {
    { "host", CONFIG_TEXT, AT(host), .env = "DB_HOST",
      .help = "With any of host, name and user given, the store is this PostgreSQL." },
    { "port", CONFIG_INT, AT(port), .def = "5432", .min = 1, .max = 65535, .env = "DB_PORT",
      .help = "Its port." },
    { "user", CONFIG_TEXT, AT(user), .env = "DB_USER",
      .help = "Its user; `slm_user` if only others are given." },
    { "password", CONFIG_TEXT, AT(password), .env = "DB_PASSWORD", .flags = CONFIG_SECRET,
      .help = "Password, also for a store.url without one." },
    { "name", CONFIG_TEXT, AT(name), .env = "DB_NAME",
      .help = "Its name; `action_history` if only others are given." },
    { "ssl_mode", CONFIG_TEXT, AT(ssl_mode), .env = "DB_SSL_MODE", .check = check_ssl_mode,
      .help = "TLS as libpq's sslmode. Empty: verify-full, on loopback prefer." },
    { "max_connections", CONFIG_INT, AT(max_connections), .def = "25", .min = 1, .max = 1000,
      .help = "Connections to it at a time." },
    { 0 },
};
