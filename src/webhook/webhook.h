/* POST /alerts: what Alertmanager sends is checked, and answered with 200 once it is durable in the inbox. What can never
 * be accepted gets 400, once and for all; what may pass gets 503 with Retry-After; 429 is never said, for Alertmanager
 * takes it as final. Method, path, credentials, content type and size are the HTTP server's part of the checks. */
#ifndef WEBHOOK_WEBHOOK_H
#define WEBHOOK_WEBHOOK_H

#include "config/config.h"
#include "http/http.h"
#include "store/store.h"

struct webhook; /* locks itself */

struct webhook_options {
    struct store *store;
    struct config_live *config;      /* intake.inbox_limit */
    const char *path;                /* "/alerts"; copied */
    void (*accepted)(void *context); /* told after each commit, on another thread; may be NULL */
    void *context;
};

struct webhook *webhook_new(const struct webhook_options *options);
void webhook_free(struct webhook *webhook); /* after the server has stopped */
static inline void webhook_cleanup(struct webhook **webhook)
{
    webhook_free(*webhook);
}

void webhook_add_to(struct webhook *webhook, struct http_server *server);

/* Would POST /alerts be answered with 503 now? The reason then is *err; /ready says the same. */
bool webhook_is_ready(struct webhook *webhook, struct error **err);

#endif
