/* Weights laid out once, into a file that later starts map: a head with what it was made of, then the packed matrices.
 * The file is found by the model's SHA-256, which the record beside it gives without reading the model again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/file.h"
#include "engine/cache_file.h"
#include "engine/engine_internal.h"
#include "engine/machine.h"
#include "engine/mapping.h"

struct prepared_head {
    char magic[8]; /* "PASLWGT\n" */
    uint32_t version, page;
    uint64_t packed_bytes, n_slots;
    char model_sha256[SHA256_HEX_LEN];
};

static const char magic[8] = "PASLWGT\n";

static struct prepared_head head_of(const struct model *model, const char *hex)
{
    struct prepared_head head = { .version = CACHE_FILE_VERSION,
                                  .page = CACHE_FILE_PAGE,
                                  .packed_bytes = model->packed_bytes,
                                  .n_slots = model->n_slots };
    memcpy(head.magic, magic, sizeof magic);
    memcpy(head.model_sha256, hex, SHA256_HEX_LEN);
    return head;
}

static char *prepared_path(const char *cache_dir, const char *hex)
{
    return xasprintf("%s/weights-v%d-%.32s.packed", cache_dir, CACHE_FILE_VERSION, hex);
}

static struct mapping *map_prepared(const char *cache_dir, const char *hex, const struct model *model)
{
    AUTO(text) char *path = prepared_path(cache_dir, hex);
    AUTO(mapping) struct mapping *mapping = mapping_open(path, NULL);
    struct prepared_head head = head_of(model, hex);
    if (!mapping || mapping->len != whole_pages(sizeof head) + whole_pages(model->packed_bytes) ||
        memcmp(mapping->bytes, &head, sizeof head) != 0)
        return NULL;
    return STEAL(mapping);
}

struct mapping *prepared_open(const char *path, const char *cache_dir, struct model *model)
{
    char hex[SHA256_HEX_LEN + 1];
    if (!cache_dir || !sha256_recorded(cache_dir, path, &gguf_mapping(model->file)->stat, hex))
        return NULL;
    struct mapping *mapping = map_prepared(cache_dir, hex, model);
    if (!mapping)
        return NULL;
    madvise(mapping->bytes, mapping->len, MADV_WILLNEED);
    model_place(model, mapping->bytes + whole_pages(sizeof(struct prepared_head)));
    return mapping;
}

static bool hash_model(const char *path, const char *cache_dir, const struct gguf *file,
                       char hex[SHA256_HEX_LEN + 1], struct error **err)
{
    const struct mapping *mapping = gguf_mapping(file);
    if (cache_dir && sha256_recorded(cache_dir, path, &mapping->stat, hex))
        return true;
    sha256_hex((struct str){ (const char *)mapping->bytes, mapping->len }, hex);
    if (mapping_failed(mapping))
        return error_set(err, ERROR_IO, "%s was cut short, or its storage failed, while it was read", path);
    return !cache_dir || sha256_record(cache_dir, path, &mapping->stat, hex, err);
}

const char *engine_sha256(struct engine *engine, struct error **err)
{
    char hex[SHA256_HEX_LEN + 1];
    pthread_mutex_lock(&engine->lock);
    bool known = engine->info.sha256[0] != 0;
    pthread_mutex_unlock(&engine->lock);
    if (known)
        return engine->info.sha256;
    struct error *error = NULL;
    if (!hash_model(engine->path, engine->cache_dir, engine->file, hex, &error) &&
        error_code(error) == ERROR_IO && mapping_failed(gguf_mapping(engine->file))) {
        error_move(err, &error);
        return NULL;
    }
    error_free(error); /* a record that cannot be written is no failure */
    pthread_mutex_lock(&engine->lock);
    memcpy(engine->info.sha256, hex, sizeof hex);
    pthread_mutex_unlock(&engine->lock);
    return engine->info.sha256;
}

/* ---- writing ---- */

struct packing_job {
    const struct model *model;
    struct pool *pool;
};

static void pack(void *context, unsigned thread)
{
    const struct packing_job *job = context;
    enum { AT_ONCE = 64 };
    size_t count = model_group_count(job->model);
    (void)thread;
    for (size_t at; (at = pool_next(job->pool, AT_ONCE)) < count;)
        model_pack(job->model, at, MIN(at + AT_ONCE, count));
}

static bool write_prepared(const struct model *model, const unsigned char *packed, const char *cache_dir,
                           const char *hex, struct error **err)
{
    AUTO(text) char *path = prepared_path(cache_dir, hex);
    struct prepared_head head = head_of(model, hex);
    struct cache_file *file = cache_file_new(path, err);
    if (!file)
        return false;
    if (cache_file_write(file, &head, sizeof head, err) && cache_file_pad(file, err) &&
        cache_file_write(file, packed, model->packed_bytes, err) && cache_file_pad(file, err))
        return cache_file_commit(file, err);
    cache_file_drop(file);
    return false;
}

bool weights_pack(struct model *model, struct pool *pool, unsigned char **packed, struct error **err)
{
    size_t bytes = whole_pages(model->packed_bytes);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of weights", bytes);
    *packed = memory;
    madvise(memory, bytes, MADV_HUGEPAGE);
    model_place(model, memory);
    struct packing_job job = { model, pool };
    pool_run(pool, pack, &job);
    return true;
}

static bool prepare_model(struct model *model, const char *cache_dir, const char *hex, struct error **err)
{
    unsigned char *packed = NULL;
    struct pool *pool = pool_new(machine_threads());
    bool ok = weights_pack(model, pool, &packed, err);
    if (ok && mapping_failed(gguf_mapping(model->file)))
        ok = error_set(err, ERROR_IO, "the model was cut short, or its storage failed, while it was read");
    ok = ok && write_prepared(model, packed, cache_dir, hex, err);
    if (packed)
        munmap(packed, whole_pages(model->packed_bytes));
    pool_free(pool);
    return ok;
}

bool engine_prepare(const char *path, const char *cache_dir, struct error **err)
{
    char hex[SHA256_HEX_LEN + 1];
    AUTO(gguf) struct gguf *file = gguf_open(path, err);
    if (!file)
        return false;
    AUTO(model) struct model *model = model_new(file, err);
    if (!model)
        return error_wrap(err, "%s", path);
    if (model->packed_bytes > machine_memory_available())
        return error_set(err, ERROR_NO_MEMORY, "preparing %s needs %.2f GB, %.2f GB available", path,
                         model->packed_bytes / 1e9, machine_memory_available() / 1e9);
    if (!file_make_directories(cache_dir, err) || !hash_model(path, cache_dir, file, hex, err))
        return false;
    struct mapping *there = map_prepared(cache_dir, hex, model);
    mapping_close(there);
    return there || prepare_model(model, cache_dir, hex, err);
}
