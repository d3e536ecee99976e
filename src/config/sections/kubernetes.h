/* kubernetes.* */
#ifndef CONFIG_SECTIONS_KUBERNETES_H
#define CONFIG_SECTIONS_KUBERNETES_H

#include "config/keys.h"

struct config_kubernetes {
    const char *kubeconfig; /* "": in the cluster, its service account; else ~/.kube/config */
    const char *context, *namespace, *service_account;
};

extern const struct config_key config_keys_kubernetes[];

#endif
