/* The configuration: YAML file + environment + `--set key=value` → one validated struct. Later sources win:
 * default, file, environment, --set; but a variable that is not ours alone (CONFIG_SHARED_ENV) comes before the file.
 * A value may hold ${VAR} or ${VAR:-default} ($$ is a dollar sign).
 * All errors of a run are reported together, each with file, line and column. docs/configuration.md is made from the
 * same tables (keys.h). */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "config/keys.h"
#include "config/sections/actions.h"
#include "config/sections/app.h"
#include "config/sections/filters.h"
#include "config/sections/intake.h"
#include "config/sections/kubernetes.h"
#include "config/sections/memory.h"
#include "config/sections/server.h"
#include "config/sections/slm.h"
#include "config/sections/store.h"

struct config { /* read-only once loaded: any thread may read one it holds */
    struct config_app app;
    struct config_logging logging;
    struct config_server server;
    struct config_webhook webhook;
    struct config_intake intake;
    struct config_filters filters;
    struct config_correlation correlation;
    struct config_peer alertmanager, prometheus;
    struct config_store store;
    struct config_database database;
    struct config_slm slm;
    struct config_kubernetes kubernetes;
    struct config_actions actions;
    struct config_policy policy;
    struct config_history history;
    struct config_oscillation oscillation;
    struct config_effectiveness effectiveness;
    struct config_learning learning;
    struct config_audit audit;

    struct config_private *private; /* sources of the values, secret files, memory */
};

struct config_options {
    const char *path;       /* NULL: $CONFIG_FILE, else the user's, else the system's file if there is one */
    const char *const *set; /* "key=value", ended by NULL; may be NULL */
    char *const *environment; /* NULL: this process' own */
};

/* Load, validate, and cross-check. NULL with ERROR_INVALID: the message holds one line for each error. */
struct config *config_load(const struct config_options *options, struct error **err);
void config_free(struct config *config);
static inline void config_cleanup(struct config **config)
{
    config_free(*config);
}

const char *config_path(const struct config *config);          /* the file that was read; "" if none */
bool config_secret_files_changed(const struct config *config); /* a *_file has another content or time now */

bool config_address_is_loopback(const char *address);
/* The value of any scalar key by its full name, as `config show` prints it (secrets masked). NULL if there is no such key. */
char *config_value_text(const struct config *config, const char *name); /* the caller frees */
/* Where it comes from: "default", "config.yaml:12:9", "environment LOG_LEVEL", "--set slm.model". */
const char *config_value_source(const struct config *config, const char *name);

/* What can be said about keys. */
void config_show_yaml(const struct config *config,
                      struct strbuf *out); /* effective values, source as comment */
void config_show_json(const struct config *config, struct strbuf *out);
void config_write_reference(struct strbuf *out); /* docs/configuration.md */
void config_write_sample(struct strbuf *out);    /* every key, commented out */

/* The configuration of a running process: a reload swaps in a new one, readers keep the one they hold. */
struct config_live; /* locks itself */
struct config_live *config_live_new_take(struct config *config,
                                         const struct config_options *options); /* copies options */
void config_live_free(struct config_live *live);
static inline void config_live_cleanup(struct config_live **live)
{
    config_live_free(*live);
}

const struct config *config_live_hold(struct config_live *live); /* until config_live_release() */
void config_live_release(struct config_live *live, const struct config *config);

/* Load again. A bad file leaves the old configuration working and says what is wrong. Listeners are told of a good one,
 * in the order they were added, on the caller's thread; keys that need a restart are logged. */
bool config_live_reload(struct config_live *live, struct error **err);
typedef void config_changed_fn(const struct config *before, const struct config *now, void *context);
void config_live_listen(struct config_live *live, config_changed_fn *changed, void *context);

#endif
