/* LoRA: beside a matrix W two thin ones, so that a row's product becomes W x + scale B (A x). */
#ifndef ENGINE_ADAPTER_H
#define ENGINE_ADAPTER_H

#include "engine/engine.h"
#include "engine/pass.h"

enum adapted {
    ADAPTED_QUERY,
    ADAPTED_KEY,
    ADAPTED_VALUE,
    ADAPTED_OUT,
    ADAPTED_GATE,
    ADAPTED_UP,
    ADAPTED_DOWN,
    ADAPTED_COUNT
};
enum { ADAPTER_RANK_MAX = 512 };

struct adapter_pair {
    struct matrix a, b; /* rank x cols, rows x rank; F32, rank padded to whole blocks */
    float scale;        /* alpha / rank */
};

struct adapter {
    struct adapter_pair *pairs; /* [layers][ADAPTED_COUNT]; a.rows 0: not adapted */
    uint32_t layers;
    float alpha;
};

/* out[row] += scale * B (A x[row]) for the rows whose adapter has this matrix. x: [n][cols], out: [n][rows]. In the
 * pass, by all threads; ends with a barrier. Nothing is done, and no barrier made, where no row has an adapter. */
void adapter_apply(struct pass *pass, unsigned thread, uint32_t layer, enum adapted which, const float *x,
                   float *out, float scale);

/* The matrix that a pair of this kind adapts; rows 0: the model has none. And what tensors call it. */
struct matrix *adapted_matrix(struct layer *layer, enum adapted which);
extern const char *const adapted_names[ADAPTED_COUNT];

const struct engine *adapter_engine(const struct engine_adapter *adapter); /* that it was opened for */

/* Floats of a thread's scratch for it. */
size_t adapter_scratch_floats(size_t widest);

#endif
