/* Which cluster: the client, and a word on where its credentials come from. */
#include "cli/cli_internal.h"

#include <stdlib.h>

#include "k8s/k8s.h"

static const char *credentials_of(const struct config *config, const struct k8s *k8s)
{
    return config->kubernetes.kubeconfig[0] ? config->kubernetes.kubeconfig
           : k8s_in_cluster(k8s)            ? "service account"
                                            : "~/.kube/config";
}

/* The shell's KUBECONFIG is what kubectl goes by: who sees us act elsewhere has to be told why. */
static void say_what_is_left_out(const struct config *config)
{
    const char *variable = getenv("KUBECONFIG"), *used = config->kubernetes.kubeconfig;
    if (variable && variable[0] && strcmp(variable, used) != 0)
        log_warn("KUBECONFIG is not used: kubernetes.kubeconfig names another file", KV("kubeconfig", used),
                 KV("because_of", config_value_source(config, "kubernetes.kubeconfig")),
                 KV("KUBECONFIG", variable));
}

struct k8s *cluster_open(const struct config *config, struct error **err)
{
    struct k8s_options options = { .kubeconfig = config->kubernetes.kubeconfig,
                                   .context = config->kubernetes.context,
                                   .namespace = config->kubernetes.namespace };
    say_what_is_left_out(config);
    struct k8s *k8s = k8s_open(&options, err);
    if (k8s)
        log_info("cluster", KV("server", k8s_server(k8s)), KV("context", k8s_context(k8s)),
                 KV("credentials", credentials_of(config, k8s)),
                 KV("because_of", config_value_source(config, "kubernetes.kubeconfig")));
    return k8s;
}
