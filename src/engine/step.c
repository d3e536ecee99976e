/* The step: several threads' requests become rows of one pass.
 *
 * Who comes first leads: it runs passes for everybody who waits until its own request is done, then hands over. A
 * pass takes rows by priority, and of equals from the shortest request first, so that a decoding sequence joins each
 * pass at once and a long prompt fills what is left. Requests join and leave at every pass. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"
#include "engine/mapping.h"

/* What is left of one item. */
struct part {
    struct engine_item *item;
    size_t begin; /* the sequence's length before the call */
    size_t done;  /* tokens computed */
    double *mean; /* [dim], NULL: not wanted */
};

struct request {
    struct request *next;
    struct part *parts;
    size_t n_parts;
    size_t left; /* tokens */
    int priority;
    const atomic_bool *cancel;
    bool is_done;
    struct error *error;
};

/* ---- leading ---- */

void engine_lead(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    while (engine->leading)
        pthread_cond_wait(&engine->changed, &engine->lock);
    engine->leading = true;
    pthread_mutex_unlock(&engine->lock);
}

void engine_unlead(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->leading = false;
    pthread_cond_broadcast(&engine->changed);
    pthread_mutex_unlock(&engine->lock);
}

/* ---- rows of a pass ---- */

struct batch {
    uint32_t n;
    struct batch_row {
        struct part *part;
        struct request *request;
    } rows[]; /* [capacity of the pass] */
};

struct batch *batch_new(uint32_t capacity)
{
    return xcalloc(1, sizeof(struct batch) + capacity * sizeof(struct batch_row));
}

static bool comes_before(const struct request *a, const struct request *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->left < b->left;
}

/* Sort the queue; stable, so that of equals who came first stays first. */
static void sort_queue(struct request **queue)
{
    struct request *sorted = NULL, *next;
    for (struct request *request = *queue; request; request = next) {
        next = request->next;
        struct request **at = &sorted;
        while (*at && !comes_before(request, *at))
            at = &(*at)->next;
        request->next = *at;
        *at = request;
    }
    *queue = sorted;
}

static void fill_row(struct pass_row *row, const struct part *part, size_t i, uint32_t tag)
{
    const struct engine_item *item = part->item;
    const struct engine_sequence *s = item->sequence;
    bool in_mean = item->hidden_mean && i >= item->mean_from;
    *row = (struct pass_row){
        .token = item->tokens[i],
        .position = (uint32_t)(part->begin + i),
        .pages = s->pages,
        .adapter = (const struct adapter *)s->adapter,
        .adapter_scale = s->adapter_scale,
        .tag = tag,
        .wants_hidden = in_mean || (item->hidden && i >= item->hidden_from) || i + 1 == item->count,
    };
    if (item->logits && i >= item->logits_from)
        row->logits = item->logits + (i - item->logits_from) * s->engine->info.vocab;
}

static void take_rows(struct engine *engine, struct batch *batch, struct request *request)
{
    for (size_t p = 0; p < request->n_parts; p++) {
        struct part *part = &request->parts[p];
        for (size_t i = part->done; i < part->item->count && batch->n < engine->pass->capacity; i++) {
            fill_row(&engine->pass->rows[batch->n], part, i, batch->n);
            batch->rows[batch->n++] = (struct batch_row){ part, request };
        }
    }
}

static void finish(struct request *request, struct error *error)
{
    error_move(&request->error, &error);
    request->is_done = true;
}

static void drop_cancelled(struct engine *engine)
{
    for (struct request *request = engine->queue; request; request = request->next) {
        struct error *error = NULL;
        if (request->is_done || !request->cancel || !atomic_load(request->cancel))
            continue;
        error_set(&error, ERROR_CANCELLED, "cancelled");
        finish(request, error);
    }
}

/* ---- what a pass gave ---- */

static void keep_hidden(const struct engine *engine, struct part *part, size_t i, const float *hidden)
{
    const struct engine_item *item = part->item;
    size_t dim = engine->info.dim;
    if (item->hidden && i >= item->hidden_from)
        memcpy(item->hidden + (i - item->hidden_from) * dim, hidden, dim * sizeof(float));
    for (size_t k = 0; part->mean && i >= item->mean_from && k < dim; k++)
        part->mean[k] += (double)hidden[k];
    if (i + 1 == item->count) {
        memcpy(item->sequence->hidden, hidden, dim * sizeof(float));
        item->sequence->hidden_len = part->begin + item->count;
    }
}

static void give_mean(const struct engine *engine, const struct part *part)
{
    const struct engine_item *item = part->item;
    for (size_t k = 0; part->mean && k < engine->info.dim; k++)
        item->hidden_mean[k] = (float)(part->mean[k] / (double)(item->count - item->mean_from));
}

static void account(struct engine *engine, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->n; i++) {
        struct part *part = batch->rows[i].part;
        struct engine_sequence *s = part->item->sequence;
        s->tokens[part->begin + part->done] = part->item->tokens[part->done];
        part->done++;
        s->len = part->begin + part->done;
        if (part->done == part->item->count)
            give_mean(engine, part);
        if (--batch->rows[i].request->left == 0)
            finish(batch->rows[i].request, NULL);
    }
}

static void collect(struct engine *engine, struct batch *batch)
{
    const struct pass *pass = engine->pass;
    for (uint32_t i = 0; i < pass->n; i++) {
        const struct pass_row *row = &pass->rows[i];
        struct part *part = batch->rows[row->tag].part;
        keep_hidden(engine, part, row->position - part->begin, pass->hidden + (size_t)i * engine->info.dim);
    }
}

