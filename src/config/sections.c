/* Every section, in the order in which files and documentation show them. */
#include "config/config.h"

const struct config_keys config_sections[] = {
    { "app", "The program.", offsetof(struct config, app), .keys = config_keys_app },
    { "logging", "Log lines on standard error.", offsetof(struct config, logging),
      .keys = config_keys_logging },
    { "server", "Ports, limits and who may call.", offsetof(struct config, server),
      .keys = config_keys_server },
    { "webhook", "Where Alertmanager posts.", offsetof(struct config, webhook), .keys = config_keys_webhook },
    { "intake", "What happens to alerts once accepted.", offsetof(struct config, intake),
      .keys = config_keys_intake },
    { "filters", "Which alerts are worked on.", offsetof(struct config, filters),
      .keys = config_keys_filters },
    { "correlation", "Which alerts form one incident.", offsetof(struct config, correlation),
      .keys = config_keys_correlation },
    { "alertmanager", "The Alertmanager that truncated groups are completed from.",
      offsetof(struct config, alertmanager), .keys = config_keys_peer },
    { "prometheus", "The Prometheus that effects are measured with.", offsetof(struct config, prometheus),
      .keys = config_keys_peer },
    { "store", "Where everything is kept.", offsetof(struct config, store), .keys = config_keys_store },
    { "database", "A PostgreSQL, named part by part.", offsetof(struct config, database),
      .keys = config_keys_database },
    { "slm", "The model.", offsetof(struct config, slm), .keys = config_keys_slm },
    { "kubernetes", "The cluster.", offsetof(struct config, kubernetes), .keys = config_keys_kubernetes },
    { "actions", "What may be done.", offsetof(struct config, actions), .keys = config_keys_actions },
    { "audit", "The signed audit log.", offsetof(struct config, audit), .keys = config_keys_audit },
    { 0 },
};
