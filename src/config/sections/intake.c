#include "config/sections/intake.h"

enum { MINUTE_MS = 60 * 1000 };
#define YEAR_MS (365.0 * 24 * 3600 * 1000)

#define AT(field) offsetof(struct config_intake, field)
const struct config_key config_keys_intake[] = {
    { "reopen_grace", CONFIG_DURATION, AT(reopen_grace_ms), .def = "5m", .min = 0, .max = YEAR_MS,
      .flags = CONFIG_RELOADABLE,
      .help = "An alert that fires again within this after its end starts no new work." },
    { "flap_changes", CONFIG_INT, AT(flap_changes), .def = "6", .min = 2, .max = 64,
      .flags = CONFIG_RELOADABLE,
      .help =
          "So many changes between firing and resolved within flap_window are flapping, which starts no new work." },
    { "flap_window", CONFIG_DURATION, AT(flap_window_ms), .def = "30m", .min = 1000, .max = YEAR_MS,
      .flags = CONFIG_RELOADABLE, .help = "The window of flap_changes." },
    { "expire_after", CONFIG_DURATION, AT(expire_after_ms), .def = "4h15m", .min = 1000, .max = YEAR_MS,
      .flags = CONFIG_RELOADABLE,
      .help =
          "A firing alert without news for this long has ended: a little over Alertmanager's repeat_interval + 2 × "
          "group_interval." },
    { "inbox_limit", CONFIG_INT, AT(inbox_limit), .def = "1000000", .min = 1, .max = 1e9,
      .flags = CONFIG_RELOADABLE,
      .help = "Alerts that wait; over it the webhook answers 503 and Alertmanager keeps them." },
    { "workers", CONFIG_INT, AT(workers), .def = "2", .min = 1, .max = 256,
      .help = "Threads that work on alerts." },
    { "lease", CONFIG_DURATION, AT(lease_ms), .def = "30s", .min = 1000, .max = 60.0 * MINUTE_MS,
      .help = "A claimed alert whose worker says nothing for this long is claimed by another." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_peer, field)
const struct config_key config_keys_peer[] = {
    { "url", CONFIG_TEXT, AT(url), .check = config_check_url, .flags = CONFIG_RELOADABLE,
      .help = "Its address; empty: it is not asked." },
    { "token", CONFIG_TEXT, AT(token), .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
      .help = "Bearer token for it." },
    { "username", CONFIG_TEXT, AT(username), .flags = CONFIG_RELOADABLE,
      .help = "Name for HTTP basic authentication." },
    { "password", CONFIG_TEXT, AT(password), .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
      .help = "Its password." },
    { "ca_file", CONFIG_TEXT, AT(ca_file), .flags = CONFIG_RELOADABLE,
      .help = "Authority (PEM) that its certificate is verified against; empty: the system's." },
    { "timeout", CONFIG_DURATION, AT(timeout_ms), .def = "10s", .min = 10, .max = 10.0 * MINUTE_MS,
      .flags = CONFIG_RELOADABLE, .help = "Longest wait for an answer." },
    { 0 },
};
