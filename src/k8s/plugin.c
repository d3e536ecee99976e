/* Exec plugins: a command that prints an ExecCredential. It gets no terminal, none of our descriptors, and so much time;
 * with its children it is killed at the end of that. Contract: client.authentication.k8s.io/v1. */
#include "k8s/k8s.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "k8s/k8s_internal.h"

extern char **environ;

/* ---- what it gets ---- */

static void add_cluster_info(struct strbuf *out, const struct kubeconfig *config)
{
    gnutls_datum_t in = { (unsigned char *)config->ca_data.ptr, (unsigned)config->ca_data.len },
                   encoded = { 0 };
    strbuf_add_text(out, ",\"cluster\":{\"server\":");
    strbuf_add_json(out, str_of(config->server));
    if (config->tls_server_name) {
        strbuf_add_text(out, ",\"tls-server-name\":");
        strbuf_add_json(out, str_of(config->tls_server_name));
    }
    if (config->insecure)
        strbuf_add_text(out, ",\"insecure-skip-tls-verify\":true");
    if (in.size && gnutls_base64_encode2(&in, &encoded) == 0)
        strbuf_addf(out, ",\"certificate-authority-data\":\"%.*s\"", (int)encoded.size, encoded.data);
    gnutls_free(encoded.data);
    if (config->exec->cluster_config.len)
        strbuf_addf(out, ",\"config\":" STR_FMT, STR_ARG(config->exec->cluster_config));
    strbuf_add_char(out, '}');
}

static char *exec_info(const struct kubeconfig *config)
{
    struct strbuf out = { 0 };
    strbuf_addf(
        &out,
        "KUBERNETES_EXEC_INFO={\"apiVersion\":\"%s\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false",
        config->exec->api_version);
    if (config->exec->provide_cluster_info)
        add_cluster_info(&out, config);
    strbuf_add_text(&out, "}}");
    return strbuf_take(&out);
}

static bool is_replaced(const char *entry, const struct kubeconfig_exec *exec)
{
    for (size_t i = 0; i < exec->env_len; i++) {
        size_t len = strlen(exec->env[i].name);
        if (!strncmp(entry, exec->env[i].name, len) && entry[len] == '=')
            return true;
    }
    return !strncmp(entry, "KUBERNETES_EXEC_INFO=", 21);
}

static char **build_environment(const struct kubeconfig *config)
{
    size_t count = 0, used = 0;
    while (environ[count])
        count++;
    char **env = xcalloc(count + config->exec->env_len + 2, sizeof *env);
    for (size_t i = 0; i < count; i++)
        if (!is_replaced(environ[i], config->exec))
            env[used++] = xstrdup(environ[i]);
    for (size_t i = 0; i < config->exec->env_len; i++)
        env[used++] = xasprintf("%s=%s", config->exec->env[i].name, config->exec->env[i].value);
    env[used] = exec_info(config);
    return env;
}

static void free_environment(char **env)
{
    for (char **entry = env; *entry; entry++)
        free(*entry);
    free(env);
}

static char **build_arguments(const struct kubeconfig_exec *exec)
{
    size_t count = 0;
    while (exec->args && exec->args[count])
        count++;
    char **argv = xcalloc(count + 2, sizeof *argv);
    argv[0] = (char *)exec->command;
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = (char *)exec->args[i];
    return argv;
}

/* ---- running it ---- */

static int spawn(const struct kubeconfig *config, int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY,
                                     0); /* what it complains may hold secrets */
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    char **argv = build_arguments(config->exec), **env = build_environment(config);
    int failed = posix_spawnp(pid, config->exec->command, &actions, &attributes, argv, env);
    free_environment(env);
    free(argv);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Until it closes its output, has said too much, or the time is over. */
static bool read_output(int in, int64_t until_ms, struct strbuf *output)
{
    char piece[4096];
    for (;;) {
        int64_t left = until_ms - clock_mono_ms();
        struct pollfd wait = { .fd = in, .events = POLLIN };
        if (left <= 0 || output->len > K8S_PLUGIN_OUTPUT_MAX)
            return false;
        if (poll(&wait, 1, (int)MIN(left, 1000)) <= 0)
            continue;
        ssize_t got = read(in, piece, sizeof piece);
        if (got == 0)
            return true;
        if (got > 0)
            strbuf_add(output, (struct str){ piece, (size_t)got });
        else if (errno != EINTR)
            return false;
    }
}

