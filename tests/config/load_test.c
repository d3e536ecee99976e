#include "tests/config/fixture.h"

static struct config *load_ok(const char *yaml, const char *const *environment, const char *const *set)
{
    struct error *err = NULL;
    struct config *config = fixture_load(yaml, environment, set, &err);
    assert_ok(config != NULL, err);
    return config;
}

static void fails_with(const char *yaml, const char *const *environment, const char *const *set,
                       const char *text)
{
    struct error *err = NULL;
    assert_fails(fixture_load(yaml, environment, set, &err) != NULL, err, ERROR_INVALID, text);
}

static void defaults_are_the_documented_ones(void **state)
{
    (void)state;
    AUTO(config) struct config *config = load_ok(NULL, ENVIRONMENT("XDG_CONFIG_HOME=/nowhere"), NULL);
    assert_int_equal(config->slm.provider, CONFIG_PROVIDER_EMBEDDED);
    assert_string_equal(config->slm.model, "smollm2-135m");
    assert_int_equal(config->slm.max_context_size, 0);
    assert_true(config->slm.temperature == 0);
    assert_int_equal(config->actions.dry_run, CONFIG_DRY_RUN_SERVER);
    assert_int_equal(config->actions.cooldown_period_ms, 300000);
    assert_int_equal(config->server.webhook_port, 8080);
    assert_int_equal(config->server.metrics_port, 9090);
    assert_int_equal(config->server.health_port, 8081);
    assert_int_equal(config->server.max_body_size, 32 << 20);
    assert_string_equal(config->server.address, "127.0.0.1");
    assert_string_equal(config->server.health_address, "127.0.0.1");
    assert_string_equal(config->webhook.path, "/alerts");
    assert_string_equal(config->kubernetes.namespace, "default");
    assert_true(strncmp(config->store.url, "sqlite:", 7) == 0);
}

static void every_source_is_read_and_the_later_one_wins(void **state)
{
    (void)state;
    AUTO(config)
    struct config *config =
        load_ok("slm:\n  model: from-file\n  timeout: 10s\n  retry_count: 1\nlogging: { level: warn }\n",
                ENVIRONMENT("SLM_MODEL=from-env", "SLM_TIMEOUT=20s", "DRY_RUN=true", "SLM_API_KEY="),
                SET("slm.model=from-set"));
    assert_string_equal(config->slm.model, "from-set");
    assert_int_equal(config->slm.timeout_ms, 20000);
    assert_int_equal(config->slm.retry_count, 1);
    assert_int_equal(config->logging.level, LOG_WARN);
    assert_int_equal(config->actions.dry_run, CONFIG_DRY_RUN_SERVER);
}

static void dry_run_takes_words_and_booleans(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int mode;
    } cases[] = { { "plan", CONFIG_DRY_RUN_PLAN },
                  { "server", CONFIG_DRY_RUN_SERVER },
                  { "off", CONFIG_DRY_RUN_OFF },
                  { "true", CONFIG_DRY_RUN_SERVER },
                  { "false", CONFIG_DRY_RUN_OFF } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(text) char *yaml = xasprintf("actions:\n  dry_run: %s\n", cases[i].text);
        AUTO(config) struct config *config = load_ok(yaml, NULL, NULL);
        assert_int_equal(config->actions.dry_run, cases[i].mode);
    }
    fails_with("actions: { dry_run: maybe }", NULL, NULL, "not one of plan, server, off");
}

static void predecessors_file_is_accepted(void **state)
{
    (void)state;
    AUTO(config)
    struct config *config = load_ok(
        "app: { name: prometheus-alerts-slm, version: 1.0.0 }\n"
        "server: { webhook_port: 8080, metrics_port: 9090, health_port: 8081 }\n"
        "logging: { level: info, format: json }\n"
        "slm: { endpoint: \"http://localhost:11434\", model: \"granite3.1-dense:8b\", provider: localai, timeout: 30s,\n"
        "       retry_count: 3, temperature: 0.3, max_tokens: 500, max_context_size: 2000 }\n"
        "kubernetes: { context: \"\", namespace: default, service_account: prometheus-alerts-slm }\n"
        "actions: { dry_run: false, max_concurrent: 5, cooldown_period: 5m }\n"
        "webhook: { port: 8080, path: /alerts, auth: { type: bearer, token: \"\" } }\n"
        "filters:\n"
        "  - name: production\n"
        "    conditions:\n"
        "      severity: [critical, warning]\n"
        "      namespace: [production, staging]\n",
        NULL, NULL);
    assert_int_equal(config->slm.provider, CONFIG_PROVIDER_OPENAI);
    assert_int_equal(config->filters.count, 1);
    assert_int_equal(config->filters.items[0].conditions.count, 2);
    assert_string_equal(config->filters.items[0].conditions.items[1].name, "namespace");
    assert_string_equal(config->filters.items[0].conditions.items[1].texts.items[1], "staging");
}

