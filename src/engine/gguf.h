/* GGUF model files, v2 and v3, little-endian, mapped read-only. Format: docs/gguf.md of ggml.
 * Every count, length, offset, type and dimension is checked against the file's size before it is used. */
#ifndef ENGINE_GGUF_H
#define ENGINE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

enum gguf_kind { /* the numbers are the format's */
                 GGUF_U8,
                 GGUF_I8,
                 GGUF_U16,
                 GGUF_I16,
                 GGUF_U32,
                 GGUF_I32,
                 GGUF_F32,
                 GGUF_BOOL,
                 GGUF_STRING,
                 GGUF_ARRAY,
                 GGUF_U64,
                 GGUF_I64,
                 GGUF_F64,
                 GGUF_KIND_COUNT
};

enum tensor_type { /* the numbers are the format's; others exist and are refused */
                   TENSOR_F32 = 0,
                   TENSOR_F16 = 1,
                   TENSOR_Q4_0 = 2,
                   TENSOR_Q4_1 = 3,
                   TENSOR_Q5_0 = 6,
                   TENSOR_Q5_1 = 7,
                   TENSOR_Q8_0 = 8,
                   TENSOR_Q4_K = 12,
                   TENSOR_Q5_K = 13,
                   TENSOR_Q6_K = 14,
                   TENSOR_BF16 = 30,
                   TENSOR_TYPE_MAX = 64
};

enum { GGUF_DIMS_MAX = 4, GGUF_NAME_MAX = 256 };

struct tensor_traits {
    const char *name;      /* "Q4_1"; NULL: not a type we know */
    uint32_t block, bytes; /* weights in a block, bytes of a block */
};
const struct tensor_traits *tensor_traits(uint32_t type); /* never NULL; ->name is NULL for unknown types */

struct gguf_tensor {
    struct str name;
    uint32_t type, n_dims;
    uint64_t dims[GGUF_DIMS_MAX]; /* dims[0] is the row length; 1 where there is no such dimension */
    uint64_t offset, bytes;       /* of its data in the file */
    const void *data;
};

struct gguf_value { /* one metadata entry */
    struct str key;
    enum gguf_kind kind, element; /* element: of an array's items */
    uint64_t count;               /* items of an array; 1 otherwise */
    const unsigned char *bytes;   /* where the value lies in the file, for arrays the first item */
    size_t len;                   /* bytes of all of it */
};

struct gguf; /* read-only once open, so any thread may ask it */

/* Map the file at `path` and check everything in it.
 * Returns a file that the caller closes with gguf_close(); all that it hands out lives until then. Or NULL with
 *   ERROR_NOT_FOUND     no such file
 *   ERROR_INVALID       not GGUF, damaged, or a tensor that ends past the file
 *   ERROR_UNSUPPORTED   an unknown version, or big-endian */
struct gguf *gguf_open(const char *path, struct error **err);
struct gguf *gguf_open_bytes(const void *bytes, size_t len,
                             struct error **err); /* borrowed; for tests and fuzzing */
void gguf_close(struct gguf *file);
static inline void gguf_cleanup(struct gguf **file)
{
    gguf_close(*file);
}

uint32_t gguf_version(const struct gguf *file);
size_t gguf_size(const struct gguf *file);
const void *gguf_bytes(const struct gguf *file);
struct mapping;
const struct mapping *gguf_mapping(const struct gguf *file); /* NULL for gguf_open_bytes() */
size_t gguf_tensor_count(const struct gguf *file);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *file, size_t index);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *file,
                                           const char *name); /* NULL if it is not there */
size_t gguf_value_count(const struct gguf *file);
const struct gguf_value *gguf_value_at(const struct gguf *file, size_t index);
const struct gguf_value *gguf_find(const struct gguf *file, const char *key); /* NULL likewise */

/* Scalars by key, converted from any numeric kind that holds the value. False if absent or of another kind. */
bool gguf_get_u64(const struct gguf *file, const char *key, uint64_t *value);
bool gguf_get_u32(const struct gguf *file, const char *key, uint32_t *value);
bool gguf_get_i64(const struct gguf *file, const char *key, int64_t *value);
bool gguf_get_f32(const struct gguf *file, const char *key, float *value);
bool gguf_get_bool(const struct gguf *file, const char *key, bool *value);
bool gguf_get_str(const struct gguf *file, const char *key, struct str *value);

/* Arrays, as memory that the caller frees (the strings' bytes stay in the file). NULL if the key is absent or holds
 * something else; *count is then 0. Integers of any width come as int32_t, floats as float. */
struct str *gguf_get_strings(const struct gguf *file, const char *key, size_t *count);
int32_t *gguf_get_ints(const struct gguf *file, const char *key, size_t *count);
float *gguf_get_floats(const struct gguf *file, const char *key, size_t *count);

#endif
