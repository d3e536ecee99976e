/* AArch64 with NEON and its dot product: Graviton 2, Ampere, Apple M, Cortex-A76 and later. */
#include "engine/kernels/vec_neon.h"

#include <stdbool.h>
#include <sys/auxv.h>

#define KERNELS_NAME kernels_neon
#define KERNELS_TEXT "neon"

enum { HAS_DOT_PRODUCT = 1 << 20 }; /* HWCAP_ASIMDDP */

static bool can_run(void)
{
    return (getauxval(AT_HWCAP) & HAS_DOT_PRODUCT) != 0;
}

#include "engine/kernels/body.h"