static bool wait_for_end(pid_t pid, int64_t until_ms, int *status)
{
    for (int64_t pause = 1; clock_mono_ms() < until_ms; pause = MIN(pause * 2, 50)) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        if (ended == pid)
            return true;
        if (ended < 0 && errno != EINTR)
            return *status = 0, true; /* someone else reaps children */
        poll(NULL, 0, (int)pause);
    }
    return false;
}

static bool explain_spawn(const struct kubeconfig_exec *exec, int failed, struct error **err)
{
    const char *hint = exec->install_hint ? exec->install_hint : "";
    return error_set(err, failed == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, "exec plugin %s: %s%s%.300s",
                     exec->command, strerror(failed), *hint ? "; " : "", hint);
}

static bool collect(const struct kubeconfig_exec *exec, pid_t pid, int in, int64_t timeout_ms,
                    struct strbuf *output, struct error **err)
{
    int status = 0;
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    bool read_all = read_output(in, until_ms, output);
    bool ended = read_all && wait_for_end(pid, until_ms, &status);
    if (!ended) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    if (output->len > K8S_PLUGIN_OUTPUT_MAX)
        return error_set(err, ERROR_LIMIT, "exec plugin %s printed more than %d bytes", exec->command,
                         K8S_PLUGIN_OUTPUT_MAX);
    if (!ended)
        return error_set(
            err, ERROR_TIMEOUT,
            "exec plugin %s did not end within %lld s and was killed: run it by hand to see what it waits "
            "for",
            exec->command, (long long)(timeout_ms / 1000));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(err, ERROR_UNAUTHENTICATED,
                         "exec plugin %s failed (%s %d): run it by hand to see why", exec->command,
                         WIFEXITED(status) ? "exit status" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return true;
}

bool plugin_run(const struct kubeconfig *config, int64_t timeout_ms, struct plugin_credential *credential,
                struct error **err)
{
    AUTO(strbuf) struct strbuf output = { 0 };
    int pipes[2];
    pid_t pid = 0;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return error_errno(err, errno, "exec plugin %s: pipe", config->exec->command);
    int failed = spawn(config, pipes[1], &pid);
    close(pipes[1]);
    bool ok = failed ? explain_spawn(config->exec, failed, err)
                     : collect(config->exec, pid, pipes[0], timeout_ms, &output, err);
    close(pipes[0]);
    ok = ok && plugin_parse(strbuf_str(&output), config->exec->api_version, credential, err);
    if (output.ptr)
        explicit_bzero(output.ptr, output.cap);
    return ok || error_wrap(err, "user \"%s\"", config->user_name ? config->user_name : "");
}

/* ---- what it says ---- */

static char *take_text(yyjson_val *root, const char *pointer)
{
    const char *text = k8s_text_at(root, pointer);
    return *text ? xstrdup(text) : NULL;
}

static bool check_credential(yyjson_val *root, const char *api_version,
                             const struct plugin_credential *credential, struct error **err)
{
    if (strcmp(k8s_text_at(root, "/kind"), "ExecCredential"))
        return error_set(err, ERROR_INVALID, "the exec plugin printed something else than an ExecCredential");
    if (strcmp(k8s_text_at(root, "/apiVersion"), api_version))
        return error_set(err, ERROR_INVALID,
                         "the exec plugin answered with apiVersion \"%.60s\", asked for %s",
                         k8s_text_at(root, "/apiVersion"), api_version);
    if (!credential->token && !(credential->cert && credential->key))
        return error_set(err, ERROR_UNAUTHENTICATED,
                         "the exec plugin gave neither a token nor a certificate with key");
    return true;
}

bool plugin_parse(struct str output, const char *api_version, struct plugin_credential *credential,
                  struct error **err)
{
    AUTO(k8s_object) struct k8s_object *object = k8s_object_parse(output, NULL);
    if (!object) /* the parser's words could quote the token */
        return error_set(err, ERROR_INVALID, "the exec plugin printed something else than an ExecCredential");
    *credential = (struct plugin_credential){
        .token = take_text(object->root, "/status/token"),
        .cert = take_text(object->root, "/status/clientCertificateData"),
        .key = take_text(object->root, "/status/clientKeyData"),
        .expires = k8s_time_at(object->root, "/status/expirationTimestamp"),
    };
    if (check_credential(object->root, api_version, credential, err))
        return true;
    plugin_credential_free(credential);
    return false;
}

void plugin_credential_free(struct plugin_credential *credential)
{
    char *secrets[] = { credential->token, credential->key };
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        if (secrets[i])
            explicit_bzero(secrets[i], strlen(secrets[i]));
        free(secrets[i]);
    }
    free(credential->cert);
    *credential = (struct plugin_credential){ 0 };
}
