/* Help, man page, completions, reference: all from the tables of commands. */
#include "cli/cli_internal.h"

#include <stdlib.h>

enum { NAME_COLUMN = 26 };

struct str cli_group_of(const struct cli_command *command)
{
    const char *blank = strchr(command->name, ' ');
    return blank ? (struct str){ command->name, (size_t)(blank - command->name) } : str_of(command->name);
}

typedef void command_fn(const struct cli_command *command, struct strbuf *out);
static void each_command(command_fn *add, struct strbuf *out)
{
    for (const struct cli_command *const *table = cli_tables; *table; table++)
        for (const struct cli_command *command = *table; command->name; command++)
            if (!command->hidden)
                add(command, out);
}

static void add_line(const struct cli_command *command, struct strbuf *out)
{
    const char *arguments = command->arguments ? command->arguments : "";
    AUTO(text) char *name = xasprintf("%s%s%s", command->name, *arguments ? " " : "", arguments);
    strbuf_addf(out, "  %-*s %s\n", NAME_COLUMN, name, command->help);
}

static void add_flag(const struct cli_flag *flag, struct strbuf *out)
{
    char letter[8] = "    ";
    if (flag->letter)
        snprintf(letter, sizeof letter, "-%c, ", flag->letter);
    bool optional = flag->value && flag->value[0] == '[';
    AUTO(text)
    char *name = xasprintf("%s--%s%s%s", letter, flag->name, flag->value ? (optional ? "=" : " ") : "",
                           flag->value ? flag->value : "");
    strbuf_addf(out, "  %-*s %s\n", NAME_COLUMN, name, flag->help);
}

static void add_flags(const struct cli_flag *flags, struct strbuf *out)
{
    for (; flags && flags->name; flags++)
        add_flag(flags, out);
}

void cli_help_program(struct strbuf *out)
{
    strbuf_add_text(out,
                    "Turns firing Prometheus alerts into safe, recorded, reversible Kubernetes actions.\n\n"
                    "usage: " CLI_PROGRAM " COMMAND [ARGUMENTS] [FLAGS]\n\ncommands:\n");
    each_command(add_line, out);
    strbuf_add_text(out, "\nflags of every command:\n");
    add_flags(cli_common_flags, out);
    strbuf_add_text(out, "\nexit codes: 0 success, 1 failure, 2 usage or configuration\n");
}

void cli_help_group(struct str group, struct strbuf *out)
{
    strbuf_addf(out, "usage: %s " STR_FMT " COMMAND [ARGUMENTS] [FLAGS]\n\ncommands:\n", CLI_PROGRAM,
                STR_ARG(group));
    for (const struct cli_command *const *table = cli_tables; *table; table++)
        for (const struct cli_command *command = *table; command->name; command++)
            if (!command->hidden && str_eq(cli_group_of(command), group))
                add_line(command, out);
}

void cli_help_command(const struct cli_command *command, struct strbuf *out)
{
    const char *arguments = command->arguments ? command->arguments : "";
    strbuf_addf(out, "usage: %s %s%s%s [FLAGS]\n\n%s\n", CLI_PROGRAM, command->name, *arguments ? " " : "",
                arguments, command->help);
    if (command->details)
        strbuf_addf(out, "\n%s\n", command->details);
    strbuf_add_text(out, "\nflags:\n");
    add_flags(command->flags, out);
    add_flags(cli_common_flags, out);
}

/* roff: a backslash, and a dot or quote at a line's start, have meanings. */
static void add_roff(struct strbuf *out, const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            strbuf_add_text(out, "\\&");
        if (*text == '\\' || *text == '-')
            strbuf_add_char(out, '\\');
        strbuf_add_char(out, *text);
        line_start = *text == '\n';
    }
}

static void add_man_flags(const struct cli_flag *flags, struct strbuf *out)
{
    for (; flags && flags->name; flags++) {
        strbuf_add_text(out, ".TP\n.B ");
        AUTO(text) char *letter = flags->letter ? xasprintf("-%c, ", flags->letter) : xstrdup("");
        AUTO(text) char *name = xasprintf("%s--%s", letter, flags->name);
        add_roff(out, name);
        if (flags->value)
            strbuf_addf(out, " %s", flags->value);
        strbuf_add_char(out, '\n');
        add_roff(out, flags->help);
        strbuf_add_char(out, '\n');
    }
}

static void add_man_command(const struct cli_command *command, struct strbuf *out)
{
    strbuf_addf(out, ".SS %s%s%s\n", command->name, command->arguments && *command->arguments ? " " : "",
                command->arguments ? command->arguments : "");
    add_roff(out, command->help);
    strbuf_add_text(out, ".\n");
    if (command->details) {
        strbuf_add_text(out, ".PP\n");
        add_roff(out, command->details);
        strbuf_add_char(out, '\n');
    }
    add_man_flags(command->flags, out);
}

