#include "engine/model.h"

extern const struct architecture architecture_llama, architecture_granite, architecture_granitemoe;

const struct architecture *const architectures[] = {
    &architecture_llama,
    &architecture_granite,
    &architecture_granitemoe,
    NULL,
};
