/* A model as the forward pass sees it: numbers, matrices, and the architecture that says what to do with them. */
#ifndef ENGINE_MODEL_H
#define ENGINE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "engine/gguf.h"
#include "engine/kernels/kernels.h"

struct pass;
struct model;
struct loader;

enum rope_kind { ROPE_PAIRS, ROPE_HALVES }; /* columns (2i, 2i+1) turn together, or (i, i + n/2) */

/* One file each (arch_*.c), over the shared blocks of blocks.h. */
struct architecture {
    const char *name; /* general.architecture, and the prefix of its metadata keys */
    enum rope_kind rope;
    bool (*read)(struct model *model, struct error **err); /* its own numbers; refuses what it cannot run */
    void (*want)(struct loader *loader, uint32_t layer);   /* its tensors */
    void (*run)(struct pass *pass, unsigned thread, uint32_t layer); /* one layer of the pass */
};
extern const struct architecture *const architectures[]; /* NULL at the end */

struct layer {
    float *attention_norm, *ffn_norm; /* [dim] */
    struct matrix query, key, value, attention_out;
    float *query_bias, *key_bias, *value_bias; /* NULL: none */
    struct matrix gate, up, down;              /* dense */
    struct matrix router;                      /* experts: [experts x dim], and for each one: */
    struct matrix *gates, *ups, *downs;
};

struct model {
    const struct architecture *architecture;
    const struct gguf *file; /* borrowed */
    uint32_t layers, dim, heads, kv_heads, head_dim, ffn, vocab, experts, experts_used, context_trained;
    uint32_t rope_dim; /* the first columns of each head that are turned */
    float rms_eps;
    float embedding_scale, residual_scale, attention_scale,
        logit_scale;               /* Granite's; elsewhere model.c's defaults */
    double rope_base, rope_factor; /* angle of position p, pair i: p / factor * base^(-2i/rope_dim) … */
    float *rope_factors;           /* … / rope_factors[i]; NULL: all 1 */

    struct layer *layer;
    float *output_norm;
    const struct gguf_tensor *embedding; /* rows are read from the file */
    struct matrix output;
    uint64_t parameters;

    unsigned char *packed; /* all matrices; anonymous memory, or borrowed from a prepared file */
    size_t packed_bytes;
    bool packed_is_mapped;
    struct slot *slots; /* which tensor goes where */
    size_t n_slots;
};

/* A matrix and the tensor (or the part of one, for an expert) that fills it. */
struct slot {
    const struct gguf_tensor *tensor;
    struct matrix *matrix;
    const unsigned char *source;
    size_t offset; /* of its first group in `packed` */
};

/* Numbers, tensors, shapes: everything checked, nothing computed. The caller frees with model_free(). */
struct model *model_new(const struct gguf *file, struct error **err);
void model_free(struct model *model);
static inline void model_cleanup(struct model **model)
{
    model_free(*model);
}

/* Give the matrices their memory: `packed`, of model->packed_bytes, aligned to a page. */
void model_place(struct model *model, unsigned char *packed);
/* Lay out groups [first, last) of all groups, counted over all slots; for several threads side by side. */
size_t model_group_count(const struct model *model);
void model_pack(const struct model *model, size_t first, size_t last);

/* cos and sin of all positions below `context`: [context][2][head_dim], as rope_pairs() wants them. */
void model_rope_table(const struct model *model, uint32_t first, uint32_t last, float *table);

/* ---- for arch_*.c --------------------------------------------------------------------------------------------- */

/* Ask for tensors of the layer; shapes are rows x cols. A missing or misshapen one is remembered as the error. */
void want_matrix(struct loader *loader, struct matrix *matrix, const char *name, uint64_t rows,
                 uint64_t cols);
void want_experts(struct loader *loader, struct matrix **matrices, const char *name, uint64_t rows,
                  uint64_t cols);
void want_vector(struct loader *loader, float **vector, const char *name, uint64_t len);
void want_vector_if_there(struct loader *loader, float **vector, const char *name, uint64_t len);
struct layer *loader_layer(struct loader *loader);
const struct model *loader_model(const struct loader *loader);
void want_attention(struct loader *loader); /* norm, query, key, value, out: what all of ours have */
void want_dense_ffn(struct loader *loader);
void want_experts_ffn(struct loader *loader);

/* Metadata "<architecture>.<key>". False leaves *value as it was: not there, of another kind, or not a finite number. */
bool model_get_u32(const struct model *model, const char *key, uint32_t *value);
bool model_get_f32(const struct model *model, const char *key, float *value);

#endif
