/* Kubeconfigs, exec plugins and what is wrong with them: no cluster is needed to say so. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "k8s/k8s_internal.h"
#include "tests/test.h"

static char folder[] = "/tmp/kubeconfig-test-XXXXXX";
static struct arena *arena;

static int make_folder(void **state)
{
    (void)state;
    arena = arena_new(64 * 1024);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    AUTO(text) char *command = xasprintf("rm -r %s", folder);
    arena_free(arena);
    return system(command);
}

static const char *file_of(const char *name, const char *text, unsigned mode)
{
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    struct error *err = NULL;
    assert_ok(file_replace(path, str_of(text), mode, &err), err);
    return path;
}

static const char basic[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: one\n"
    "clusters:\n- name: c\n  cluster: {server: 'https://10.0.0.1:6443', tls-server-name: api.test,\n"
    "    proxy-url: 'socks5://proxy:1080', certificate-authority: pki/ca.crt}\n"
    "users:\n- name: u\n  user: {token: secret-token, as: jane, as-groups: [a, b],\n"
    "    as-user-extra: {scopes: [x, y]}}\n"
    "- name: old\n  user: {auth-provider: {name: gcp}}\n"
    "- name: half\n  user: {client-certificate-data: QUJD}\n"
    "- name: broken\n  user: {client-certificate-data: '!!', client-key-data: QUJD}\n"
    "- name: tty\n  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: x,\n"
    "    interactiveMode: Always}}\n"
    "contexts:\n- name: one\n  context: {cluster: c, user: u, namespace: shop}\n"
    "- name: provider\n  context: {cluster: c, user: old}\n"
    "- name: half\n  context: {cluster: c, user: half}\n"
    "- name: broken\n  context: {cluster: c, user: broken}\n"
    "- name: tty\n  context: {cluster: c, user: tty}\n"
    "- name: lost\n  context: {cluster: nowhere, user: u}\n";

static void a_context_is_read_with_all_that_belongs_to_it(void **state)
{
    struct error *err = NULL;
    struct kubeconfig config = { 0 };
    (void)state;
    assert_ok(kubeconfig_read(arena, STR(basic), "file", "/etc/kube", NULL, &config, &err), err);
    assert_string_equal(config.context, "one");
    assert_string_equal(config.namespace, "shop");
    assert_string_equal(config.server, "https://10.0.0.1:6443");
    assert_string_equal(config.tls_server_name, "api.test");
    assert_string_equal(config.ca_file, "/etc/kube/pki/ca.crt");
    assert_string_equal(config.proxy_url, "socks5://proxy:1080");
    assert_string_equal(config.token, "secret-token");
    assert_string_equal(config.as, "jane");
    assert_string_equal(config.as_groups[1], "b");
    assert_int_equal(config.as_extra_len, 2);
    assert_string_equal(config.as_extra[1].value, "y");
}

static void what_cannot_work_is_said_at_once(void **state)
{
    static const struct {
        const char *context;
        enum error_code code;
        const char *text;
    } cases[] = {
        { "two", ERROR_NOT_FOUND, "no context \"two\"; there are: one, provider" },
        { "lost", ERROR_NOT_FOUND, "no cluster \"nowhere\"" },
        { "provider", ERROR_UNSUPPORTED, "use an exec plugin" },
        { "half", ERROR_INVALID, "no client key" },
        { "broken", ERROR_INVALID, "client-certificate-data is not base64" },
        { "tty", ERROR_UNSUPPORTED, "wants a terminal" },
    };
    struct error *err = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kubeconfig config = { 0 };
        assert_fails(kubeconfig_read(arena, STR(basic), "file", "/", cases[i].context, &config, &err), err,
                     cases[i].code, cases[i].text);
    }
    struct kubeconfig config = { 0 };
    assert_fails(kubeconfig_read(arena, STR("- a\n- b\n"), "f", "/", NULL, &config, &err), err, ERROR_INVALID,
                 "a list");
    assert_fails(kubeconfig_read(arena, STR("clusters: [{name: a}"), "f", "/", NULL, &config, &err), err,
                 ERROR_INVALID, "f:");
}

static void of_several_files_the_first_definition_wins(void **state)
{
    struct error *err = NULL;
    struct kubeconfig config = { 0 };
    (void)state;
    const char *a = file_of("a",
                            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
                            "users: [{name: u, user: {token: first}}]\n",
                            0600);
    const char *b = file_of("b",
                            "current-context: y\nclusters: [{name: c, cluster: {server: 'https://b'}}]\n"
                            "users: [{name: u, user: {token: second}}]\n",
                            0600);
    const char *paths = arena_printf(arena, "%s/missing:%s::%s", folder, a, b);
    assert_ok(kubeconfig_load(arena, paths, NULL, &config, &err), err);
    assert_string_equal(config.context, "x");
    assert_string_equal(config.token, "first");
    assert_string_equal(config.server, "https://b");
    assert_fails(kubeconfig_load(arena, "/no/such:/nor/this", NULL, &config, &err), err, ERROR_NOT_FOUND,
                 "no kubeconfig at");
}

static void base64_is_strict(void **state)
{
    struct str bytes;
    (void)state;
    assert_true(base64_decode(arena, STR("aGVs\nbG8="), &bytes));
    assert_str_equal(bytes, STR("hello"));
    assert_false(base64_decode(arena, STR("aGVsbG8"), &bytes));
    assert_false(base64_decode(arena, STR("aG=sbG8="), &bytes));
    assert_false(base64_decode(arena, STR("===="), &bytes));
}

static void the_service_account_is_found_and_its_token_read_again(void **state)
{
    struct error *err = NULL;
    (void)state;
    AUTO(text) char *account = xasprintf("%s/var/run/secrets/kubernetes.io/serviceaccount", folder);
    assert_true(file_make_directories(account, NULL));
    file_of("var/run/secrets/kubernetes.io/serviceaccount/token", "first-token\n", 0600);
    file_of("var/run/secrets/kubernetes.io/serviceaccount/ca.crt", "", 0600);
    file_of("var/run/secrets/kubernetes.io/serviceaccount/namespace", "ops\n", 0600);
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    unsetenv("KUBECONFIG");
    AUTO(k8s) struct k8s *k8s = k8s_open(&(struct k8s_options){ .service_account_root = folder }, &err);
    assert_ok(k8s, err);
    assert_true(k8s_in_cluster(k8s));
    assert_string_equal(k8s_server(k8s), "https://[fd00::1]:443");
    assert_string_equal(k8s_namespace(k8s), "ops");
    AUTO(identity) struct identity *before = auth_identity(k8s->client->auth, 0, &err);
    assert_string_equal(before->authorization, "Bearer first-token");
    file_of("var/run/secrets/kubernetes.io/serviceaccount/token", "second-token\n", 0600);
    AUTO(identity) struct identity *same = auth_identity(k8s->client->auth, 0, &err);
    assert_ptr_equal(same, before); /* fresh for a minute … */
    AUTO(identity) struct identity *after = auth_identity(k8s->client->auth, before->generation, &err);
    assert_string_equal(after->authorization, "Bearer second-token"); /* … or until a 401 */
    unsetenv("KUBERNETES_SERVICE_HOST");
    setenv("HOME", folder, 1);
    assert_fails(k8s_open(NULL, &err), err, ERROR_NOT_FOUND, "no kubeconfig given");
}

