/* What the engine's files tell each other. */
#ifndef ENGINE_ENGINE_INTERNAL_H
#define ENGINE_ENGINE_INTERNAL_H

#include <pthread.h>

#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/pass.h"
#include "engine/tokenizer.h"

struct request;
struct batch;
struct merged;

struct engine {
    struct engine_info info; /* set by engine_open(), read-only since, but for sha256 */
    struct gguf *file;
    struct model *model;
    struct mapping *prepared; /* NULL: the weights are in `repacked` */
    unsigned char *repacked;
    struct pool *pool;
    const struct kernels *kernels;
    struct tokenizer *tokenizer;
    struct cache *cache; /* locks itself */
    char *cache_dir;     /* NULL: none */
    char *path;
    struct merged *merged; /* matrices with adapters in them; the leader's, NULL: none */
    atomic_bool is_merged; /* what is kept under the file's hash does not fit these weights */
    atomic_uint sequences; /* that are open */

    pthread_mutex_t lock; /* guards leading, queue, and info.sha256 */
    pthread_cond_t changed;
    bool leading;          /* a thread runs the pass; only that one touches `pass` */
    struct request *queue; /* steps that wait or are under way */
    struct pass *pass;
    struct batch *batch; /* the leader's too */
};

struct engine_sequence {
    struct engine *engine;
    struct page **pages; /* [context / PAGE + 1], the first n_pages are ours */
    size_t n_pages;
    int32_t *tokens; /* [context] */
    size_t len;
    float *hidden;     /* [dim]: the final norm's output at token hidden_len - 1 */
    size_t hidden_len; /* 0: not known */
    struct engine_adapter *adapter;
    float adapter_scale;
};

/* engine.c */
const struct tokenizer *engine_tokenizer(const struct engine *engine);
const struct gguf *engine_file(const struct engine *engine);
bool engine_storage_is_sound(const struct engine *engine,
                             struct error **err); /* no page of the maps has failed */

/* sequence.c */
bool sequence_reserve(struct engine_sequence *sequence, size_t len,
                      struct error **err); /* pages to write up to len */

/* step.c: the pass is one thread's at a time. */
struct batch *batch_new(uint32_t capacity); /* the caller frees with free() */
void engine_lead(struct engine *engine);
void engine_unlead(struct engine *engine);
bool sequence_need_hidden(struct engine *engine, struct engine_sequence *sequence, struct error **err);

/* merge.c */
void merged_free(struct merged *merged);

/* prepare.c */
struct mapping *prepared_open(const char *path, const char *cache_dir,
                              struct model *model); /* places the weights; NULL: none */
bool weights_pack(struct model *model, struct pool *pool, unsigned char **packed, struct error **err);

#endif
