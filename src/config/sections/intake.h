/* intake.*, alertmanager.*, prometheus.* */
#ifndef CONFIG_SECTIONS_INTAKE_H
#define CONFIG_SECTIONS_INTAKE_H

#include "config/keys.h"

struct config_intake {
    int64_t reopen_grace_ms;              /* a late firing within it reopens but starts no work */
    int64_t flap_changes, flap_window_ms; /* so many changes in the window: flapping */
    int64_t expire_after_ms;              /* a firing alert without news for so long has ended */
    int64_t inbox_limit;                  /* alerts waiting; over it the webhook says 503 */
    int64_t workers;
    int64_t lease_ms; /* a claim that is not renewed is another worker's after this */
};

struct config_peer { /* a server that we ask */
    const char *url, *token, *username, *password;
    const char *ca_file;
    int64_t timeout_ms;
};

extern const struct config_key config_keys_intake[], config_keys_peer[];

#endif
