/* Any bytes as a kubeconfig, and as what an exec plugin prints. */
#include "k8s/k8s.h"

#include "k8s/k8s_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct str text = { (const char *)data, size };
    struct kubeconfig config = { 0 };
    struct plugin_credential made = { 0 };
    kubeconfig_read(arena, text, "fuzz", "/", NULL, &config, NULL);
    if (plugin_parse(text, "client.authentication.k8s.io/v1", &made, NULL))
        plugin_credential_free(&made);
    return 0;
}
