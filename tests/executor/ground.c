#include "tests/executor/ground.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "k8s/k8s.h"

#define HERE TESTS_FOLDER "/executor"

static char folder[] = "/tmp/executor-test-XXXXXX"; /* store.db, policy.yaml, programs/, writes/ */
static char *kubelet_pid, *user;
static struct config *config;
static struct store *store;
static struct k8s *k8s;
static struct executor *executor;
static long audit_seen;

char *kubectl(const char *format, ...)
{
    va_list args;
    char *command = NULL;
    va_start(args, format);
    assert_true(vasprintf(&command, format, args) > 0);
    va_end(args);
    char *out =
        shell(". %s/env; k() { \"$CLUSTER_BIN/kubectl\" --cache-dir=\"$CLUSTER_DIR/cache\" \"$@\"; }; %s",
              cluster_folder(), command);
    free(command);
    return out;
}

static long audit_size(void)
{
    struct stat file;
    AUTO(text) char *path = xasprintf("%s/audit.log", cluster_folder());
    assert_int_equal(stat(path, &file), 0);
    return (long)file.st_size;
}

void ground_forget_writes(void)
{
    audit_seen = audit_size();
}

char *ground_writes(void)
{
    long size = audit_size();
    char *writes =
        shell("mkdir -p %s/writes; tail -c +%ld %s/audit.log | head -c %ld | grep '\"executor\"' "
              "> %s/writes/audit.log; %s/cluster/cluster.sh writes executor %s/writes",
              folder, audit_seen + 1, cluster_folder(), size - audit_seen, folder, TESTS_FOLDER, folder);
    audit_seen = size;
    return writes;
}

void ground_allow(enum action action)
{
    AUTO(strbuf) struct strbuf yaml = { 0 };
    AUTO(text) char *path = xasprintf("%s/role.yaml", folder);
    struct rbac_options options = { .actions = BIT(action),
                                    .service_account = "executor",
                                    .namespace = "default",
                                    .velero_namespace = "velero" };
    executor_write_rbac(&options, &yaml);
    assert_true(file_replace(path, strbuf_str(&yaml), 0600, NULL));
    free(kubectl("k apply -f %s", path));
}

char *ground_execs(void)
{
    return shell("cat %s/programs/calls; : >%s/programs/calls", folder, folder);
}

struct executor *ground_executor(void)
{
    return executor;
}

static void start_kubelet(void)
{
    free(shell("mkdir -p %s/programs && for name in jcmd vacuumdb pg_amcheck patronictl redis-cli find; do "
               "cp " HERE "/programs/record %s/programs/$name; done; touch %s/programs/calls; "
               "cp " HERE "/programs/missing %s/programs/py-spy",
               folder, folder, folder, folder));
    AUTO(text)
    char *port = shell("python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0)); "
                       "print(s.getsockname()[1])'");
    kubelet_pid = shell(". %s/env; \"$CLUSTER_BIN/kubelet-exec\" %s %s/pki/kubelet.crt %s/pki/kubelet.key "
                        "%s/programs >%s/kubelet.log 2>&1 </dev/null & echo $!",
                        cluster_folder(), port, cluster_folder(), cluster_folder(), folder, folder);
    free(kubectl("sed s/KUBELET_PORT/%s/ " HERE
                 "/objects.yaml | k apply -f - && k wait --for=condition=Ready "
                 "node/exec-node --timeout=30s && k rollout status -n exec deployment --timeout=60s && "
                 "k rollout status -n exec statefulset --timeout=60s && "
                 "k wait --for=jsonpath={.status.numberReady}=1 -n exec daemonset/by-hand --timeout=60s",
                 port));
}

static void open_executor(void)
{
    struct error *err = NULL;
    AUTO(text) char *policy = xasprintf("policy.file=%s/policy.yaml", folder);
    AUTO(text) char *path = xasprintf("%s/policy.yaml", folder);
    AUTO(text) char *url = xasprintf("sqlite:%s/store.db", folder);
    const char *const set[] = {
        policy,
        "actions.cooldown_period=0s",
        "actions.timeout=15s",
        "actions.job_image=registry.example/tools:1.0",
        NULL,
    };
    struct str rules = STR("version: 1\n"
                           "rules: [{ name: test, when: { action: '*' }, then: allow }]\n"
                           "limits: []\n");
    assert_true(file_replace(path, rules, 0600, NULL));
    config = config_load(&(struct config_options){ "/dev/null", set, (char *[]){ NULL } }, &err);
    assert_ok(config, err);
    assert_ok(store = store_open(&(struct store_options){ .url = url, .is_server = true }, &err), err);
    assert_ok(k8s = k8s_open(&(struct k8s_options){ .kubeconfig = user, .rate = 1000 }, &err), err);
    struct executor_options options = { .store = store, .fixed = config, .k8s = k8s };
    assert_ok(executor = executor_open(&options, &err), err);
}

int ground_start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    user = cluster_user("executor");
    ground_allow(ACTION_NOTIFY_ONLY);
    free(kubectl(
        "k create clusterrolebinding executor --clusterrole=prometheus-alerts-slm-actions --user=executor"));
    start_kubelet();
    open_executor();
    return 0;
}

int ground_stop(void **state)
{
    (void)state;
    executor_close(executor);
    k8s_close(k8s);
    store_close(store);
    config_free(config);
    free(user);
    free(shell("kill %s; rm -r %s", kubelet_pid, folder));
    free(kubelet_pid);
    return 0;
}
