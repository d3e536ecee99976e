/* `actions …`: the catalogue; `policy test`. */
#include "cli/cli_internal.h"

#include "executor/executor.h"

static const struct cli_column columns[] = {
    { "NAME", "name" },
    { "CATEGORY", "category" },
    { "RISK", "risk" },
    { "REVERSIBLE", "reversible" },
    { "DOES", "does" },
    { "UNDO", "undo", true },
    { 0 },
};

static int list(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf json = { 0 };
    strbuf_add_text(&json, "{\"actions\":[");
    for (int action = 0; action < ACTION_COUNT; action++) {
        strbuf_add_text(&json, action ? "," : "");
        executor_write_action((enum action)action, &json);
    }
    strbuf_add_text(&json, "],\"next_cursor\":null}");
    return cli_show_list(cli, strbuf_str(&json), "actions", columns, &err) ? CLI_OK : cli_fail(&err);
}

static int unknown(const char *name)
{
    return cli_usage("there is no action \"%.64s\": see %s actions list", name, CLI_PROGRAM);
}

static int show(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf json = { 0 };
    enum action action;
    if (!action_parse(str_of(cli_arg(cli, 0)), &action))
        return unknown(cli_arg(cli, 0));
    executor_write_action(action, &json);
    return cli_show_object(cli, strbuf_str(&json), &err) ? CLI_OK : cli_fail(&err);
}

/* Names from --enabled (separated by commas, may be repeated), else what the configuration enables. */
static bool read_enabled(struct cli *cli, const struct config *config, uint32_t *set, const char **bad)
{
    *set = 0;
    for (size_t i = 0; i < cli_flag_count(cli, "enabled"); i++) {
        struct str rest = str_of(cli_flag_at(cli, "enabled", i)), name;
        while (str_split(&rest, ',', &name)) {
            enum action action;
            if (name.len && !action_parse(str_trim(name), &action)) {
                *bad = name.ptr;
                return false;
            }
            *set |= name.len ? BIT(action) : 0;
        }
    }
    for (int action = 0; action < ACTION_COUNT && !cli_has(cli, "enabled"); action++)
        *set |= executor_is_enabled(config, (enum action)action) ? BIT(action) : 0;
    return true;
}

static int rbac(struct cli *cli)
{
    enum { NAMESPACES_MAX = 64 };
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf out = { 0 };
    const struct config *config = cli_config(cli, &err);
    const char *namespaces[NAMESPACES_MAX + 1] = { 0 }, *bad;
    if (!config)
        return cli_fail(&err);
    struct rbac_options options = { .service_account =
                                        cli_flag(cli, "service-account", config->kubernetes.service_account),
                                    .namespace = cli_flag(cli, "namespace", config->kubernetes.namespace),
                                    .namespaces = namespaces };
    for (size_t i = 0; i < cli_flag_count(cli, "in") && i < NAMESPACES_MAX; i++)
        namespaces[i] = cli_flag_at(cli, "in", i);
    if (!read_enabled(cli, config, &options.actions, &bad))
        return unknown(bad);
    executor_write_rbac(&options, &out);
    cli_print(strbuf_str(&out));
    return CLI_OK;
}

static int test_policy(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf report = { 0 };
    size_t passed, failed;
    AUTO(policy) struct policy *policy = policy_open(cli_arg(cli, 0), &err);
    if (!policy)
        return cli_fail(&err);
    bool good = policy_run_tests(policy, &report, &passed, &failed);
    cli_print(strbuf_str(&report));
    printf("%zu passed, %zu failed\n", passed, failed);
    return good ? CLI_OK : CLI_FAILURE;
}

static const struct cli_flag rbac_flags[] = {
    { "enabled", 0, "ACTIONS", "for these actions, separated by commas; else actions.enabled",
      .repeatable = true },
    { "in", 0, "NAMESPACE", "a Role in this namespace rather than a ClusterRole for all",
      .repeatable = true },
    { "service-account", 0, "NAME", "whom the roles are bound to; else kubernetes.service_account" },
    { "namespace", 'n', "NAME", "the account's namespace; else kubernetes.namespace" },
    { 0 },
};

const struct cli_command cli_actions[] = {
    { "actions list", "", "list the actions of the catalogue", list, .flags = cli_list_flags },
    { "actions show", "NAME", "show an action: parameters, rights, proof, undo", show, 1, 1,
      .flags = cli_output_flags },
    { "actions rbac", "", "write the least roles that the enabled actions need", rbac, .flags = rbac_flags },
    { "policy test", "FILE", "check a policy file and run the examples in it", test_policy, 1, 1,
      .details =
          "Exit code 0: all passed; 1: one failed; 2: the file has a mistake, which is shown with its place." },
    { 0 },
};
