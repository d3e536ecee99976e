/* AVX2 with FMA and F16C: x86-64-v3, Intel since Haswell, AMD since Excavator. */
#include "engine/kernels/vec_avx2.h"

#include <stdbool.h>

#define KERNELS_NAME kernels_avx2
#define KERNELS_TEXT "avx2"

static bool can_run(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

#include "engine/kernels/body.h"
