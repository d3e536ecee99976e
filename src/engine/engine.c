/* Opening and closing a model: what it needs is computed and refused before anything is loaded. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/cache_file.h"
#include "engine/engine_internal.h"
#include "engine/machine.h"
#include "engine/mapping.h"

enum {
    CONTEXT_DEFAULT = 4096,
    CONTEXT_MAX = 1024 * 1024,
    BATCH_DEFAULT = 256,
    BATCH_MAX = 4096,
    THREADS_MAX = 256
};

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
    return engine->tokenizer;
}
const struct gguf *engine_file(const struct engine *engine)
{
    return engine->file;
}
const struct engine_info *engine_info(const struct engine *engine)
{
    return &engine->info;
}

bool engine_storage_is_sound(const struct engine *engine, struct error **err)
{
    if (mapping_failed(gguf_mapping(engine->file)))
        return error_set(err, ERROR_IO, "%s was cut short, or its storage failed, while in use",
                         engine->path);
    if (mapping_failed(engine->prepared))
        return error_set(err, ERROR_IO, "the prepared weights of %s were cut short, or their storage failed",
                         engine->path);
    return true;
}

/* ---- sizes ---- */

/* Options with every 0 replaced. */
static struct engine_options settle(const struct engine_options *options, const struct model *model)
{
    struct engine_options o = options ? *options : (struct engine_options){ 0 };
    o.threads = MIN(o.threads ? o.threads : machine_threads(), (unsigned)THREADS_MAX);
    o.context = o.context ? o.context : MIN((unsigned)CONTEXT_DEFAULT, model->context_trained);
    o.context = MIN(o.context, (unsigned)CONTEXT_MAX);
    o.cache_tokens = o.cache_tokens ? MAX(o.cache_tokens, o.context) : 2 * o.context;
    o.batch = MIN(o.batch ? o.batch : BATCH_DEFAULT, (unsigned)BATCH_MAX);
    o.memory_limit = o.memory_limit ? o.memory_limit : machine_memory_available();
    return o;
}

static size_t page_bytes(const struct model *m)
{
    return (size_t)m->layers * m->kv_heads * m->head_dim * PAGE * 2 * sizeof(uint16_t);
}

static size_t page_count(const struct engine_options *o)
{
    return (size_t)o->cache_tokens / PAGE + 2;
}

static struct engine_memory memory_of(const struct model *model, const struct engine_options *o,
                                      bool is_prepared, size_t tokenizer_bytes)
{
    struct engine_memory memory = {
        .weights = whole_pages(model->packed_bytes),
        .repacked = is_prepared ? 0 : whole_pages(model->packed_bytes),
        .cache = page_bytes(model) * page_count(o),
        .work = pass_bytes(model, o->batch, o->context, o->threads) + tokenizer_bytes,
        .available = o->memory_limit,
    };
    memory.total = memory.weights + memory.cache + memory.work;
    return memory;
}

/* Mapped weights can be dropped and read again, but a model that does not fit at all would read them for each token. */
static bool check_memory(const struct engine_memory *m, struct error **err)
{
    if (m->total <= m->available)
        return true;
    return error_set(err, ERROR_NO_MEMORY,
                     "needs %.2f GB (weights %.2f, key/value cache %.2f, work %.2f), %.2f GB available",
                     m->total / 1e9, m->weights / 1e9, m->cache / 1e9, m->work / 1e9, m->available / 1e9);
}

bool engine_estimate(const char *path, const struct engine_options *options, struct engine_memory *memory,
                     struct error **err)
{
    AUTO(gguf) struct gguf *file = gguf_open(path, err);
    if (!file)
        return false;
    AUTO(model) struct model *model = model_new(file, err);
    if (!model)
        return error_wrap(err, "%s", path);
    AUTO(tokenizer) struct tokenizer *tokenizer = tokenizer_open(file, err);
    if (!tokenizer)
        return error_wrap(err, "%s", path);
    struct engine_options o = settle(options, model);
    *memory = memory_of(model, &o, false, tokenizer_memory(tokenizer));
    return true;
}

/* ---- weights ---- */

