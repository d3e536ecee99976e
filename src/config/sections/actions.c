#include "config/sections/actions.h"

/* The predecessor's key was a boolean: true is server, false is off. */
static const struct config_choice dry_runs[] = {
    { "plan", CONFIG_DRY_RUN_PLAN },   { "server", CONFIG_DRY_RUN_SERVER }, { "off", CONFIG_DRY_RUN_OFF },
    { "true", CONFIG_DRY_RUN_SERVER }, { "false", CONFIG_DRY_RUN_OFF },     { 0 },
};

enum { WEEK_MS = 7 * 24 * 3600 * 1000 };

#define AT(field) offsetof(struct config_actions, field)
const struct config_key config_keys_actions[] = {
    { "dry_run", CONFIG_CHOICE, AT(dry_run), .def = "server", .choices = dry_runs, .env = "DRY_RUN",
      .flags = CONFIG_RELOADABLE,
      .help =
          "`plan` writes nothing, `server` sends dryRun=All (admission and validation really run), `off` acts. "
          "true means server, false off." },
    { "max_concurrent", CONFIG_INT, AT(max_concurrent), .def = "5", .min = 1, .max = 1000,
      .env = "MAX_CONCURRENT_ACTIONS", .flags = CONFIG_RELOADABLE, .help = "Executions at a time." },
    { "cooldown_period", CONFIG_DURATION, AT(cooldown_period_ms), .def = "5m", .min = 0, .max = WEEK_MS,
      .flags = CONFIG_RELOADABLE, .help = "Before the same action touches the same resource again." },
    { 0 },
};
