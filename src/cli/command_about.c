/* version, completion, and what `make docs` calls. */
#include "cli/cli_internal.h"

#include "executor/executor.h"
#include "metrics/metrics.h"
#include "version.h"

static int show_version(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    AUTO(error) struct error *err = NULL;
    if (!cli_has(cli, "output")) {
        printf("%s %s (%s)\n", CLI_PROGRAM, VERSION, VERSION_COMMIT);
        return CLI_OK;
    }
    strbuf_addf(&json, "{\"version\":\"%s\",\"commit\":\"%s\"}", VERSION, VERSION_COMMIT);
    return cli_show_object(cli, strbuf_str(&json), &err) ? CLI_OK : cli_fail(&err);
}

struct written {
    const char *name;
    void (*write)(struct strbuf *out);
};

static int write_one(struct cli *cli, const struct written *known)
{
    const struct written *one = known;
    while (one->name && strcmp(one->name, cli_arg(cli, 0)) != 0)
        one++;
    if (!one->name)
        return cli_usage("%s: %s is not known; one of %s", cli_command(cli)->name, cli_arg(cli, 0),
                         cli_command(cli)->arguments);
    AUTO(strbuf) struct strbuf out = { 0 };
    one->write(&out);
    cli_print(strbuf_str(&out));
    return CLI_OK;
}

static int completion(struct cli *cli)
{
    static const struct written shells[] = { { "bash", cli_write_completion_bash },
                                             { "zsh", cli_write_completion_zsh },
                                             { 0 } };
    return write_one(cli, shells);
}

static int docs(struct cli *cli)
{
    static const struct written pages[] = {
        { "man", cli_write_man },
        { "commands", cli_write_reference },
        { "configuration", config_write_reference },
        { "sample", config_write_sample },
        { "metrics", metrics_write_reference },
        { "actions", executor_write_manual },
        { 0 },
    };
    return write_one(cli, pages);
}

const struct cli_command cli_about[] = {
    { "version", "", "show the program's version", show_version, .flags = cli_output_flags },
    { "completion", "bash|zsh", "write completions for a shell", completion, 1, 1,
      .details = "source <(prometheus-alerts-slm completion bash)" },
    { "docs", "man|commands|configuration|sample|metrics|actions", "write a page of the manual", docs, 1, 1,
      .hidden = true },
    { 0 },
};
