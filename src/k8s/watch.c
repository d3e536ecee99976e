/* Watches: list, then follow the changes; go on where a connection ended, list again where the server has forgotten.
 * And waiting for an object to become what it should be, which is a watch on one name. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

enum { RETRY_MS = 200, RETRY_MAX_MS = 15 * 1000, NAP_MS = 100 };

struct watch {
    struct k8s *k8s;
    const struct k8s_resource *resource;
    const char *namespace;
    const struct k8s_watch_options *options;
    k8s_changed *change;
    void *context;
    char version[64];
    bool ended, is_gone; /* ended: `change` said so; is_gone: 410 */
    int64_t until_mono_ms, retry_after_ms;
    unsigned failures;  /* in a row */
    unsigned forgotten; /* 410s in a row, no change in between */
};

static bool is_over(const struct watch *w)
{
    return w->ended || (w->options->stop && atomic_load(w->options->stop)) ||
           (w->until_mono_ms && clock_mono_ms() >= w->until_mono_ms);
}

static int64_t left_ms(const struct watch *w, int64_t most)
{
    return w->until_mono_ms ? MAX(MIN(most, w->until_mono_ms - clock_mono_ms()), 1) : most;
}

static void nap(const struct watch *w, int64_t ms)
{
    for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until && !is_over(w);)
        clock_sleep_ms(MIN(NAP_MS, until - clock_mono_ms()));
}

static bool take_page(yyjson_doc *page, bool more, void *context, struct error **err)
{
    struct watch *w = context;
    size_t i, count;
    yyjson_val *item;
    (void)more;
    yyjson_arr_foreach(k8s_at(yyjson_doc_get_root(page), "/items"), i, count, item)
    {
        w->ended = w->ended || !w->change(K8S_ADDED, item, w->context);
        if (is_over(w))
            break;
    }
    yyjson_doc_free(page);
    return !is_over(w) || error_set(err, ERROR_CANCELLED, "the watch was ended");
}

static bool list_now(struct watch *w, struct k8s_answer *answer, struct error **err)
{
    struct k8s_list_options options = {
        .label_selector = w->options->label_selector,
        .field_selector = w->options->field_selector,
        .metadata_only = w->options->metadata_only,
        .deadline_ms = left_ms(w, K8S_DEADLINE_MS),
    };
    struct list_taker taker = { take_page, w, w->version };
    w->ended = !w->change(K8S_LISTING, NULL, w->context);
    if (!list_pages(w->k8s, w->resource, w->namespace, &options, &taker, answer, err))
        return false;
    w->ended = w->ended || !w->change(K8S_SYNCED, NULL, w->context);
    return true;
}

static bool take_change(const char *type, yyjson_val *object, void *context)
{
    struct watch *w = context;
    if (!strcmp(type, "ERROR")) {
        int64_t code = k8s_int_at(object, "/code", 0);
        w->is_gone = code == 410;
        w->failures += code != 410;
        return false;
    }
    if (!strcmp(type, "BOOKMARK")) {
        w->ended = !w->change(K8S_ALIVE, NULL, w->context);
        return !w->ended;
    }
    enum k8s_change change = !strcmp(type, "ADDED")     ? K8S_ADDED
                             : !strcmp(type, "DELETED") ? K8S_DELETED
                                                        : K8S_MODIFIED;
    w->failures = w->forgotten = 0;
    w->ended = !w->change(change, object, w->context);
    return !w->ended;
}

static bool feed(struct str bytes, void *context)
{
    return watch_stream_feed(context, bytes);
}

static void add_queries(const struct watch *w, struct call *call, int64_t seconds)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)seconds);
    call_query(call, "watch", "1");
    call_query(call, "allowWatchBookmarks", "true");
    call_query(call, "resourceVersion", w->version);
    call_query(call, "timeoutSeconds", text);
    call_query(call, "labelSelector", w->options->label_selector);
    call_query(call, "fieldSelector", w->options->field_selector);
}