static void errors_name_file_line_and_column_all_in_one_run(void **state)
{
    (void)state;
    struct error *err = NULL;
    assert_null(
        fixture_load("slm:\n  modle: x\n  timeout: soon\n  temperature: 2\nserver:\n  webhook_port: 70000\n"
                     "  max_body_size: 1\nactoins:\n  dry_run: plan\nlogging: 5\n",
                     NULL, NULL, &err));
    static const char *const expected[] = {
        "config.yaml:2:3: unknown key slm.modle: did you mean slm.model?",
        "config.yaml:3:12: slm.timeout: \"soon\" is not a duration",
        "config.yaml:4:16: slm.temperature: 2 is out of bounds: give 0 to 1",
        "config.yaml:6:17: server.webhook_port: 70000 is out of bounds: give 1 to 65535",
        "config.yaml:7:18: server.max_body_size: 1 is out of bounds: give 1Ki to 1Gi",
        "config.yaml:8:1: unknown key actoins: did you mean actions?",
        "config.yaml:10:10: logging: expected a mapping, found a single value",
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        if (!strstr(error_message(err), expected[i]))
            fail_msg("\"%s\" is missing in:\n%s", expected[i], error_message(err));
    error_free(err);
}

static void wrong_kinds_are_errors(void **state)
{
    (void)state;
    fails_with("slm: { model: [a] }", NULL, NULL, "1:15: slm.model: expected a single value, found a list");
    fails_with("slm: { retry_count: 1.5 }", NULL, NULL, "\"1.5\" is not a whole number");
    fails_with("slm: { retry_count: -1 }", NULL, NULL, "out of bounds");
    fails_with("server: { allow_unauthenticated: maybe }", NULL, NULL, "not true or false");
    fails_with("filters: { a: b }", NULL, NULL, "filters: expected a list, found a mapping");
    fails_with("filters: [ x ]", NULL, NULL, "filters[0]: expected a mapping");
    fails_with("filters: [ { conditions: {} } ]", NULL, NULL, "filters[0]: name is missing");
    fails_with("server: { tls: 5 }", NULL, NULL, "server.tls: expected a mapping");
    fails_with("kubernetes: { namespace: '' }", NULL, NULL, "kubernetes.namespace may not be empty");
    fails_with("[1, 2]", NULL, NULL, "the file: expected a mapping, found a list");
    fails_with("alertmanager: { url: 'ftp://x' }", NULL, NULL, "not a URL");
    fails_with("server: { address: example.com }", NULL, NULL, "not an IP address");
    fails_with("server: { allowed_cidrs: [10.0.0.0/8, 10.0.0.0/99] }", NULL, NULL, "not a prefix length");
}

static void environment_and_set_are_checked_as_the_file_is(void **state)
{
    (void)state;
    fails_with(NULL, ENVIRONMENT("SLM_MAX_TOKENS=many"), NULL,
               "environment SLM_MAX_TOKENS: \"many\" is not a whole number");
    fails_with(NULL, NULL, SET("slm.modl=x"), "--set slm.modl: unknown key: did you mean slm.model?");
    fails_with(NULL, NULL, SET("nonsense"), "write KEY=VALUE");
    fails_with(NULL, NULL, SET("slm.temperature=9"), "--set slm.temperature: 9 is out of bounds");
}

static void a_variable_of_other_programs_says_what_the_file_leaves_open(void **state)
{
    static const struct {
        const char *yaml, *kubeconfig, *source;
        bool set;
    } cases[] = {
        { "kubernetes: { kubeconfig: /file }", "/file", "config.yaml:1:27", false },
        { "kubernetes: { kubeconfig: '' }", "/shell", "environment KUBECONFIG", false },
        { "kubernetes: { context: c }", "/shell", "environment KUBECONFIG", false },
        { "kubernetes: { kubeconfig: /file }", "/set", "--set kubernetes.kubeconfig", true },
        { "kubernetes: { kubeconfig: '${KUBECONFIG}' }", "/shell", "config.yaml:1:27", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(config)
        struct config *config = load_ok(cases[i].yaml, ENVIRONMENT("KUBECONFIG=/shell", "KUBE_CONTEXT=ours"),
                                        cases[i].set ? SET("kubernetes.kubeconfig=/set") : NULL);
        assert_string_equal(config->kubernetes.kubeconfig, cases[i].kubeconfig);
        assert_string_equal(config->kubernetes.context, "ours"); /* our own variables override the file */
        assert_non_null(strstr(config_value_source(config, "kubernetes.kubeconfig"), cases[i].source));
    }
}

static void lists_are_set_in_flow_style(void **state)
{
    (void)state;
    AUTO(config)
    struct config *config = load_ok(NULL, NULL,
                                    SET("filters=[{name: a, conditions: {severity: [critical]}}]",
                                        "server.allowed_cidrs=10.0.0.0/8, ::1"));
    assert_int_equal(config->filters.count, 1);
    assert_string_equal(config->filters.items[0].conditions.items[0].texts.items[0], "critical");
    assert_int_equal(config->server.allowed_cidrs.count, 2);
    assert_string_equal(config->server.allowed_cidrs.items[1], "::1");
}

static void ports_under_two_names_must_agree(void **state)
{
    (void)state;
    fails_with("server: { webhook_port: 8080 }\nwebhook: { port: 8085 }", NULL, NULL,
               "2:18: two names of one setting differ");
    fails_with("webhook: { port: 8085 }\nserver: { webhook_port: 8080 }", NULL, NULL,
               "two names of one setting differ");
    AUTO(config) struct config *config = load_ok("webhook: { port: 8085 }", NULL, NULL);
    assert_int_equal(config->server.webhook_port, 8085);
    AUTO(config)
    struct config *from_env = load_ok("webhook: { port: 8085 }", ENVIRONMENT("WEBHOOK_PORT=9000"), NULL);
    assert_int_equal(from_env->server.webhook_port, 9000);
}

static void variables_are_replaced_in_values(void **state)
{
    (void)state;
    AUTO(config)
    struct config *config = load_ok("slm: { model: \"${NAME}-${SIZE:-135m}$$x$\", timeout: \"${T}\" }",
                                    ENVIRONMENT("NAME=smol: [y]", "T=7s"), NULL);
    assert_string_equal(config->slm.model, "smol: [y]-135m$x$");
    assert_int_equal(config->slm.timeout_ms, 7000);
    fails_with("slm: { model: \"${NOT_SET}\" }", NULL, NULL, "the environment variable NOT_SET is not set");
    fails_with("slm: { model: \"${oops\" }", NULL, NULL, "is not closed");
    fails_with("slm: { model: \"${a b}\" }", NULL, NULL, "does not name a variable");
}

static void secrets_come_from_files_and_are_noticed_when_they_change(void **state)
{
    (void)state;
    AUTO(text) char *token = xasprintf("%s/token", fixture_folder);
    AUTO(text) char *yaml = xasprintf("webhook: { auth: { token_file: %s } }", token);
    AUTO(text) char *variable = xasprintf("WEBHOOK_AUTH_TOKEN_FILE=%s", token);
    AUTO(text) char *both = xasprintf("webhook: { auth: { token: a, token_file: %s } }", token);
    fixture_write(token, "old-token\nnew-token\n");
    AUTO(config) struct config *config = load_ok(yaml, NULL, NULL);
    assert_string_equal(config->webhook.auth_token, "old-token\nnew-token");
    assert_false(config_secret_files_changed(config));
    fixture_write(token, "third");
    assert_true(config_secret_files_changed(config));
    AUTO(config) struct config *from_env = load_ok(NULL, ENVIRONMENT(variable), NULL);
    assert_string_equal(from_env->webhook.auth_token, "third");
    fails_with(both, NULL, NULL, "give token or token_file, not both");
    fails_with(NULL, ENVIRONMENT(variable, "WEBHOOK_AUTH_TOKEN=x"), NULL, "not both");
    fails_with("webhook: { auth: { token_file: /nowhere/x } }", NULL, NULL, "1:32: open /nowhere/x");
    fixture_write(token, "\n");
    fails_with(yaml, NULL, NULL, "is empty");
}

static void open_addresses_need_credentials(void **state)
{
    (void)state;
    fails_with("server: { address: 0.0.0.0 }", NULL, NULL,
               "config.yaml:1:20: server.address 0.0.0.0 can be reached by others");
    AUTO(config)
    struct config *open = load_ok("server: { address: 0.0.0.0, allow_unauthenticated: true }", NULL, NULL);
    AUTO(config)
    struct config *closed =
        load_ok("server: { address: 0.0.0.0 }", ENVIRONMENT("WEBHOOK_AUTH_TOKEN=s"), NULL);
    AUTO(config)
    struct config *loopback = load_ok("server: { address: \"::1\", health_address: 0.0.0.0 }", NULL, NULL);
}

static void credentials_are_checked(void **state)
{
    (void)state;
    AUTO(config)
    struct config *config = load_ok(
        "server:\n  credentials:\n    - { name: am, scopes: [ingest], token: t }\n"
        "    - { name: ops, scopes: \"read, operate\", username: u, password: p, expires: 2027-01-01T00:00:00Z }\n",
        NULL, NULL);
    assert_int_equal(config->server.credentials.count, 2);
    assert_int_equal(config->server.credentials.items[0].scopes, BIT(CONFIG_SCOPE_INGEST));
    assert_int_equal(config->server.credentials.items[1].scopes,
                     BIT(CONFIG_SCOPE_READ) | BIT(CONFIG_SCOPE_OPERATE));
    fails_with("server: { credentials: [ { name: a, scopes: [read] } ] }", NULL, NULL,
               "needs exactly one of token");
    fails_with("server: { credentials: [ { name: a, scopes: [all], token: t } ] }", NULL, NULL,
               "not one of ingest, read");
    fails_with("server: { credentials: [ { name: a, scopes: [read], username: t } ] }", NULL, NULL,
               "both username and password");
    fails_with("server: { credentials: [ { name: a, scopes: [read], client_name: t } ] }", NULL, NULL,
               "client_ca_file");
    fails_with("server: { credentials: [ { name: a, scopes: [], token: t } ] }", NULL, NULL,
               "scopes is missing");
    fails_with("server: { tls: { cert_file: x } }", NULL, NULL, "needs both cert_file and key_file");
    fails_with("webhook: { auth: { type: none, token: x } }", NULL, NULL, "auth.type is none");
    fails_with("webhook: { auth: { type: basic } }", NULL, NULL, "needs username and password");
}

static void database_parts_become_a_url(void **state)
{
    (void)state;
    AUTO(config)
    struct config *config = load_ok(
        NULL, ENVIRONMENT("DB_HOST=db.example", "DB_USER=a@b", "DB_PASSWORD=p", "DB_PORT=5433"), NULL);
    assert_string_equal(config->store.url, "postgresql://a%40b@db.example:5433/action_history");
    assert_string_equal(config->database.password, "p");
    fails_with(NULL, ENVIRONMENT("DB_HOST=x", "DATABASE_URL=sqlite:/tmp/x"), NULL, "both name a database");
    fails_with("store: { url: 'mysql://x' }", NULL, NULL, "give sqlite:PATH or postgresql://");
}

static void missing_file_that_was_named_is_an_error(void **state)
{
    (void)state;
    struct error *err = NULL;
    struct config_options options = { .path = "/nowhere/config.yaml" };
    assert_fails(config_load(&options, &err) != NULL, err, ERROR_INVALID, "/nowhere/config.yaml");
    assert_null(config_load(
        &(struct config_options){ .environment = (char *[]){ (char *)"CONFIG_FILE=/nowhere/c", NULL } },
        &err));
    error_free(err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_documented_ones),
        cmocka_unit_test(every_source_is_read_and_the_later_one_wins),
        cmocka_unit_test(dry_run_takes_words_and_booleans),
        cmocka_unit_test(predecessors_file_is_accepted),
        cmocka_unit_test(errors_name_file_line_and_column_all_in_one_run),
        cmocka_unit_test(wrong_kinds_are_errors),
        cmocka_unit_test(environment_and_set_are_checked_as_the_file_is),
        cmocka_unit_test(a_variable_of_other_programs_says_what_the_file_leaves_open),
        cmocka_unit_test(lists_are_set_in_flow_style),
        cmocka_unit_test(ports_under_two_names_must_agree),
        cmocka_unit_test(variables_are_replaced_in_values),
        cmocka_unit_test(secrets_come_from_files_and_are_noticed_when_they_change),
        cmocka_unit_test(open_addresses_need_credentials),
        cmocka_unit_test(credentials_are_checked),
        cmocka_unit_test(database_parts_become_a_url),
        cmocka_unit_test(missing_file_that_was_named_is_an_error),
    };
    return cmocka_run_group_tests(tests, fixture_start, fixture_stop);
}
