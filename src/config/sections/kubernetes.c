#include "config/sections/kubernetes.h"

#define AT(field) offsetof(struct config_kubernetes, field)
const struct config_key config_keys_kubernetes[] = {
    { "kubeconfig", CONFIG_TEXT, AT(kubeconfig), .env = "KUBECONFIG", .flags = CONFIG_SHARED_ENV,
      .help =
          "Kubeconfig files, separated by colons. Empty: the pod's service account, else ~/.kube/config." },
    { "context", CONFIG_TEXT, AT(context), .env = "KUBE_CONTEXT",
      .help = "Context in it. Empty: its current one." },
    { "namespace", CONFIG_TEXT, AT(namespace), .def = "default", .env = "KUBE_NAMESPACE",
      .flags = CONFIG_REQUIRED, .help = "Namespace of alerts that name none." },
    { "service_account", CONFIG_TEXT, AT(service_account), .def = "prometheus-alerts-slm",
      .help = "Account that `actions rbac` writes roles for." },
    { 0 },
};
