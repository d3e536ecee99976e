/* Reading: objects, lists page by page, logs, raw paths. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"

#define METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

struct k8s_object *k8s_get(struct k8s *k8s, const struct k8s_ref *ref, const struct k8s_read *options,
                           struct error **err)
{
    static const struct k8s_read defaults;
    options = options ? options : &defaults;
    struct call call = { .verb = "get", .method = "GET", .ref = *ref, .deadline_ms = options->deadline_ms };
    bool hide = call_is_secret(&call) && !options->secret_values;
    call.accept = options->metadata_only || hide ? METADATA : NULL;
    if (options->cached)
        call_query(&call, "resourceVersion", "0");
    return call_object(k8s, &call, options->answer, err);
}

/* ---- lists ---- */

static void list_take(struct k8s_list *list, yyjson_doc *page, size_t *capacity)
{
    yyjson_val *items = k8s_at(yyjson_doc_get_root(page), "/items"), *item;
    size_t i, count, more = yyjson_arr_size(items);
    if (list->count + more > *capacity) {
        *capacity = MAX(*capacity * 2, list->count + more);
        list->items = xrealloc(list->items, *capacity * sizeof *list->items);
    }
    yyjson_arr_foreach(items, i, count, item) list->items[list->count++] = item;
    list->pages = xrealloc(list->pages, (list->pages_len + 1) * sizeof *list->pages);
    list->pages[list->pages_len++] = page;
}

void k8s_list_free(struct k8s_list *list)
{
    for (size_t i = 0; i < list->pages_len; i++)
        yyjson_doc_free(list->pages[i]);
    free(list->pages);
    free(list->items);
    *list = (struct k8s_list){ 0 };
}

static void start_page(struct call *call, const struct k8s_list_options *options, const char *token)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%u", options->page_size ? options->page_size : 500);
    bool hide = call_is_secret(call) && !options->secret_values;
    call->accept = options->metadata_only || hide ? METADATA_LIST : NULL;
    call_query(call, "labelSelector", options->label_selector);
    call_query(call, "fieldSelector", options->field_selector);
    if (options->cached && !*token)
        call_query(call, "resourceVersion", "0");
    call_query(call, "limit", limit);
    call_query(call, "continue", token);
}

/* One page, handed to `take`; `token` becomes the next one's, "" at the end. */
static bool list_page(struct k8s *k8s, struct call call, const struct k8s_list_options *options,
                      const struct list_taker *taker, struct strbuf *token, struct k8s_answer *answer,
                      struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    char text[640];
    start_page(&call, options, token->len ? token->ptr : "");
    if (!call_run(k8s, &call, &body, answer, err))
        return false;
    yyjson_doc *page = json_parse(strbuf_str(&body), err);
    yyjson_val *root = yyjson_doc_get_root(page);
    if (!page || !yyjson_is_arr(k8s_at(root, "/items"))) {
        yyjson_doc_free(page);
        answer->reason = K8S_BAD_ANSWER;
        return error_set(err, ERROR_INTERNAL, "list %s: the answer is no list",
                         k8s_ref_text(&call.ref, text));
    }
    snprintf(taker->resource_version, 64, "%s", k8s_text_at(root, "/metadata/resourceVersion"));
    strbuf_clear(token);
    strbuf_add_text(token, k8s_text_at(root, "/metadata/continue"));
    return taker->page(page, token->len > 0, taker->context, err);
}

bool list_pages(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
                const struct k8s_list_options *options, const struct list_taker *taker,
                struct k8s_answer *answer, struct error **err)
{
    AUTO(strbuf) struct strbuf token = { 0 };
    struct call call = { .verb = "list", .method = "GET", .deadline_ms = options->deadline_ms };
    call.ref = (struct k8s_ref){ .resource = resource, .namespace = namespace };
    do {
        if (!list_page(k8s, call, options, taker, &token, answer, err))
            return false;
    } while (token.len);
    return true;
}

struct collecting {
    struct k8s_list *list;
    size_t capacity, max;
};

static bool collect_page(yyjson_doc *page, bool more, void *context, struct error **err)
{
    struct collecting *to = context;
    list_take(to->list, page, &to->capacity);
    return !to->max || to->list->count + more <= to->max ||
           error_set(err, ERROR_LIMIT, "the list has more than %zu items", to->max);
}

bool k8s_list(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
              const struct k8s_list_options *options, struct k8s_list *list, struct error **err)
{
    static const struct k8s_list_options defaults;
    options = options ? options : &defaults;
    struct k8s_answer spare, *answer = options->answer ? options->answer : &spare;
    struct collecting to = { .list = list, .max = options->max_items };
    struct list_taker taker = { collect_page, &to, list->resource_version };
    struct error *why = NULL;
    *list = (struct k8s_list){ 0 };
    bool ok = list_pages(k8s, resource, namespace, options, &taker, answer, &why);
    if (!ok && answer->reason == K8S_GONE && list->count) { /* the token expired between two pages */
        k8s_list_free(list);
        error_clear(&why);
        to.capacity = 0;
        ok = list_pages(k8s, resource, namespace, options, &taker, answer, &why);
    }
    if (ok)
        return true;
    k8s_list_free(list);
    error_move(err, &why);
    return false;
}

/* ---- text ---- */

static void add_number(struct call *call, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    call_query(call, name, value > 0 ? text : NULL);
}

bool k8s_log(struct k8s *k8s, const struct k8s_ref *pod, const struct k8s_log_options *options,
             struct strbuf *text, struct error **err)
{
    static const struct k8s_log_options defaults;
    options = options ? options : &defaults;
    size_t max = options->max_bytes ? options->max_bytes : 256 * 1024;
    struct call call = { .verb = "get", .method = "GET", .ref = *pod, .deadline_ms = options->deadline_ms };
    call.ref.resource = &k8s_pods;
    call.ref.subresource = "log";
    call.accept = "text/plain, application/json";
    call.max_answer = max + 4096;
    call_query(&call, "container", options->container);
    call_query(&call, "previous", options->previous ? "true" : NULL);
    call_query(&call, "timestamps", options->timestamps ? "true" : NULL);
    add_number(&call, "tailLines", options->tail_lines ? options->tail_lines : 200);
    add_number(&call, "limitBytes", (int64_t)max);
    add_number(&call, "sinceSeconds", (options->since_ms + 999) / 1000);
    return call_run(k8s, &call, text, options->answer, err);
}

bool k8s_raw(struct k8s *k8s, const char *path, const struct k8s_read *options, struct strbuf *body,
             struct error **err)
{
    static const struct k8s_read defaults;
    options = options ? options : &defaults;
    struct call call = { .verb = "get", .method = "GET", .path = path, .deadline_ms = options->deadline_ms };
    if (path[0] != '/' || strpbrk(path, " \r\n#"))
        return error_set(err, ERROR_INVALID, "\"%.200s\" is no path of the API", path);
    call.accept = "application/json, */*";
    return call_run(k8s, &call, body, options->answer, err);
}
