#include "webhook/webhook.h"

#include <stdio.h>
#include <stdlib.h>

#include "alert/alert.h"
#include "store/inbox.h"

enum { BUSY_RETRY_S = 1 };

struct webhook {
    struct store *store;
    struct config_live *config;
    void (*accepted)(void *context);
    void *context;
    char *path;
    struct http_route routes[2]; /* ours, and the empty one that ends the table */
};

struct acceptance { /* a request that waits for its commit; in the request's arena */
    struct webhook *webhook;
    struct http_request *request;
    struct inbox_item item;
    char trace_id[TRACE_ID_LEN + 1];
};

/* The caller's, from a W3C traceparent (version 00: 00-TRACE-SPAN-FLAGS), else a new one. */
static void trace_id_of(const struct http_request *request, char trace_id[TRACE_ID_LEN + 1])
{
    struct str header = http_request_header(request, "traceparent");
    struct str id = str_slice(header, 3, 3 + TRACE_ID_LEN);
    bool good = header.len >= 55 && id.len == TRACE_ID_LEN && header.ptr[2] == '-' && header.ptr[35] == '-';
    bool nonzero = false;
    for (size_t i = 0; good && i < id.len; i++) {
        good = strchr("0123456789abcdef", id.ptr[i]) && id.ptr[i];
        nonzero = nonzero || id.ptr[i] != '0';
    }
    if (good && nonzero)
        snprintf(trace_id, TRACE_ID_LEN + 1, STR_FMT, STR_ARG(id));
    else
        snprintf(trace_id, TRACE_ID_LEN + 1, "%016llx%016llx", (unsigned long long)rand_u64(),
                 (unsigned long long)rand_u64());
}

static void respond_busy(struct http_request *request, const char *why)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    strbuf_add_text(&body, "{\"status\":\"error\",\"error\":");
    strbuf_add_json(&body, str_of(why));
    strbuf_add_char(&body, '}');
    http_respond(request, &(struct http_response){
                              .status = 503, .body = strbuf_str(&body), .retry_after_s = BUSY_RETRY_S });
}

static void respond_accepted(struct http_request *request, size_t alerts)
{
    char body[96];
    int len = snprintf(body, sizeof body,
                       "{\"status\":\"success\",\"message\":\"Successfully processed %zu alerts\"}", alerts);
    http_respond_json(request, 200, (struct str){ body, (size_t)len });
}

static void committed(void *context, const struct error *error)
{
    struct acceptance *acceptance = context;
    struct webhook *webhook = acceptance->webhook;
    if (error) {
        log_error("alerts were not accepted", KV("trace", acceptance->trace_id),
                  KV("error", error_message(error)));
        respond_busy(acceptance->request, "the store does not take alerts now; try again");
        return;
    }
    respond_accepted(acceptance->request, acceptance->item.alerts);
    if (webhook->accepted)
        webhook->accepted(webhook->context);
}

/* The group, as Alertmanager's API can be asked for it: by receiver and group labels. One task a group. */
static void ask_for_rest(struct arena *arena, const struct alert_payload *payload, struct inbox_item *item)
{
    AUTO(strbuf) struct strbuf task = { 0 };
    char hash[SHA256_HEX_LEN + 1];
    strbuf_add_text(&task, "{\"receiver\":");
    strbuf_add_json(&task, payload->receiver);
    strbuf_add_text(&task, ",\"group_key\":");
    strbuf_add_json(&task, payload->group_key);
    strbuf_add_text(&task, ",\"group_labels\":");
    label_list_write(&task, &payload->group_labels);
    strbuf_add_char(&task, '}');
    sha256_hex(strbuf_str(&task), hash);
    item->rest_subject = arena_strdup(arena, hash);
    item->rest_payload = arena_strdup(arena, task.ptr);
}

static bool has_room(struct webhook *webhook, size_t alerts, struct error **err)
{
    const struct config *config = config_live_hold(webhook->config);
    int64_t limit = config->intake.inbox_limit;
    config_live_release(webhook->config, config);
    return inbox_waiting(webhook->store) + (int64_t)alerts <= limit ||
           error_set(err, ERROR_UNAVAILABLE, "the inbox is full (intake.inbox_limit is %lld alerts)",
                     (long long)limit);
}

static void accept_alerts(struct http_request *request, void *context)
{
    struct webhook *webhook = context;
    struct arena *arena = http_request_arena(request);
    struct alert_payload payload;
    AUTO(error) struct error *error = NULL;
    if (!alert_parse_webhook(arena, http_request_body(request), &payload, &error)) {
        log_warn("payload refused", KV("client", http_request_client(request)),
                 KV("error", error_message(error)));
        http_respond_error(request, 400, "%.200s", error_message(error));
        return;
    }
    if (payload.count == 0 && payload.truncated == 0) {
        respond_accepted(request, 0);
        return;
    }
    if (!store_check(webhook->store, &error) || !has_room(webhook, payload.count, &error)) {
        respond_busy(request,
                     error_code(error) == ERROR_UNAVAILABLE ? error_message(error) : "the store is damaged");
        return;
    }
    struct acceptance *acceptance = ARENA_NEW(arena, struct acceptance);
    *acceptance = (struct acceptance){ .webhook = webhook, .request = request };
    trace_id_of(request, acceptance->trace_id);
    acceptance->item = (struct inbox_item){ .payload = http_request_body(request),
                                            .alerts = payload.count,
                                            .severity = payload.severity,
                                            .trace_id = acceptance->trace_id };
    if (payload.truncated)
        ask_for_rest(arena, &payload, &acceptance->item);
    inbox_append_then(webhook->store, &acceptance->item, committed, acceptance);
}

struct webhook *webhook_new(const struct webhook_options *options)
{
    struct webhook *webhook = xcalloc(1, sizeof *webhook);
    *webhook = (struct webhook){ .store = options->store,
                                 .config = options->config,
                                 .accepted = options->accepted,
                                 .context = options->context,
                                 .path = xstrdup(options->path) };
    webhook->routes[0] = (struct http_route){ "POST",         webhook->path,
                                              HTTP_GROUP_API, HTTP_SCOPE_INGEST,
                                              accept_alerts,  .content_type = "application/json" };
    return webhook;
}

void webhook_free(struct webhook *webhook)
{
    if (!webhook)
        return;
    free(webhook->path);
    free(webhook);
}

void webhook_add_to(struct webhook *webhook, struct http_server *server)
{
    http_server_add(server, webhook->routes, webhook);
}

bool webhook_is_ready(struct webhook *webhook, struct error **err)
{
    return store_check(webhook->store, err) && has_room(webhook, 1, err);
}
