#include "tests/k8s/fixture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *folder, *kubeconfig;
static bool is_ours;

char *shell(const char *format, ...)
{
    va_list args;
    char *command = NULL, piece[4096];
    struct strbuf out = { 0 };
    va_start(args, format);
    assert_true(vasprintf(&command, format, args) > 0);
    va_end(args);
    FILE *pipe = popen(command, "r");
    size_t got;
    while (pipe && (got = fread(piece, 1, sizeof piece, pipe)) > 0)
        strbuf_add(&out, (struct str){ piece, got });
    if (!pipe || pclose(pipe) != 0)
        fail_msg("%s: failed", command);
    free(command);
    while (out.len && out.ptr[out.len - 1] == '\n')
        out.ptr[--out.len] = 0;
    return strbuf_take(&out);
}

static void start(void)
{
    char template[] = "/tmp/k8s-test-XXXXXX", owner[24];
    const char *given = getenv("K8S_TEST_KUBECONFIG");
    if (given && *given) {
        kubeconfig = xstrdup(given);
        folder = xstrdup(given);
        *strrchr(folder, '/') = 0;
        return;
    }
    snprintf(owner, sizeof owner, "%d", (int)getpid());
    setenv("CLUSTER_OWNER", owner, 1);
    assert_non_null(mkdtemp(template));
    folder = xstrdup(template);
    is_ours = true;
    kubeconfig = shell(TESTS_FOLDER "/cluster/cluster.sh up %s", folder);
    free(shell(TESTS_FOLDER "/cluster/cluster.sh objects %s >&2", folder));
}

const char *cluster_kubeconfig(void)
{
    if (!kubeconfig)
        start();
    return kubeconfig;
}

const char *cluster_folder(void)
{
    cluster_kubeconfig();
    return folder;
}

char *cluster_user(const char *name)
{
    return shell(TESTS_FOLDER "/cluster/cluster.sh user %s %s", name, cluster_folder());
}

struct k8s *cluster_client(void)
{
    struct error *err = NULL;
    struct k8s *k8s =
        k8s_open(&(struct k8s_options){ .kubeconfig = cluster_kubeconfig(), .rate = 1000 }, &err);
    assert_ok(k8s, err);
    return k8s;
}

void cluster_stop(void)
{
    if (is_ours) {
        free(shell(TESTS_FOLDER "/cluster/cluster.sh down %s >&2", folder));
        free(shell("rm -rf %s", folder));
    }
    free(folder);
    free(kubeconfig);
    folder = kubeconfig = NULL;
}