/* Until the connection ends, one way or the other. False: something was wrong, *err says what. */
static bool follow(struct watch *w, struct k8s_answer *answer, struct error **err)
{
    struct watch_stream stream = { .event = take_change, .context = w };
    int64_t life_ms = left_ms(w, K8S_WATCH_S * 1000);
    struct call call = { .verb = "watch", .method = "GET", .piece = feed, .context = &stream };
    call.ref = (struct k8s_ref){ .resource = w->resource, .namespace = w->namespace };
    call.stop = w->options->stop;
    call.deadline_ms = w->until_mono_ms ? life_ms : life_ms + K8S_DEADLINE_MS;
    if (w->options->metadata_only)
        call.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    add_queries(w, &call, (life_ms + 999) / 1000);
    snprintf(stream.resource_version, sizeof stream.resource_version, "%s", w->version);
    bool ok = call_run(w->k8s, &call, NULL, answer, err);
    snprintf(w->version, sizeof w->version, "%s", stream.resource_version);
    bool broken = stream.failed;
    watch_stream_free(&stream);
    if (broken) {
        error_clear(err);
        return error_set(err, ERROR_INTERNAL, "watch %s: an event that is no JSON object",
                         w->resource->plural);
    }
    w->is_gone = w->is_gone || answer->reason == K8S_GONE;
    w->retry_after_ms = answer->retry_after_ms;
    return ok;
}

/* What asking again will not change. */
static bool is_final(const struct k8s_answer *answer)
{
    static const unsigned final = BIT(K8S_BAD_REQUEST) | BIT(K8S_UNAUTHORIZED) | BIT(K8S_FORBIDDEN) |
                                  BIT(K8S_NOT_FOUND) | BIT(K8S_NOT_SERVED) | BIT(K8S_UNSUPPORTED) |
                                  BIT(K8S_INVALID) | BIT(K8S_NOT_SENT);
    return answer->reason != K8S_OK && (final & BIT(answer->reason));
}

static int64_t pause_ms(const struct watch *w)
{
    int64_t most = MIN(RETRY_MS << MIN(MAX(w->failures, w->forgotten), 8), RETRY_MAX_MS);
    return w->retry_after_ms ? w->retry_after_ms : most / 2 + (int64_t)(rand_unit() * (double)most / 2);
}

static bool run_watch(struct watch *w, struct error **err)
{
    while (!is_over(w)) {
        struct k8s_answer answer = { 0 };
        struct error *why = NULL;
        bool listing = !*w->version || w->is_gone;
        w->retry_after_ms = 0;
        if (listing)
            w->is_gone = false;
        bool ok = listing ? list_now(w, &answer, &why) : follow(w, &answer, &why);
        bool final = !ok && is_final(&answer) && !is_over(w);
        if (final)
            error_move(err, &why);
        error_clear(&why);
        if (final)
            return false;
        if (!ok && listing)
            *w->version = 0;
        w->failures = ok || w->is_gone ? w->failures * !listing : w->failures + 1;
        w->forgotten += w->is_gone;
        /* A first 410 is an old version, and a new list the remedy; a server that goes on like that must not be hammered. */
        if ((!ok && !w->is_gone) || w->failures || (w->is_gone && w->forgotten > 1))
            nap(w, pause_ms(w));
    }
    return true;
}

bool k8s_watch(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
               const struct k8s_watch_options *options, k8s_changed *change, void *context,
               struct error **err)
{
    static const struct k8s_watch_options defaults;
    struct watch w = {
        .k8s = k8s, .resource = resource, .namespace = namespace, .change = change, .context = context
    };
    w.options = options ? options : &defaults;
    w.until_mono_ms = w.options->deadline_ms ? clock_mono_ms() + w.options->deadline_ms : 0;
    if (k8s->until_mono_ms && (!w.until_mono_ms || k8s->until_mono_ms < w.until_mono_ms))
        w.until_mono_ms = k8s->until_mono_ms;
    return run_watch(&w, err);
}

/* ---- waiting for one object ---- */

struct waiting {
    k8s_waiter *done;
    void *context;
    enum k8s_wait state;
    bool seen; /* since the last list began */
    yyjson_mut_doc *last;
    struct error **err;
};

static void keep(struct waiting *waiting, yyjson_val *object)
{
    yyjson_mut_doc_free(waiting->last);
    waiting->last = object ? yyjson_mut_doc_new(NULL) : NULL;
    if (object)
        yyjson_mut_doc_set_root(waiting->last, yyjson_val_mut_copy(waiting->last, object));
}

static bool judge(struct waiting *waiting, yyjson_val *object)
{
    keep(waiting, object);
    waiting->state = waiting->done(object, waiting->context, waiting->err);
    return waiting->state == K8S_WAIT_MORE;
}

static bool take_state(enum k8s_change change, yyjson_val *object, void *context)
{
    struct waiting *waiting = context;
    if (change == K8S_LISTING)
        waiting->seen = false;
    if (change == K8S_SYNCED && !waiting->seen)
        return judge(waiting, NULL);
    if (!object)
        return true;
    waiting->seen = true;
    return judge(waiting, change == K8S_DELETED ? NULL : object);
}

