#include "config/sections/app.h"

static const struct config_choice levels[] = {
    { "debug", LOG_DEBUG },  { "info", LOG_INFO },   { "warn", LOG_WARN },
    { "warning", LOG_WARN }, { "error", LOG_ERROR }, { 0 },
};
static const struct config_choice formats[] = {
    { "auto", LOG_FORMAT_AUTO },
    { "json", LOG_FORMAT_JSON },
    { "text", LOG_FORMAT_TEXT },
    { 0 },
};

#define AT(field) offsetof(struct config_app, field)
const struct config_key config_keys_app[] = {
    { "name", CONFIG_TEXT, AT(name), .def = "prometheus-alerts-slm",
      .help = "Name in notifications and traces." },
    { "version", CONFIG_TEXT, AT(version),
      .help = "Accepted from older files; the program knows its own version." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_logging, field)
const struct config_key config_keys_logging[] = {
    { "level", CONFIG_CHOICE, AT(level), .def = "info", .choices = levels, .env = "LOG_LEVEL",
      .flags = CONFIG_RELOADABLE, .help = "Lines below this level are left out." },
    { "format", CONFIG_CHOICE, AT(format), .def = "auto", .choices = formats, .env = "LOG_FORMAT",
      .flags = CONFIG_RELOADABLE, .help = "JSON lines or text; `auto` is text on a terminal, else JSON." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_audit, field)
const struct config_key config_keys_audit[] = {
    { "key_file", CONFIG_TEXT, AT(key_file),
      .help =
          "Ed25519 private key (PEM) that signs the audit log's checkpoints. Empty: one is made in the state directory." },
    { "checkpoint_every", CONFIG_DURATION, AT(checkpoint_every_ms), .def = "1m", .min = 1000, .max = 86400000,
      .help = "How often the head of the chain is signed, and written to the log too." },
    { "max_age", CONFIG_DURATION, AT(max_age_ms), .def = "365d", .min = 0, .max = 365.0 * 100 * 86400000,
      .help = "Older entries are deleted, up to a checkpoint; 0: never." },
    { 0 },
};