static bool load_weights(struct engine *engine, struct error **err)
{
    engine->prepared = prepared_open(engine->path, engine->cache_dir, engine->model);
    engine->info.prepared = engine->prepared != NULL;
    if (engine->prepared)
        return true;
    return weights_pack(engine->model, engine->pool, &engine->repacked, err) &&
           engine_storage_is_sound(engine, err);
}

/* ---- open and close ---- */

static char *copy_of_name(const struct gguf *file)
{
    struct str name;
    return gguf_get_str(file, "general.name", &name) ? xstrndup(name.ptr, name.len) : xstrdup("");
}

static void fill_info(struct engine *engine, const struct engine_options *o)
{
    const struct model *m = engine->model;
    engine->info = (struct engine_info){
        .path = engine->path,
        .architecture = m->architecture->name,
        .name = copy_of_name(engine->file),
        .isa = engine->kernels->name,
        .layers = m->layers,
        .dim = m->dim,
        .heads = m->heads,
        .kv_heads = m->kv_heads,
        .head_dim = m->head_dim,
        .vocab = m->vocab,
        .experts = m->experts,
        .experts_used = m->experts_used,
        .context_trained = m->context_trained,
        .context = o->context,
        .cache_tokens = o->cache_tokens,
        .parameters = m->parameters,
        .file_bytes = gguf_size(engine->file),
    };
}

static bool open_parts(struct engine *engine, const struct engine_options *options, struct error **err)
{
    engine->file = gguf_open(engine->path, err);
    if (!engine->file)
        return false;
    engine->model = model_new(engine->file, err);
    engine->tokenizer = engine->model ? tokenizer_open(engine->file, err) : NULL;
    if (!engine->tokenizer)
        return error_wrap(err, "%s", engine->path);
    if (tokenizer_count(engine->tokenizer) > engine->model->vocab)
        return error_set(err, ERROR_INVALID, "%s: %zu tokens, but the embedding has %u", engine->path,
                         tokenizer_count(engine->tokenizer), engine->model->vocab);
    struct engine_options o = settle(options, engine->model);
    engine->kernels = kernels_find(o.isa);
    if (!engine->kernels)
        return error_set(err, ERROR_UNSUPPORTED, "this machine cannot run the \"%s\" kernels", o.isa);
    fill_info(engine, &o);
    engine->info.memory = memory_of(engine->model, &o, false, tokenizer_memory(engine->tokenizer));
    if (!check_memory(&engine->info.memory, err))
        return error_wrap(err, "%s", engine->path);
    engine->pool = pool_new(o.threads);
    engine->info.threads = pool_threads(engine->pool);
    if (!load_weights(engine, err))
        return false;
    engine->info.memory =
        memory_of(engine->model, &o, engine->info.prepared, tokenizer_memory(engine->tokenizer));
    engine->cache = cache_new(page_bytes(engine->model), page_count(&o), err);
    if (!engine->cache)
        return false;
    engine->batch = batch_new(o.batch);
    engine->pass = pass_new(engine->model, engine->kernels, engine->pool, o.batch, o.context, err);
    return engine->pass != NULL;
}

struct engine *engine_open(const char *path, const struct engine_options *options, struct error **err)
{
    AUTO(engine) struct engine *engine = xcalloc(1, sizeof *engine);
    engine->path = xstrdup(path);
    engine->cache_dir = xstrdup(options ? options->cache_dir : NULL);
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->changed, NULL);
    return open_parts(engine, options, err) ? STEAL(engine) : NULL;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    pass_free(engine->pass);
    free(engine->batch);
    cache_free(engine->cache);
    pool_free(engine->pool);
    if (engine->repacked)
        munmap(engine->repacked, whole_pages(engine->model->packed_bytes));
    merged_free(engine->merged);
    mapping_close(engine->prepared);
    tokenizer_close(engine->tokenizer);
    model_free(engine->model);
    gguf_close(engine->file);
    pthread_mutex_destroy(&engine->lock);
    pthread_cond_destroy(&engine->changed);
    free((char *)engine->info.name);
    free(engine->cache_dir);
    free(engine->path);
    free(engine);
}