static struct k8s_object *hand_over(struct waiting *waiting)
{
    yyjson_doc *doc = waiting->last ? yyjson_mut_doc_imut_copy(waiting->last, NULL) : NULL;
    return doc ? object_take(doc) : NULL;
}

bool k8s_wait(struct k8s *k8s, const struct k8s_ref *ref, int64_t wait_ms, k8s_waiter *done, void *context,
              struct k8s_object **last, struct error **err)
{
    struct error *why = NULL;
    struct waiting waiting = { .done = done, .context = context, .err = &why };
    char text[640];
    AUTO(text) char *selector = xasprintf("metadata.name=%s", ref->name);
    struct k8s_watch_options options = { .field_selector = selector, .deadline_ms = MAX(wait_ms, 1) };
    bool ok = k8s_watch(k8s, ref->resource, ref->namespace, &options, take_state, &waiting, &why);
    if (ok && waiting.state == K8S_WAIT_MORE)
        ok = error_set(&why, ERROR_TIMEOUT, "%s: not yet after %lld s", k8s_ref_text(ref, text),
                       (long long)((wait_ms + 999) / 1000));
    ok = ok && waiting.state == K8S_WAIT_DONE;
    if (last)
        *last = hand_over(&waiting);
    yyjson_mut_doc_free(waiting.last);
    if (!ok)
        error_move(err, &why);
    return ok;
}

enum k8s_wait k8s_wait_gone(yyjson_val *object, void *context, struct error **err)
{
    (void)err;
    return !object || strcmp(k8s_text_at(object, "/metadata/uid"), context) ? K8S_WAIT_DONE : K8S_WAIT_MORE;
}

static bool has_rolled_out(yyjson_val *object)
{
    bool daemon = k8s_at(object, "/status/desiredNumberScheduled") != NULL;
    int64_t wanted = daemon ? k8s_int_at(object, "/status/desiredNumberScheduled", 0)
                            : k8s_int_at(object, "/spec/replicas", 1);
    int64_t updated =
        k8s_int_at(object, daemon ? "/status/updatedNumberScheduled" : "/status/updatedReplicas", 0);
    int64_t ready = k8s_int_at(object, daemon ? "/status/numberAvailable" : "/status/readyReplicas", 0);
    const char *current = k8s_text_at(object, "/status/currentRevision");
    if (k8s_int_at(object, "/status/observedGeneration", 0) < k8s_int_at(object, "/metadata/generation", 0))
        return false;
    if (*current && !k8s_at(object, "/status/unavailableReplicas") && wanted &&
        strcmp(current, k8s_text_at(object, "/status/updateRevision")))
        return false; /* a StatefulSet still between two revisions */
    return ready == wanted && updated == wanted &&
           (daemon || k8s_int_at(object, "/status/replicas", 0) == wanted);
}

enum k8s_wait k8s_wait_rolled_out(yyjson_val *object, void *context, struct error **err)
{
    const char *reason = "", *message = "";
    (void)context;
    if (!object)
        return error_set(err, ERROR_NOT_FOUND, "it was deleted while it rolled out"), K8S_WAIT_FAILED;
    if (has_rolled_out(object))
        return K8S_WAIT_DONE;
    bool current =
        k8s_int_at(object, "/status/observedGeneration", 0) >= k8s_int_at(object, "/metadata/generation", 0);
    k8s_condition(object, "Progressing", &reason, &message);
    if (!current || strcmp(reason, "ProgressDeadlineExceeded"))
        return K8S_WAIT_MORE;
    return error_set(err, ERROR_TIMEOUT, "the rollout made no progress: %.300s", message), K8S_WAIT_FAILED;
}

enum k8s_wait k8s_wait_job(yyjson_val *object, void *context, struct error **err)
{
    const char *reason = "", *message = "";
    (void)context;
    if (!object)
        return error_set(err, ERROR_NOT_FOUND, "the Job was deleted before it ended"), K8S_WAIT_FAILED;
    if (!strcmp(k8s_condition(object, "Complete", NULL, NULL), "True"))
        return K8S_WAIT_DONE;
    if (strcmp(k8s_condition(object, "Failed", &reason, &message), "True"))
        return K8S_WAIT_MORE;
    return error_set(err, ERROR_INTERNAL, "the Job failed: %s: %.300s", reason, message), K8S_WAIT_FAILED;
}
