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
    { "enabled", CONFIG_TEXTS, AT(enabled), .flags = CONFIG_RELOADABLE,
      .help = "Actions that may be executed, by name; empty: all. `actions rbac` writes roles for these." },
    { "stop_file", CONFIG_TEXT, AT(stop_file), .flags = CONFIG_RELOADABLE,
      .help = "While this file exists, nothing is executed, as after `executions stop`." },
    { "protected_namespaces", CONFIG_TEXTS, AT(protected_namespaces),
      .def = "kube-system,kube-public,kube-node-lease", .flags = CONFIG_RELOADABLE,
      .help =
          "Namespaces in which nothing is changed, but by the actions of `protected_allowed`. Our own is always one." },
    { "protected_allowed", CONFIG_TEXTS, AT(protected_allowed), .def = "restart_network",
      .flags = CONFIG_RELOADABLE, .help = "Actions that may change something there." },
    { "approval_expiry", CONFIG_DURATION, AT(approval_expiry_ms), .def = "1h", .min = 1000, .max = WEEK_MS,
      .flags = CONFIG_RELOADABLE, .help = "How long an execution waits for a person; then it is cancelled." },
    { "timeout", CONFIG_DURATION, AT(timeout_ms), .def = "10m", .min = 1000, .max = WEEK_MS,
      .flags = CONFIG_RELOADABLE,
      .help = "How long an execution waits for a Job, a snapshot, a switchover." },
    { "max_unschedulable_percent", CONFIG_INT, AT(max_unschedulable_percent), .def = "34", .min = 1,
      .max = 100, .flags = CONFIG_RELOADABLE,
      .help = "Of all nodes, how many may be cordoned; beyond that no further one is." },
    { "cordon_expiry", CONFIG_DURATION, AT(cordon_expiry_ms), .def = "0", .min = 0, .max = WEEK_MS,
      .flags = CONFIG_RELOADABLE,
      .help = "A cordon undoes itself after this time, once its alert has ended; 0: never." },
    { "quarantine_expiry", CONFIG_DURATION, AT(quarantine_expiry_ms), .def = "0", .min = 0, .max = WEEK_MS,
      .flags = CONFIG_RELOADABLE, .help = "A quarantine undoes itself after this time; 0: never." },
    { "job_image", CONFIG_TEXT, AT(job_image), .flags = CONFIG_RELOADABLE,
      .help =
          "Image of the Job with which cleanup_storage cleans a claim whose own pod does not run (`find` is "
          "all it needs), pinned by digest. Empty: then it is refused." },
    { "cleanup_paths", CONFIG_TEXTS, AT(cleanup_paths), .def = "/var/log,/tmp,/var/tmp,/var/cache",
      .flags = CONFIG_RELOADABLE,
      .help = "Folders that cleanup_storage may clean, with what is below them." },
    { "velero_namespace", CONFIG_TEXT, AT(velero_namespace), .def = "velero", .flags = CONFIG_RELOADABLE,
      .help = "Where Velero's Backups are made." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_policy, field)
const struct config_key config_keys_policy[] = {
    { "file", CONFIG_TEXT, AT(file), .env = "POLICY_FILE", .flags = CONFIG_RELOADABLE,
      .help =
          "Rules in YAML that say what is allowed, denied, or waits for a person. Empty: low risk is allowed, medium "
          "risk from a confidence of 0.8 on, everything else needs approval. See docs/policy.md." },
    { 0 },
};
