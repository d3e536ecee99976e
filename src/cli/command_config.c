/* config check, show, sample. */
#include "cli/cli_internal.h"

static int check(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    const struct config *config = cli_config(cli, &err);
    if (!config)
        return cli_fail(&err);
    printf("%s: good\n",
           *config_path(config) ? config_path(config) : "no configuration file; environment and defaults");
    return CLI_OK;
}

static int show(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf out = { 0 };
    const struct config *config = cli_config(cli, &err);
    if (!config)
        return cli_fail(&err);
    if (cli_output(cli) == CLI_JSON)
        config_show_json(config, &out);
    else
        config_show_yaml(config, &out);
    cli_print(strbuf_str(&out));
    return CLI_OK;
}

static int sample(struct cli *cli)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    (void)cli;
    config_write_sample(&out);
    cli_print(strbuf_str(&out));
    return CLI_OK;
}

static int get(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    const struct config *config = cli_config(cli, &err);
    if (!config)
        return cli_fail(&err);
    AUTO(text) char *value = config_value_text(config, cli_arg(cli, 0));
    if (!value)
        return cli_usage("there is no key %s with a single value; see docs/configuration.md",
                         cli_arg(cli, 0));
    printf("%s\n", value);
    return CLI_OK;
}

const struct cli_command cli_config_commands[] = {
    { "config check", "", "check the configuration and say every mistake, with its line", check,
      .details = "Exit code 2 if there is one." },
    { "config show", "", "show what is in effect, and where each value came from", show,
      .flags = cli_output_flags, .details = "Secrets are masked." },
    { "config get", "KEY", "print one value that is in effect", get, 1, 1 },
    { "config sample", "", "write a commented configuration file with every key", sample },
    { 0 },
};
