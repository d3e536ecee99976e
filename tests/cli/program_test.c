#include "tests/cli/run.h"

#include "cli/cli.h"

static void every_command_has_help(void **state)
{
    (void)state;
    for (const struct cli_command *const *table = cli_tables; *table; table++) {
        for (const struct cli_command *command = *table; command->name; command++) {
            AUTO(text)
            char *arguments = xasprintf("%s --help", command->name),
                 *usage = xasprintf("usage: prometheus-alerts-slm %s", command->name);
            says(arguments, 0, usage);
        }
    }
    says("--help", 0, "commands:");
    says("help", 0, "commands:");
    says("config --help", 0, "config check");
}

static void wrong_usage_is_exit_code_2_with_a_hint(void **state)
{
    (void)state;
    says("", 2, "usage:");
    says("srve", 2, "did you mean \"serve\"?");
    says("config", 2, "config show");
    says("config chck", 2, "did you mean \"config check\"?");
    says("version --outputt json", 2, "did you mean --output?");
    says("version -o xml", 2, "give one of table, wide, json, yaml");
    says("version extra", 2, "too many arguments");
    says("completion", 2, "an argument is missing");
    says("completion fish", 2, "bash|zsh");
    says("config show --set", 2, "--set needs a value");
    says("health --ready=x", 2, "takes no value");
    says("serve --dry-run=maybe", 2, "give one of plan, server, off");
}

static void bad_configuration_is_exit_code_2_with_every_error(void **state)
{
    (void)state;
    says("config check -s slm.timeout=never -s slm.modle=x", 2, "--set slm.timeout");
    says("config check -s slm.timeout=never -s slm.modle=x", 2, "did you mean slm.model?");
    says("serve -s server.webhook_port=0", 2, "out of bounds");
    says("config check -c /nowhere.yaml", 2, "/nowhere.yaml");
}

static void configuration_is_shown_checked_and_asked_for(void **state)
{
    (void)state;
    says("config check", 0, "good");
    says("config show", 0, "model: smollm2-135m");
    says("config show -o json", 0, "\"model\": \"smollm2-135m\"");
    says("config get server.webhook_port -s webhook.port=9999", 0, "9999");
    says("config get no.such", 2, "there is no key no.such");
    says("config sample", 0, "#slm:");
}

static void version_and_completions_are_written(void **state)
{
    (void)state;
    says("version", 0, "prometheus-alerts-slm ");
    says("--version", 0, "prometheus-alerts-slm ");
    says("version -o yaml", 0, "version: ");
    says("completion bash", 0, "complete -F _prometheus_alerts_slm");
    says("completion zsh", 0, "#compdef");
    says("docs man", 0, ".TH PROMETHEUS");
}

static void bash_completes_commands_and_flags(void **state)
{
    (void)state;
    static const char script[] =
        "completion bash >/tmp/complete.$$ && bash -c '. /tmp/complete.'$$'; "
        "COMP_WORDS=(prometheus-alerts-slm conf); COMP_CWORD=1; _prometheus_alerts_slm; echo \"1 ${COMPREPLY[*]}\"; "
        "COMP_WORDS=(prometheus-alerts-slm config s); COMP_CWORD=2; _prometheus_alerts_slm; echo \"2 ${COMPREPLY[*]}\"; "
        "COMP_WORDS=(prometheus-alerts-slm health --re); COMP_CWORD=2; _prometheus_alerts_slm; echo \"3 ${COMPREPLY[*]}\"'; "
        "rm /tmp/complete.$$";
    AUTO(strbuf) struct strbuf out = { 0 };
    assert_int_equal(run(&out, script), 0);
    assert_non_null(strstr(out.ptr, "1 config\n"));
    assert_non_null(strstr(out.ptr, "2 show sample\n"));
    assert_non_null(strstr(out.ptr, "3 --ready\n"));
}

static void health_of_nobody_is_a_failure(void **state)
{
    (void)state;
    says("health --url http://127.0.0.1:1", 1, "127.0.0.1");
}

int main(void)
{
    setenv("XDG_CONFIG_HOME", "/nowhere", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_help),
        cmocka_unit_test(wrong_usage_is_exit_code_2_with_a_hint),
        cmocka_unit_test(bad_configuration_is_exit_code_2_with_every_error),
        cmocka_unit_test(configuration_is_shown_checked_and_asked_for),
        cmocka_unit_test(version_and_completions_are_written),
        cmocka_unit_test(bash_completes_commands_and_flags),
        cmocka_unit_test(health_of_nobody_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