void cli_write_man(struct strbuf *out)
{
    strbuf_add_text(
        out,
        ".TH PROMETHEUS\\-ALERTS\\-SLM 1\n.SH NAME\nprometheus\\-alerts\\-slm \\- turns firing alerts into "
        "safe, recorded, reversible Kubernetes actions\n.SH SYNOPSIS\n.B prometheus\\-alerts\\-slm\n"
        "COMMAND [ARGUMENTS] [FLAGS]\n.SH COMMANDS\n");
    each_command(add_man_command, out);
    strbuf_add_text(out, ".SH FLAGS OF EVERY COMMAND\n");
    add_man_flags(cli_common_flags, out);
    strbuf_add_text(
        out, ".SH EXIT STATUS\n0 success, 1 failure, 2 usage or configuration.\n"
             ".SH FILES\n.TP\n.I ~/.config/prometheus\\-alerts\\-slm/config.yaml\nthe user's configuration\n"
             ".TP\n.I /etc/prometheus\\-alerts\\-slm/config.yaml\nthe system's\n");
}

/* The words that can follow "" (groups and single commands) or a group. */
static void add_words(struct str group, struct strbuf *out)
{
    struct str previous = { 0 };
    for (const struct cli_command *const *table = cli_tables; *table; table++) {
        for (const struct cli_command *command = *table; command->name; command++) {
            struct str first = cli_group_of(command);
            const char *second = strchr(command->name, ' ');
            if (command->hidden || (group.len && (!str_eq(first, group) || !second)))
                continue;
            if (!group.len && str_eq(first, previous))
                continue;
            previous = first;
            if (group.len)
                strbuf_addf(out, "%s ", second + 1);
            else
                strbuf_addf(out, STR_FMT " ", STR_ARG(first));
        }
    }
}

static void add_flag_words(const struct cli_flag *flags, struct strbuf *out)
{
    for (; flags && flags->name; flags++)
        strbuf_addf(out, "--%s ", flags->name);
}

static void add_bash_groups(struct strbuf *out)
{
    struct str previous = { 0 };
    for (const struct cli_command *const *table = cli_tables; *table; table++) {
        for (const struct cli_command *command = *table; command->name; command++) {
            struct str first = cli_group_of(command);
            if (command->hidden || !strchr(command->name, ' ') || str_eq(first, previous))
                continue;
            previous = first;
            strbuf_addf(out, "    " STR_FMT ") words='", STR_ARG(first));
            add_words(first, out);
            strbuf_add_text(out, "' ;;\n");
        }
    }
}

static void add_bash_flags(const struct cli_command *command, struct strbuf *out)
{
    strbuf_addf(out, "    '%s') flags='", command->name);
    add_flag_words(command->flags, out);
    add_flag_words(cli_common_flags, out);
    strbuf_add_text(out, "' ;;\n");
}

static void add_bash_function(struct strbuf *out)
{
    strbuf_add_text(
        out,
        "_prometheus_alerts_slm() {\n"
        "  local word=${COMP_WORDS[COMP_CWORD]} first=${COMP_WORDS[1]} second=${COMP_WORDS[2]} words='' flags=''\n"
        "  case ${COMP_WORDS[COMP_CWORD-1]} in\n"
        "    -o|--output) COMPREPLY=($(compgen -W 'table wide json yaml' -- \"$word\")); return ;;\n"
        "    -c|--config) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
        "  esac\n"
        "  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W '");
    add_words((struct str){ 0 }, out);
    strbuf_add_text(out, "' -- \"$word\"))\n    return\n  fi\n  case $first in\n");
    add_bash_groups(out);
    strbuf_add_text(out, "  esac\n  if [ \"$COMP_CWORD\" = 2 ] && [ -n \"$words\" ]; then\n"
                         "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n    return\n  fi\n"
                         "  case \"$first${words:+ $second}\" in\n");
    each_command(add_bash_flags, out);
    strbuf_add_text(out, "  esac\n  case $word in\n"
                         "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
                         "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n  esac\n}\n");
}

void cli_write_completion_bash(struct strbuf *out)
{
    strbuf_add_text(
        out,
        "# bash completion for prometheus-alerts-slm: source <(prometheus-alerts-slm completion bash)\n");
    add_bash_function(out);
    strbuf_add_text(out, "complete -F _prometheus_alerts_slm prometheus-alerts-slm\n");
}

/* zsh runs bash's function by its own adapter, so both shells offer the same. */
void cli_write_completion_zsh(struct strbuf *out)
{
    strbuf_add_text(out, "#compdef prometheus-alerts-slm\n"
                         "# zsh completion: source <(prometheus-alerts-slm completion zsh)\n"
                         "autoload -U +X bashcompinit && bashcompinit\n");
    add_bash_function(out);
    strbuf_add_text(out, "complete -F _prometheus_alerts_slm prometheus-alerts-slm\n");
}

static void add_reference(const struct cli_command *command, struct strbuf *out)
{
    strbuf_addf(out, "\n## %s\n\n```\n", command->name);
    cli_help_command(command, out);
    strbuf_add_text(out, "```\n");
}

void cli_write_reference(struct strbuf *out)
{
    strbuf_add_text(
        out, "# Commands\n\nMade by `make docs` from the tables under `src/cli/`; do not edit.\n\n```\n");
    cli_help_program(out);
    strbuf_add_text(out, "```\n");
    each_command(add_reference, out);
}
