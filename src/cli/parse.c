/* The command line into a struct cli. */
#include "cli/cli_internal.h"

#include <stdarg.h>
#include <stdlib.h>

int cli_usage(const char *format, ...)
{
    va_list args;
    fputs(CLI_PROGRAM ": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\n", stderr);
    return CLI_USAGE;
}

int cli_fail(struct error **err)
{
    int code = error_code(*err) == ERROR_INVALID ? CLI_USAGE : CLI_FAILURE;
    AUTO(strbuf) struct strbuf text = { 0 };
    struct str rest = str_of(error_message(*err)), line;
    while (str_split(&rest, '\n', &line)) { /* several errors are several lines */
        strbuf_addf(&text, "%s: ", CLI_PROGRAM);
        cli_print_safe(&text, line);
        strbuf_add_char(&text, '\n');
    }
    fputs(text.ptr ? text.ptr : CLI_PROGRAM ": failed\n", stderr);
    error_clear(err);
    return code;
}

/* The command whose name the first words are; *words says how many. */
static const struct cli_command *find_command(int argc, char **argv, int *words)
{
    for (*words = 2; *words >= 1; --*words) {
        if (*words > argc)
            continue;
        AUTO(text) char *name = *words == 2 ? xasprintf("%s %s", argv[0], argv[1]) : xstrdup(argv[0]);
        for (const struct cli_command *const *table = cli_tables; *table; table++)
            for (const struct cli_command *command = *table; command->name; command++)
                if (strcmp(command->name, name) == 0)
                    return command;
    }
    return NULL;
}

static bool is_group(const char *word)
{
    for (const struct cli_command *const *table = cli_tables; *table; table++)
        for (const struct cli_command *command = *table; command->name; command++)
            if (str_eq(cli_group_of(command), str_of(word)) && strchr(command->name, ' '))
                return true;
    return false;
}

static int fail_unknown(int argc, char **argv)
{
    const char *names[256];
    size_t count = 0;
    bool group = is_group(argv[0]);
    AUTO(arena) struct arena *arena = arena_new(4096);
    const char *given = group && argc > 1 ? arena_printf(arena, "%s %s", argv[0], argv[1]) : argv[0];
    for (const struct cli_command *const *table = cli_tables; *table; table++)
        for (const struct cli_command *command = *table; command->name && count < ARRAY_LEN(names); command++)
            if (!command->hidden)
                names[count++] = group ? command->name : arena_text(arena, cli_group_of(command));
    const char *nearest = str_nearest(str_of(given), names, count);
    return cli_usage("there is no command \"%s\"%s%s%s; see %s --help", given,
                     nearest ? ": did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "",
                     CLI_PROGRAM);
}

static const struct cli_flag *find_in(const struct cli_flag *flags, struct str name, char letter)
{
    for (; flags && flags->name; flags++)
        if (letter ? flags->letter == letter : str_eq(str_of(flags->name), name))
            return flags;
    return NULL;
}

static const struct cli_flag *find_flag(const struct cli *cli, struct str name, char letter)
{
    const struct cli_flag *flag = find_in(cli->command->flags, name, letter);
    return flag ? flag : find_in(cli_common_flags, name, letter);
}

static bool fail_flag(const struct cli *cli, const char *given, struct str name)
{
    const char *names[64];
    size_t count = 0;
    for (const struct cli_flag *flag = cli->command->flags; flag && flag->name && count < 32; flag++)
        names[count++] = flag->name;
    for (const struct cli_flag *flag = cli_common_flags; flag->name; flag++)
        names[count++] = flag->name;
    const char *nearest = str_nearest(name, names, count);
    cli_usage("%s has no flag %s%s%s%s", cli->command->name, given, nearest ? ": did you mean --" : "",
              nearest ? nearest : "", nearest ? "?" : "");
    return false;
}

static bool check_choice(const struct cli_flag *flag, const char *text)
{
    const char *const *choice = flag->choices;
    while (choice && *choice && strcmp(*choice, text) != 0)
        choice++;
    if (!choice || *choice)
        return true;
    AUTO(strbuf) struct strbuf names = { 0 };
    for (choice = flag->choices; *choice; choice++)
        strbuf_addf(&names, "%s%s", names.len ? ", " : "", *choice);
    cli_usage("--%s %s: give one of %s", flag->name, text, names.ptr);
    return false;
}

static bool add_value(struct cli *cli, const struct cli_flag *flag, const char *text)
{
    if (cli->values_len == CLI_VALUES_MAX) {
        cli_usage("too many flags");
        return false;
    }
    cli->values[cli->values_len++] = (struct cli_value){ flag, text };
    if (strcmp(flag->name, "help") == 0)
        cli->wants_help = true;
    if (strcmp(flag->name, "set") == 0)
        cli->set[cli->set_len++] = text;
    if (flag->sets)
        cli->set[cli->set_len++] = arena_printf(cli->arena, "%s=%s", flag->sets, text);
    return check_choice(flag, text);
}

/* --name, --name=value, --name value, -n value, -nvalue. *at is moved past a value that stands by itself. */
static bool take_flag(struct cli *cli, int argc, char **argv, int *at)
{
    const char *given = argv[*at], *text = NULL;
    bool is_long = given[1] == '-';
    struct str name = str_of(given + (is_long ? 2 : 1));
    size_t equals;
    if (is_long && str_find(name, STR("="), &equals)) {
        text = name.ptr + equals + 1;
        name = str_slice(name, 0, equals);
    } else if (!is_long && name.len > 1) {
        text = name.ptr + 1;
    }
    const struct cli_flag *flag = find_flag(cli, name, is_long ? 0 : given[1]);
    if (!flag)
        return fail_flag(cli, given, name);
    bool optional = flag->value && flag->value[0] == '[';
    if (!flag->value && text) {
        cli_usage("--%s takes no value", flag->name);
        return false;
    }
    if (flag->value && !text && !optional && *at + 1 < argc)
        text = argv[++*at];
    if (flag->value && !text && !optional) {
        cli_usage("--%s needs a value: --%s %s", flag->name, flag->name, flag->value);
        return false;
    }
    return !text ? add_value(cli, flag, "") : add_value(cli, flag, text);
}

