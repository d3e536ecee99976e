/* store.*, database.* */
#ifndef CONFIG_SECTIONS_STORE_H
#define CONFIG_SECTIONS_STORE_H

#include "config/keys.h"

struct config_store {
    const char *url; /* after loading never empty: sqlite:PATH or postgresql://… */
};

struct config_database { /* the predecessor's way to name a PostgreSQL; becomes store.url */
    const char *host, *user, *password, *name;
    int64_t port;
    const char *ssl_mode; /* "": verify-full, on loopback prefer */
    int64_t max_connections;
};

extern const struct config_key config_keys_store[], config_keys_database[];

#endif
