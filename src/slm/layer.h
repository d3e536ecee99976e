/* A fitted linear softmax layer as a file: what the lexical prior (rows by key) and the head (dense rows) are kept in.
 *
 * File, little-endian: "PASLAYER", u32 version, u32 rows, u32 keyed (0 or 1), u32 length of the note and the note (what
 * it belongs to: model and prompt hash), f32 bias[27], u64 keys[rows] (rising; only if keyed), f32 weights[rows][27]. */
#ifndef SLM_LAYER_H
#define SLM_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "base/error.h"
#include "base/sha256.h"
#include "slm/softmax.h"

struct layer { /* read-only once made: any thread may ask it */
    size_t rows;
    uint64_t *keys; /* rising; NULL: dense */
    float *weights; /* [rows][ACTION_COUNT] */
    float bias[ACTION_COUNT];
    char *note;
    char sha256[SHA256_HEX_LEN + 1]; /* of the file */
};

/* Take over what was fitted; keys (or NULL) become the layer's. `note` is copied. */
struct layer *layer_new_take(struct softmax *fitted, uint64_t *keys, const char *note);
void layer_free(struct layer *layer);
static inline void layer_cleanup(struct layer **layer)
{
    layer_free(*layer);
}

/* NULL with ERROR_NOT_FOUND, or ERROR_INVALID / ERROR_CORRUPT for what is not such a file or is damaged. */
struct layer *layer_open(const char *path, struct error **err);
struct layer *layer_parse(struct str bytes, struct error **err);
bool layer_save(const struct layer *layer, const char *path, struct error **err);

bool layer_find(const struct layer *layer, uint64_t key, size_t *row);

/* ln p of every action for a dense vector of `rows` numbers. */
void layer_ask(const struct layer *layer, const float *vector, double log_probabilities[ACTION_COUNT]);

#endif