static const char *plugin_config(const char *command, const char *more)
{
    return file_of("plugin",
                   arena_printf(arena,
                                "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
                                "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
                                "users: [{name: u, user: {exec: {apiVersion: "
                                "client.authentication.k8s.io/v1, command: %s%s}}}]\n",
                                command, more),
                   0600);
}

static void a_plugin_runs_once_and_again_after_a_401(void **state)
{
    struct error *err = NULL;
    (void)state;
    file_of(
        "give-token",
        "#!/bin/sh\necho run >>\"$COUNT\"\n"
        "case $KUBERNETES_EXEC_INFO in *'\"server\":\"https://127.0.0.1:1\"'*) ;; *) exit 3 ;; esac\n"
        "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\"}}'\n",
        0700);
    const char *config =
        plugin_config("./give-token", arena_printf(arena,
                                                   ", env: [{name: COUNT, value: %s/count}], "
                                                   "provideClusterInfo: true",
                                                   folder));
    AUTO(k8s) struct k8s *k8s = k8s_open(&(struct k8s_options){ .kubeconfig = config }, &err);
    assert_ok(k8s, err);
    for (int i = 0; i < 3; i++) {
        AUTO(identity) struct identity *identity = auth_identity(k8s->client->auth, 0, &err);
        assert_ok(identity, err);
        assert_string_equal(identity->authorization, "Bearer t");
    }
    AUTO(identity) struct identity *again = auth_identity(k8s->client->auth, 1, &err);
    AUTO(strbuf) struct strbuf runs = { 0 };
    assert_true(file_read(arena_printf(arena, "%s/count", folder), 100, &runs, NULL));
    assert_string_equal(runs.ptr, "run\nrun\n");
}

