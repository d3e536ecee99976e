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
};

extern const struct config_key config_keys_actions[];

#endif
