/* An adapter merged into the weights of an open engine: W + scale B A is laid out beside each adapted W, and once all
 * of them are there they take the old ones' place. So a failure changes nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/adapter.h"
#include "engine/cache_file.h"
#include "engine/engine_internal.h"
#include "engine/machine.h"
#include "engine/mapping.h"

/* Memory that merged matrices lie in; the engine unmaps it when it is closed. */
struct merged {
    struct merged *next;
    unsigned char *bytes;
    size_t len;
};

struct target {
    struct matrix *matrix;
    const struct adapter_pair *pair;
    size_t offset; /* of the new matrix, in the memory for all of them */
};

struct merging {
    struct pool *pool;
    struct target *targets;
    size_t n_targets, bytes;
    unsigned char *memory;
    double scale;
    atomic_bool overflowed; /* a weight is not a finite number of its type */
};

/* ---- one weight ---- */

static float load_weight(uint32_t type, const unsigned char *at)
{
    uint32_t bits = 0;
    float value;
    memcpy(&bits, at, type == TENSOR_F32 ? 4 : 2);
    if (type == TENSOR_F16)
        return half_to_float((uint16_t)bits);
    bits = type == TENSOR_BF16 ? bits << 16 : bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounded to nearest, ties to even; false if that is no finite number. */
static bool store_weight(uint32_t type, unsigned char *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (type == TENSOR_F16)
        bits = float_to_half(value);
    else if (type == TENSOR_BF16 && isfinite(value))
        bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    memcpy(at, &bits, type == TENSOR_F32 ? 4 : 2);
    return isfinite(value) && isfinite(load_weight(type, at));
}

/* ---- a group of 16 rows ---- */

/* Sums in double, over the rank from 0 on: the same on every machine, and for any number of threads. */
static bool merge_group(const struct merging *merging, const struct target *target, uint32_t group)
{
    const struct matrix *m = target->matrix, *a = &target->pair->a;
    const float *b = (const float *)(const void *)matrix_group(&target->pair->b, group);
    const unsigned char *from = matrix_group(m, group);
    unsigned char *to = merging->memory + target->offset + (size_t)group * m->group_bytes;
    size_t width = tensor_traits(m->type)->bytes;
    double scale = merging->scale * (double)target->pair->scale;
    bool is_finite = true;
    for (size_t column = 0; column < m->cols; column++) {
        double sums[LANES] = { 0 };
        for (uint32_t k = 0; k < a->rows; k++) {
            const float *a_column = (const float *)(const void *)matrix_group(a, k / LANES) + column * LANES;
            for (uint32_t row = 0; row < LANES; row++)
                sums[row] += (double)b[k * LANES + row] * (double)a_column[k % LANES];
        }
        for (uint32_t row = 0; row < LANES; row++) {
            size_t at = (column * LANES + row) * width;
            double value = (double)load_weight(m->type, from + at) + scale * sums[row];
            is_finite &= store_weight(m->type, to + at, (float)value);
        }
    }
    return is_finite;
}

static void merge_groups(void *context, unsigned thread)
{
    struct merging *merging = context;
    (void)thread;
    size_t item = pool_next(merging->pool, 1), first = 0;
    for (size_t i = 0; i < merging->n_targets; first += merging->targets[i++].matrix->groups)
        for (; item < first + merging->targets[i].matrix->groups; item = pool_next(merging->pool, 1))
            if (!merge_group(merging, &merging->targets[i], (uint32_t)(item - first)))
                atomic_store(&merging->overflowed, true);
}

/* ---- all of them ---- */

static bool add_target(struct merging *merging, struct matrix *matrix, const struct adapter_pair *pair,
                       uint32_t layer, const char *name, struct error **err)
{
    if (!type_is_float(matrix->type))
        return error_set(
            err, ERROR_UNSUPPORTED,
            "blk.%u.%s is %s, whose steps are too coarse to hold what an adapter adds: merge into a "
            "model of F32, F16 or BF16, or set the adapter for each sequence",
            layer, name, tensor_traits(matrix->type)->name);
    merging->targets[merging->n_targets++] = (struct target){ matrix, pair, merging->bytes };
    merging->bytes += matrix->groups * matrix->group_bytes;
    return true;
}

static bool find_targets(struct merging *merging, const struct engine *engine, const struct adapter *adapter,
                         struct error **err)
{
    merging->targets = xcalloc((size_t)adapter->layers * ADAPTED_COUNT, sizeof *merging->targets);
    for (uint32_t layer = 0; layer < adapter->layers; layer++)
        for (int which = 0; which < ADAPTED_COUNT; which++) {
            const struct adapter_pair *pair = &adapter->pairs[layer * ADAPTED_COUNT + which];
            struct matrix *matrix = adapted_matrix(&engine->model->layer[layer], (enum adapted)which);
            if (pair->a.rows && !add_target(merging, matrix, pair, layer, adapted_names[which], err))
                return false;
        }
    return true;
}

static bool take_memory(struct merging *merging, struct error **err)
{
    uint64_t available = machine_memory_available();
    if (merging->bytes > available)
        return error_set(err, ERROR_NO_MEMORY, "merging needs %.2f GB, %.2f GB available",
                         merging->bytes / 1e9, available / 1e9);
    void *memory =
        mmap(NULL, whole_pages(merging->bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of merged weights", merging->bytes);
    madvise(memory, whole_pages(merging->bytes), MADV_HUGEPAGE);
    merging->memory = memory;
    return true;
}

static bool compute(struct merging *merging, const struct engine *engine, const struct adapter *adapter,
                    struct error **err)
{
    if (!find_targets(merging, engine, adapter, err) || !take_memory(merging, err))
        return false;
    pool_run(engine->pool, merge_groups, merging);
    if (atomic_load(&merging->overflowed))
        return error_set(
            err, ERROR_INVALID,
            "a merged weight is not a finite number of its type: the adapter is damaged, or its scale "
            "too large");
    return engine_storage_is_sound(engine, err);
}

/* The old matrix's memory goes back, but for what lies in a mapped file; whole pages of it, for others share the rest. */
static void release(const struct engine *engine, const struct matrix *matrix)
{
    uintptr_t begin = whole_pages((uintptr_t)matrix->packed);
    uintptr_t end = ((uintptr_t)matrix->packed + matrix->groups * matrix->group_bytes) &
                    ~(uintptr_t)(CACHE_FILE_PAGE - 1);
    if (begin < end && !(engine->prepared && matrix->packed >= engine->prepared->bytes &&
                         matrix->packed < engine->prepared->bytes + engine->prepared->len))
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* From here on the engine owns the memory. */
static void put_in_place(struct engine *engine, struct merging *merging)
{
    struct merged *merged = xcalloc(1, sizeof *merged);
    *merged = (struct merged){ engine->merged, STEAL(merging->memory), whole_pages(merging->bytes) };
    engine->merged = merged;
    for (size_t i = 0; i < merging->n_targets; i++) {
        struct matrix *matrix = merging->targets[i].matrix;
        release(engine, matrix);
        matrix->packed = merged->bytes + merging->targets[i].offset;
    }
}

void merged_free(struct merged *merged)
{
    for (struct merged *next; merged; merged = next) {
        next = merged->next;
        munmap(merged->bytes, merged->len);
        free(merged);
    }
}

/* Who finds the flag unset while he has a sequence works on the file's own weights until he frees it: both are written
 * before the other's is read. */
static bool merge_alone(struct engine *engine, struct merging *merging, const struct adapter *adapter,
                        struct error **err)
{
    unsigned open = atomic_load(&engine->sequences);
    if (open)
        return error_set(err, ERROR_CONFLICT,
                         "%u sequences are open, computed with the weights as they are: free them first",
                         open);
    if (!compute(merging, engine, adapter, err))
        return false;
    put_in_place(engine, merging);
    return true;
}

bool engine_merge(struct engine *engine, const struct engine_adapter *adapter, float scale,
                  struct error **err)
{
    if (adapter_engine(adapter) != engine)
        return error_set(err, ERROR_INVALID, "the adapter was opened for another engine");
    struct merging merging = { .pool = engine->pool, .scale = (double)scale };
    engine_lead(engine);
    bool was_merged = atomic_exchange(&engine->is_merged, true);
    bool ok = merge_alone(engine, &merging, (const struct adapter *)(const void *)adapter, err);
    if (!ok)
        atomic_store(&engine->is_merged, was_merged);
    engine_unlead(engine);
    if (merging.memory)
        munmap(merging.memory, whole_pages(merging.bytes));
    free(merging.targets);
    return ok;
}