static bool take_words(struct cli *cli, int argc, char **argv)
{
    bool flags = true;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        if (flags && strcmp(word, "--") == 0) {
            flags = false;
        } else if (flags && word[0] == '-' && word[1]) {
            if (!take_flag(cli, argc, argv, &at))
                return false;
        } else if (cli->args_len < CLI_ARGS_MAX) {
            cli->args[cli->args_len++] = word;
        }
    }
    return true;
}

static bool check_args(const struct cli *cli)
{
    const struct cli_command *command = cli->command;
    if (cli->wants_help || (cli->args_len >= command->args_min && cli->args_len <= command->args_max))
        return true;
    const char *arguments = command->arguments ? command->arguments : "";
    cli_usage("%s: usage: %s %s%s%s",
              cli->args_len < command->args_min ? "an argument is missing" : "too many arguments",
              CLI_PROGRAM, command->name, *arguments ? " " : "", arguments);
    return false;
}

/* No command: help, which was either asked for or is missing something. */
static int without_command(int argc, char **argv)
{
    bool asked = argc > 0 && (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0 ||
                              strcmp(argv[0], "help") == 0);
    AUTO(strbuf) struct strbuf out = { 0 };
    if (argc == 0 || argv[0][0] == '-' || strcmp(argv[0], "help") == 0)
        cli_help_program(&out);
    else if (is_group(argv[0]) && (argc == 1 || asked))
        cli_help_group(str_of(argv[0]), &out);
    else
        return fail_unknown(argc, argv);
    fputs(out.ptr, asked ? stdout : stderr);
    return asked ? CLI_OK : CLI_USAGE;
}

bool cli_parse(struct cli *cli, int argc, char **argv, int *exit_code)
{
    int words;
    if (argc > 0 && strcmp(argv[0], "--version") == 0)
        argv[0] = (char *)"version";
    cli->command = argc > 0 ? find_command(argc, argv, &words) : NULL;
    if (!cli->command) {
        *exit_code = without_command(argc, argv);
        return false;
    }
    *exit_code = CLI_USAGE;
    return take_words(cli, argc - words, argv + words) && check_args(cli);
}

int cli_main(int argc, char **argv)
{
    struct cli *cli = xcalloc(1, sizeof *cli);
    cli->arena = arena_new(1024);
    int code;
    if (cli_parse(cli, argc - 1, argv + 1, &code)) {
        AUTO(strbuf) struct strbuf help = { 0 };
        if (cli->wants_help) {
            cli_help_command(cli->command, &help);
            cli_print(strbuf_str(&help));
            code = CLI_OK;
        } else {
            code = cli->command->run(cli);
        }
    }
    config_free(cli->config);
    arena_free(cli->arena);
    free(cli);
    if (fflush(stdout) != 0 && code == CLI_OK)
        code = CLI_FAILURE;
    return code;
}

const struct cli_command *cli_command(const struct cli *cli)
{
    return cli->command;
}
size_t cli_args(const struct cli *cli)
{
    return cli->args_len;
}
const char *cli_arg(const struct cli *cli, size_t index)
{
    return index < cli->args_len ? cli->args[index] : NULL;
}

size_t cli_flag_count(const struct cli *cli, const char *flag)
{
    size_t count = 0;
    for (size_t i = 0; i < cli->values_len; i++)
        count += strcmp(cli->values[i].flag->name, flag) == 0;
    return count;
}

const char *cli_flag_at(const struct cli *cli, const char *flag, size_t index)
{
    for (size_t i = 0; i < cli->values_len; i++)
        if (strcmp(cli->values[i].flag->name, flag) == 0 && index-- == 0)
            return cli->values[i].text;
    return NULL;
}

bool cli_has(const struct cli *cli, const char *flag)
{
    return cli_flag_count(cli, flag) > 0;
}

const char *cli_flag(const struct cli *cli, const char *flag, const char *otherwise)
{
    size_t count = cli_flag_count(cli, flag);
    return count ? cli_flag_at(cli, flag, count - 1) : otherwise;
}

bool cli_flag_int(const struct cli *cli, const char *flag, int64_t otherwise, int64_t min, int64_t max,
                  int64_t *value, struct error **err)
{
    const char *text = cli_flag(cli, flag, NULL);
    *value = otherwise;
    if (!text || (str_to_i64(str_of(text), value) && *value >= min && *value <= max))
        return true;
    return error_set(err, ERROR_INVALID, "--%s %s: give a number from %lld to %lld", flag, text,
                     (long long)min, (long long)max);
}

bool cli_flag_duration(const struct cli *cli, const char *flag, int64_t otherwise_ms, int64_t *ms,
                       struct error **err)
{
    const char *text = cli_flag(cli, flag, NULL);
    *ms = otherwise_ms;
    if (!text || duration_parse(str_of(text), ms))
        return true;
    return error_set(err, ERROR_INVALID, "--%s %s: give a duration, such as 30m or 24h", flag, text);
}

struct config_options cli_config_options(const struct cli *cli)
{
    return (struct config_options){ .path = cli_flag(cli, "config", NULL), .set = cli->set };
}

const struct config *cli_config(struct cli *cli, struct error **err)
{
    struct config_options options = cli_config_options(cli);
    if (!cli->config)
        cli->config = config_load(&options, err);
    return cli->config;
}
