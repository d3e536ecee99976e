/* The oracle: plain C on any machine, the meaning of all the others. */
#include "engine/kernels/vec_scalar.h"

#include <stdbool.h>

#define KERNELS_NAME kernels_scalar
#define KERNELS_TEXT "scalar"

static bool can_run(void)
{
    return true;
}

#include "engine/kernels/body.h"
