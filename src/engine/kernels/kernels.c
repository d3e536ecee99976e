#include "engine/kernels/kernels.h"

#include <string.h>

const struct kernels *const kernels_all[] = {
#if defined(__x86_64__)
    &kernels_avx512vnni,
    &kernels_avx2,
#elif defined(__aarch64__)
    &kernels_neon,
#endif
    &kernels_scalar,
    NULL,
};

const struct kernels *kernels_find(const char *name)
{
    for (const struct kernels *const *k = kernels_all; *k; k++)
        if ((!name || strcmp(name, (*k)->name) == 0) && (*k)->can_run())
            return *k;
    return NULL;
}
