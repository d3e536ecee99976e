/* Which model answers an alert, and which are asked after it fails. */
#ifndef SLM_ROUTER_H
#define SLM_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "alert/alert.h"
#include "config/config.h"
#include "slm/remote.h"

enum { ROUTER_CHAIN_MAX = 8 };

struct target {            /* one model, embedded or behind a server */
    const char *name;      /* of the route; "default" for slm.provider */
    int provider;          /* enum config_provider; never NONE */
    const char *model;     /* as configured */
    struct remote *remote; /* NULL for an embedded one */
    size_t embedded;       /* number of an embedded model: equal ones are opened once */
};

struct router;                                          /* read-only once open */
struct router *router_new(const struct config *config); /* copies what it needs */
void router_free(struct router *router);
static inline void router_cleanup(struct router **router)
{
    router_free(*router);
}

/* What is asked for this alert, in order: the first route that fits or slm.provider, then the fallbacks. Returns how
 * many; 0 where slm.provider is none and no route fits. */
size_t router_chain(const struct router *router, const struct alert *alert,
                    const struct target *chain[ROUTER_CHAIN_MAX]);

/* The models that must be opened: number `i` of router_embedded_count(), as configured. */
size_t router_embedded_count(const struct router *router);
const char *router_embedded_model(const struct router *router, size_t i);

#endif
