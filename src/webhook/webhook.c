#include "webhook/webhook.h"

#include <stdio.h>
#include <stdlib.h>

#include "alert/alert.h"
#include "metrics/metrics.h"
#include "metrics/trace.h"
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
    struct alert_payload payload;
    struct trace trace;
};

static void count_refusal(const char *reason)
{
    metric_inc(METRIC_WEBHOOK_REQUESTS, "error");
    metric_inc(METRIC_WEBHOOK_REFUSED, reason);
}

/* Alerts of a group mostly agree in both labels: one step of the counter for each run of those that do. */
static void count_alerts(const struct alert_payload *payload)
{
    char namespace[256];
    metric_inc(METRIC_WEBHOOK_REQUESTS, "success");
    for (size_t i = 0, run = 1; i < payload->count; i += run, run = 1) {
        const struct alert *alert = &payload->alerts[i];
        while (i + run < payload->count && alert[run].severity == alert->severity &&
               str_eq(alert[run].namespace, alert->namespace))
            run++;
        snprintf(namespace, sizeof namespace, STR_FMT,
                 STR_ARG(utf8_prefix(alert->namespace, sizeof namespace - 1)));
        metric_add(METRIC_ALERTS_RECEIVED, (double)run, severity_names[alert->severity], namespace);
    }
}

static void respond_busy(struct http_request *request, const char *reason, const char *why)
{
    count_refusal(reason);
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
        log_error("alerts were not accepted", KV("trace", acceptance->trace.trace_id),
                  KV("error", error_message(error)));
        respond_busy(acceptance->request, "store", "the store does not take alerts now; try again");
        return;
    }
    count_alerts(&acceptance->payload);
    if (webhook->accepted)
        webhook->accepted(webhook->context);
    respond_accepted(acceptance->request,
                     acceptance->item.alerts); /* last: the server may stop, and we be freed */
}

/* The group, as Alertmanager's API can be asked for it: by receiver and group labels. One task a group; it is written
 * as a payload without alerts, which the parser of payloads reads back. */
static void ask_for_rest(struct arena *arena, const struct alert_payload *payload, struct inbox_item *item)
{
    AUTO(strbuf) struct strbuf task = { 0 };
    char hash[SHA256_HEX_LEN + 1];
    strbuf_add_text(&task, "{\"version\":\"4\",\"alerts\":[],\"receiver\":");
    strbuf_add_json(&task, payload->receiver);
    strbuf_add_text(&task, ",\"groupKey\":");
    strbuf_add_json(&task, payload->group_key);
    strbuf_add_text(&task, ",\"groupLabels\":");
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

static void refuse(struct http_request *request, const struct error *error)
{
    log_warn("payload refused", KV("client", http_request_client(request)),
             KV("error", error_message(error)));
    count_refusal("payload");
    http_respond_error(request, 400, "%.200s", error_message(error));
}

/* Why it cannot be taken now: the reason for the counter, and *err for the answer. NULL if it can. */
static const char *why_busy(struct webhook *webhook, size_t alerts, struct error **err)
{
    if (!store_check(webhook->store, err))
        return "store";
    return has_room(webhook, alerts, err) ? NULL : "inbox_full";
}

static void hand_over(struct acceptance *acceptance)
{
    struct http_request *request = acceptance->request;
    const struct alert_payload *payload = &acceptance->payload;
    trace_from(http_request_header(request, "traceparent"), &acceptance->trace);
    acceptance->item = (struct inbox_item){ .payload = http_request_body(request),
                                            .alerts = payload->count,
                                            .severity = payload->severity,
                                            .trace_id = acceptance->trace.trace_id };
    if (payload->truncated)
        ask_for_rest(http_request_arena(request), payload, &acceptance->item);
    inbox_append_then(acceptance->webhook->store, &acceptance->item, committed, acceptance);
}

static void accept_alerts(struct http_request *request, void *context)
{
    struct arena *arena = http_request_arena(request);
    struct acceptance *acceptance = ARENA_NEW(arena, struct acceptance);
    struct alert_payload *payload = &acceptance->payload;
    AUTO(error) struct error *error = NULL;
    const char *busy;
    *acceptance = (struct acceptance){ .webhook = context, .request = request };
    if (!alert_parse_webhook(arena, http_request_body(request), payload, &error)) {
        refuse(request, error);
    } else if (payload->count == 0 && payload->truncated == 0) {
        metric_inc(METRIC_WEBHOOK_REQUESTS, "success");
        respond_accepted(request, 0);
    } else if ((busy = why_busy(acceptance->webhook, payload->count, &error))) {
        respond_busy(request, busy, error_message(error));
    } else {
        hand_over(acceptance);
    }
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
