/* AVX-512 with VNNI: Intel since Ice Lake, AMD since Zen 4. */
#include "engine/kernels/vec_avx512.h"

#include <stdbool.h>

#define KERNELS_NAME kernels_avx512vnni
#define KERNELS_TEXT "avx512vnni"
#define VEC_WIDE_TILES 1
#define VEC_MANY_QUERIES 1

static bool can_run(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
}

#include "engine/kernels/body.h"
