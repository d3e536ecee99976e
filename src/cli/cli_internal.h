/* What this folder's files tell each other. */
#ifndef CLI_INTERNAL_H
#define CLI_INTERNAL_H

#include "cli/cli.h"

#define CLI_PROGRAM "prometheus-alerts-slm"
enum { CLI_VALUES_MAX = 128, CLI_ARGS_MAX = 1024 };

struct cli_value {
    const struct cli_flag *flag;
    const char *text; /* "" for a switch */
};

struct cli {
    const struct cli_command *command;
    const char *args[CLI_ARGS_MAX];
    size_t args_len;
    struct cli_value values[CLI_VALUES_MAX];
    size_t values_len;
    const char *set[CLI_VALUES_MAX + 1]; /* of --set, for config_load() */
    size_t set_len;
    struct arena *arena;
    bool wants_help;
    struct config *config;
};

extern const struct cli_flag cli_common_flags[];

/* parse.c. False: *exit_code says how to end; what was wrong is on standard error. */
bool cli_parse(struct cli *cli, int argc, char **argv, int *exit_code);

/* help.c */
void cli_help_program(struct strbuf *out);
void cli_help_group(struct str group, struct strbuf *out);
void cli_help_command(const struct cli_command *command, struct strbuf *out);
struct str cli_group_of(const struct cli_command *command); /* the first word of its name */

/* The commands' tables. */
extern const struct cli_command cli_serve[];
extern const struct cli_command cli_config_commands[];
extern const struct cli_command cli_health[];
extern const struct cli_command cli_about[];
extern const struct cli_command cli_actions[];
extern const struct cli_command cli_executions[];
extern const struct cli_command cli_analyze[];
extern const struct cli_command cli_train[];
extern const struct cli_command cli_model[];
extern const struct cli_command cli_alerts[];
extern const struct cli_command cli_incidents[];
extern const struct cli_command cli_history[];
extern const struct cli_command cli_insights[];
extern const struct cli_command cli_audit[];
extern const struct cli_command cli_salvage[];

/* command_alerts.c: the store that the configuration names, for a command; NULL with what to do. */
struct store;
struct store *cli_open_store(struct cli *cli, struct error **err);

/* cluster.c: the client of the cluster that the configuration names, with its log line; the caller closes it. */
struct k8s *cluster_open(const struct config *config, struct error **err);

/* story.c: an incident, as GET /api/v1/incidents/ID answers it, for a person. */
bool cli_write_story(struct str json, struct strbuf *out, struct error **err);

#endif