/* One pass for whoever waits. Called by the leader, with the lock held; lets go of it while the pass runs. */
static void run_batch(struct engine *engine)
{
    struct batch *batch = engine->batch;
    batch->n = 0;
    drop_cancelled(engine);
    sort_queue(&engine->queue);
    for (struct request *request = engine->queue; request; request = request->next)
        if (!request->is_done)
            take_rows(engine, batch, request);
    pthread_mutex_unlock(&engine->lock);
    struct error *error = NULL;
    engine->pass->given = NULL;
    if (batch->n)
        pass_run(engine->pass, batch->n);
    bool is_sound = engine_storage_is_sound(engine, &error);
    if (is_sound && batch->n)
        collect(engine, batch);
    pthread_mutex_lock(&engine->lock);
    if (is_sound) {
        account(engine, batch);
        return;
    }
    for (struct request *request = engine->queue; request; request = request->next) {
        struct error *own = NULL;
        error_set(&own, error_code(error), "%s", error_message(error));
        finish(request, own);
    }
    error_free(error);
}

static void unlink_request(struct engine *engine, const struct request *request)
{
    struct request **at = &engine->queue;
    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
}

static void serve(struct engine *engine, struct request *request)
{
    pthread_mutex_lock(&engine->lock);
    request->next = engine->queue;
    engine->queue = request;
    while (!request->is_done) {
        if (engine->leading) {
            pthread_cond_wait(&engine->changed, &engine->lock);
            continue;
        }
        engine->leading = true;
        run_batch(engine);
        engine->leading = false;
        pthread_cond_broadcast(&engine->changed);
    }
    unlink_request(engine, request);
    pthread_mutex_unlock(&engine->lock);
}

/* ---- the call ---- */

static bool check_item(const struct engine *engine, const struct engine_item *items, size_t i,
                       struct error **err)
{
    const struct engine_item *item = &items[i];
    if (item->count == 0 || !item->sequence)
        return error_set(err, ERROR_INVALID, "item %zu of the step has no tokens or no sequence", i);
    for (size_t k = 0; k < i; k++)
        if (items[k].sequence == item->sequence)
            return error_set(err, ERROR_INVALID, "items %zu and %zu of the step are the same sequence", k, i);
    for (size_t k = 0; k < item->count; k++)
        if (item->tokens[k] < 0 || (uint32_t)item->tokens[k] >= engine->info.vocab)
            return error_set(err, ERROR_INVALID, "token %d: the vocabulary has %u", item->tokens[k],
                             engine->info.vocab);
    if ((item->hidden_mean && item->mean_from >= item->count))
        return error_set(err, ERROR_INVALID, "a mean from token %zu of %zu", item->mean_from, item->count);
    return true;
}

static bool begin_request(struct engine *engine, struct request *request, struct engine_item *items,
                          size_t n_items, struct error **err)
{
    for (size_t i = 0; i < n_items; i++) {
        struct engine_item *item = &items[i];
        if (!check_item(engine, items, i, err))
            return false;
        request->parts[i] = (struct part){ .item = item, .begin = item->sequence->len };
        request->n_parts = i + 1;
        if (!sequence_reserve(item->sequence, item->sequence->len + item->count, err))
            return false;
        if (item->hidden_mean)
            request->parts[i].mean = xcalloc(engine->info.dim, sizeof(double));
        request->left += item->count;
        request->priority = i ? MAX(request->priority, item->priority) : item->priority;
        request->cancel = item->cancel ? item->cancel : request->cancel;
    }
    return true;
}

bool engine_step(struct engine *engine, struct engine_item *items, size_t n_items, struct error **err)
{
    struct request request = { .parts = xcalloc(n_items + 1, sizeof *request.parts) };
    bool ok = begin_request(engine, &request, items, n_items, err);
    if (ok && request.left) {
        serve(engine, &request);
        ok = request.error == NULL;
        if (!ok)
            error_move(err, &request.error);
    }
    for (size_t i = 0; i < request.n_parts; i++) {
        struct part *part = &request.parts[i];
        if (!ok) { /* pages reserved beyond the length go back too */
            part->item->sequence->len = part->begin + 1;
            engine_sequence_truncate(part->item->sequence, part->begin);
        }
        free(part->mean);
    }
    free(request.parts);
    return ok;
}

/* After a truncation the last token's hidden state is gone: read that token again, which gives the same bits. */
bool sequence_need_hidden(struct engine *engine, struct engine_sequence *sequence, struct error **err)
{
    if (sequence->len == 0)
        return error_set(err, ERROR_INVALID, "the sequence is empty: nothing follows nothing");
    if (sequence->hidden_len == sequence->len)
        return true;
    int32_t last = sequence->tokens[sequence->len - 1];
    engine_sequence_truncate(sequence, sequence->len - 1);
    return engine_step(engine, &(struct engine_item){ .sequence = sequence, .tokens = &last, .count = 1 }, 1,
                       err);
}

bool engine_sequence_logits(struct engine *engine, struct engine_sequence *sequence, float *logits,
                            float *hidden, struct error **err)
{
    if (!sequence_need_hidden(engine, sequence, err))
        return false;
    if (hidden)
        memcpy(hidden, sequence->hidden, engine->info.dim * sizeof *hidden);
    if (!logits)
        return true;
    engine_lead(engine);
    engine->pass->given = sequence->hidden;
    engine->pass->given_row = (struct pass_row){ .logits = logits };
    pass_run(engine->pass, 0);
    bool is_sound = engine_storage_is_sound(engine, err);
    engine_unlead(engine);
    return is_sound;
}