static void a_plugin_that_hangs_is_killed_with_its_children(void **state)
{
    struct error *err = NULL;
    struct kubeconfig config = { 0 };
    struct plugin_credential made = { 0 };
    (void)state;
    file_of("hang", "#!/bin/sh\nsleep 60 & echo $! >\"$0.pid\"\nwait\n", 0700);
    assert_ok(kubeconfig_load(arena, plugin_config("./hang", ""), NULL, &config, &err), err);
    int64_t began = clock_mono_ms();
    assert_fails(plugin_run(&config, 300, &made, &err), err, ERROR_TIMEOUT, "was killed");
    assert_in_range(clock_mono_ms() - began, 250, 5000);
    AUTO(strbuf) struct strbuf pid = { 0 };
    assert_true(file_read(arena_printf(arena, "%s/hang.pid", folder), 100, &pid, NULL));
    clock_sleep_ms(50);
    AUTO(strbuf) struct strbuf stat_text = { 0 };
    bool alive = file_read(arena_printf(arena, "/proc/%d/stat", atoi(pid.ptr)), 1000, &stat_text, NULL);
    assert_true(!alive || strstr(stat_text.ptr, ") Z "));
}

static void a_plugin_that_fails_is_named_without_its_words(void **state)
{
    static const struct {
        const char *script, *text;
        enum error_code code;
    } cases[] = {
        { "#!/bin/sh\necho secret >&2; exit 7\n", "exit status 7", ERROR_UNAUTHENTICATED },
        { "#!/bin/sh\necho my-secret-token\n", "something else than an ExecCredential", ERROR_INVALID },
        { "#!/bin/sh\necho '{\"kind\":\"ExecCredential\",\"apiVersion\":\"v2\"}'\n", "apiVersion \"v2\"",
          ERROR_INVALID },
        { "#!/bin/sh\necho '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\"}'\n",
          "neither a token", ERROR_UNAUTHENTICATED },
    };
    struct error *err = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kubeconfig config = { 0 };
        struct plugin_credential made = { 0 };
        file_of("fails", cases[i].script, 0700);
        assert_ok(kubeconfig_load(arena, plugin_config("./fails", ""), NULL, &config, &err), err);
        bool ok = plugin_run(&config, 5000, &made, &err);
        assert_false(ok);
        assert_null(strstr(error_message(err), "secret"));
        assert_fails(ok, err, cases[i].code, cases[i].text);
    }
    struct kubeconfig config = { 0 };
    struct plugin_credential made = { 0 };
    assert_ok(kubeconfig_load(arena, plugin_config("no-such-plugin", ", installHint: install it"), NULL,
                              &config, &err),
              err);
    assert_fails(plugin_run(&config, 5000, &made, &err), err, ERROR_NOT_FOUND, "install it");
}

static void a_server_that_is_not_there_is_named(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    (void)state;
    const char *path = file_of("gone",
                               "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
                               "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n",
                               0600);
    AUTO(k8s)
    struct k8s *k8s = k8s_open(&(struct k8s_options){ .kubeconfig = path, .deadline_ms = 1000 }, &err);
    assert_ok(k8s, err);
    struct k8s_ref node = { &k8s_nodes, NULL, "n", NULL };
    assert_fails(k8s_get(k8s, &node, &(struct k8s_read){ .answer = &answer }, &err), err, ERROR_UNAVAILABLE,
                 "no answer from https://127.0.0.1:1");
    assert_int_equal(answer.reason, K8S_NO_ANSWER);
    assert_false(answer.outcome_unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_is_read_with_all_that_belongs_to_it),
        cmocka_unit_test(what_cannot_work_is_said_at_once),
        cmocka_unit_test(of_several_files_the_first_definition_wins),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(the_service_account_is_found_and_its_token_read_again),
        cmocka_unit_test(a_plugin_runs_once_and_again_after_a_401),
        cmocka_unit_test(a_plugin_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(a_plugin_that_fails_is_named_without_its_words),
        cmocka_unit_test(a_server_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
