/* The command line. Each subcommand is a row in a table (name, arguments, flags, help, function); help, man page and
 * shell completions are made from the same rows.
 *
 * To add a command: a file command_NAME.c with a table of rows, its name in the list in commands.c, and in meson.build.
 *
 *     static int list(struct cli *cli) { … return CLI_OK; }
 *     const struct cli_command cli_alerts[] = {
 *         { "alerts list", "", "list alerts, newest first", list, .flags = list_flags },
 *         { "alerts show", "ID", "show one alert", show, .args_min = 1, .args_max = 1, .flags = cli_output_flags },
 *         { 0 },
 *     }; */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"

enum { CLI_OK = 0, CLI_FAILURE = 1, CLI_USAGE = 2 }; /* exit codes; CLI_USAGE: also a bad configuration */

struct cli_flag {
    const char *name;  /* without the dashes */
    char letter;       /* 0: none */
    const char *value; /* "N"; NULL: a switch; "[MODE]": may be left out, and is given with = */
    const char *help;
    const char *const *choices; /* ended by NULL; any other value is a usage error */
    bool repeatable;
    const char *sets; /* another way to say --set THIS=VALUE */
};

struct cli;
struct cli_command {
    const char *name;            /* "alerts list" */
    const char *arguments;       /* "ID", "[FILE...]" */
    const char *help;            /* one line, lower case */
    int (*run)(struct cli *cli); /* → exit code */
    unsigned args_min, args_max; /* args_max UINT_MAX: any number */
    const struct cli_flag
        *flags;          /* ended by a NULL name; may be NULL. --config, --set, --help are everybody's */
    const char *details; /* more help; may be NULL */
    bool hidden;         /* works, but is not listed */
};

extern const struct cli_command *const cli_tables[]; /* ended by NULL; commands.c */
extern const struct cli_flag cli_output_flags[];     /* -o */
extern const struct cli_flag cli_list_flags[];       /* -o, --limit */
#define CLI_FLAG_OUTPUT { "output", 'o', "FORMAT", "table, wide, json or yaml", cli_output_choices }
#define CLI_FLAG_LIMIT { "limit", 'n', "N", "at most N rows; 0: all (default 50)" }
extern const char *const cli_output_choices[];

int cli_main(int argc, char **argv);

/* --- for commands */

const struct cli_command *cli_command(const struct cli *cli);
size_t cli_args(const struct cli *cli);
const char *cli_arg(const struct cli *cli, size_t index); /* NULL past the end */
bool cli_has(const struct cli *cli, const char *flag);
const char *cli_flag(const struct cli *cli, const char *flag, const char *otherwise); /* the last one given */
size_t cli_flag_count(const struct cli *cli, const char *flag);
const char *cli_flag_at(const struct cli *cli, const char *flag, size_t index);
bool cli_flag_int(const struct cli *cli, const char *flag, int64_t otherwise, int64_t min, int64_t max,
                  int64_t *value, struct error **err);
bool cli_flag_duration(const struct cli *cli, const char *flag, int64_t otherwise_ms, int64_t *ms,
                       struct error **err);

/* What --config and --set and the environment say; read at the first call, freed with the cli. */
const struct config *cli_config(struct cli *cli, struct error **err);
struct config_options cli_config_options(const struct cli *cli);

/* "prometheus-alerts-slm: MESSAGE" on standard error; frees *err. Returns CLI_FAILURE, for ERROR_INVALID CLI_USAGE. */
int cli_fail(struct error **err);
__attribute__((format(printf, 1, 2))) int cli_usage(const char *format, ...); /* CLI_USAGE */

/* --- output: one JSON text, in the form that REST answers have, shown as -o says */

struct cli_column {
    const char *heading; /* "SEVERITY" */
    const char *field;   /* "severity"; "labels.namespace"; of several with '|' the first that is there */
    bool wide;           /* with -o wide alone */
};

/* A list: `json` is {"PLURAL":[…],"next_cursor":…}. As a table the columns of each item; as JSON or YAML everything. */
bool cli_show_list(const struct cli *cli, struct str json, const char *plural,
                   const struct cli_column *columns, struct error **err);
/* One object; as a table (and by default) as YAML. */
bool cli_show_object(const struct cli *cli, struct str json, struct error **err);

enum cli_output { CLI_TABLE, CLI_WIDE, CLI_JSON, CLI_YAML };
enum cli_output cli_output(const struct cli *cli);
void cli_print(struct str text); /* to standard output, as it is */
void cli_print_safe(struct strbuf *out,
                    struct str text); /* control characters made visible: what comes from outside
                                                               * shall not steer the terminal */

/* JSON as YAML; false if it is no JSON. */
bool cli_json_to_yaml(struct str json, struct strbuf *out);

/* What is made of the tables. */
void cli_write_man(struct strbuf *out);
void cli_write_completion_bash(struct strbuf *out);
void cli_write_completion_zsh(struct strbuf *out);
void cli_write_reference(struct strbuf *out); /* docs/commands.md */

#endif
