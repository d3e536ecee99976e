/* actions.* */
#ifndef CONFIG_SECTIONS_ACTIONS_H
#define CONFIG_SECTIONS_ACTIONS_H

#include "config/keys.h"

enum config_dry_run {
    CONFIG_DRY_RUN_PLAN,   /* no write call */
    CONFIG_DRY_RUN_SERVER, /* dryRun=All: admission and validation really run */
    CONFIG_DRY_RUN_OFF,    /* the real thing */
};

struct config_actions {
    int dry_run; /* enum config_dry_run */
    int64_t max_concurrent;
    int64_t cooldown_period_ms;
    struct config_texts enabled;              /* names of actions; none: all */
    const char *stop_file;                    /* while it exists, nothing is executed */
    struct config_texts protected_namespaces; /* not written to, but by … */
    struct config_texts protected_allowed;    /* … these actions */
    int64_t approval_expiry_ms;
    int64_t timeout_ms; /* of what an execution waits for: Jobs, snapshots, evictions */
    int64_t max_unschedulable_percent;
    int64_t cordon_expiry_ms, quarantine_expiry_ms; /* 0: never */
    const char *job_image;                          /* "": no Job cleans a claim */
    struct config_texts cleanup_paths;
    const char *velero_namespace;
};

struct config_policy {
    const char *file; /* "": the defaults alone */
};

extern const struct config_key config_keys_actions[], config_keys_policy[];

#endif
