/* Every table of commands, in the order in which help lists them. */
#include "cli/cli_internal.h"

const struct cli_command *const cli_tables[] = {
    /* clang-format off: a line each, so that additions merge by themselves */
    cli_serve,
    cli_alerts,
    cli_incidents,
    cli_history,
    cli_insights,
    cli_audit,
    cli_salvage,
    cli_actions,
    cli_executions,
    cli_analyze,
    cli_train,
    cli_model,
    cli_config_commands,
    cli_health,
    cli_about,
    NULL,
    /* clang-format on */
};

const struct cli_flag cli_common_flags[] = {
    { "config", 'c', "FILE", "configuration file" },
    { "set", 's', "KEY=VALUE", "set one key of the configuration, such as slm.timeout=10s",
      .repeatable = true },
    { "help", 'h', NULL, "show this help" },
    { 0 },
};

const char *const cli_output_choices[] = { "table", "wide", "json", "yaml", NULL };
const struct cli_flag cli_output_flags[] = { CLI_FLAG_OUTPUT, { 0 } };
const struct cli_flag cli_list_flags[] = { CLI_FLAG_OUTPUT, CLI_FLAG_LIMIT, { 0 } };
