/* How the service is: /health, /ready, /status, /metrics, and Prometheus' own habits under /-/. */
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/serve.h"

#include "metrics/metrics.h"
#include "store/inbox.h"
#include "version.h"

static const char *add_time(struct strbuf *out, const char *name, int64_t utc_ms)
{
    char text[CLOCK_TEXT_MAX];
    strbuf_addf(out, "\"%s\":\"%s\"", name, clock_format(utc_ms, text));
    return name;
}

static bool store_is_up(struct serve *serve)
{
    bool up = store_check(serve->store, NULL);
    metric_set(METRIC_STORE_UP, up);
    return up;
}

/* Live as long as the process serves: a database's outage is a field, for restarting us would not heal it. */
static void show_health(struct http_request *request, void *context)
{
    struct serve *serve = context;
    AUTO(strbuf) struct strbuf body = { 0 };
    strbuf_addf(&body, "{\"status\":\"healthy\",\"model_loaded\":%s,\"store\":\"%s\",",
                metric_value(METRIC_MODEL_LOADED) > 0 ? "true" : "false",
                store_is_up(serve) ? "ok" : "unavailable");
    add_time(&body, "timestamp", clock_utc_ms());
    strbuf_add_text(&body, "}\n");
    http_respond_json(request, 200, strbuf_str(&body));
}

/* 503 exactly when POST /alerts would be. */
static void show_ready(struct http_request *request, void *context)
{
    struct serve *serve = context;
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf body = { 0 };
    bool ready = webhook_is_ready(serve->webhook, &err);
    strbuf_addf(&body, "{\"status\":\"%s\"", ready ? "ready" : "not ready");
    if (!ready) {
        strbuf_add_text(&body, ",\"reason\":");
        strbuf_add_json(&body, str_of(error_message(err)));
    }
    strbuf_add_text(&body, "}\n");
    http_respond(request, &(struct http_response){ .status = ready ? 200 : 503,
                                                   .body = strbuf_str(&body),
                                                   .retry_after_s = ready ? 0 : 5 });
}

static void add_disk(const char *url, struct strbuf *out)
{
    struct statvfs disk;
    if (strncmp(url, "sqlite:", 7) != 0)
        return;
    AUTO(text) char *folder = xstrdup(url + 7);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    if (statvfs(slash && *folder ? folder : slash ? "/" : ".", &disk) == 0)
        strbuf_addf(out, "\"disk\":{\"free_bytes\":%llu,\"total_bytes\":%llu},",
                    (unsigned long long)disk.f_bavail * disk.f_frsize,
                    (unsigned long long)disk.f_blocks * disk.f_frsize);
}

static void add_counts(struct serve *serve, struct strbuf *out)
{
    struct processor_stats stats = { 0 };
    processor_stats(serve->processor, &stats);
    strbuf_addf(
        out,
        "\"counts\":{\"alerts_received\":%.0f,\"alerts_processed\":%lld,\"alerts_filtered\":%lld,\"inbox_waiting\":%lld,"
        "\"incidents_worked\":%lld,\"incidents_failed\":%lld,\"http_requests\":%.0f},"
        "\"workers\":{\"total\":%u,\"busy\":%u},",
        metric_total(METRIC_ALERTS_RECEIVED), (long long)stats.alerts, (long long)stats.filtered,
        (long long)inbox_waiting(serve->store), (long long)stats.incidents_worked, (long long)stats.failed,
        metric_total(METRIC_HTTP_REQUESTS), stats.workers, stats.workers_busy);
}

static void show_status(struct http_request *request, void *context)
{
    struct serve *serve = context;
    AUTO(strbuf) struct strbuf body = { 0 }, metrics = { 0 };
    metrics_write(METRICS_TEXT, &metrics); /* brings the gauges of the process up to date */
    strbuf_addf(&body, "{\"version\":\"%s\",\"commit\":\"%s\",\"pid\":%ld,", VERSION, VERSION_COMMIT,
                (long)getpid());
    add_time(&body, "started_at", serve->started_utc_ms);
    strbuf_addf(&body, ",\"uptime_seconds\":%lld,\"restarts\":%lld,",
                (long long)(clock_mono_ms() - serve->started_mono_ms) / 1000,
                (long long)MAX(serve->starts - 1, (int64_t)0));
    strbuf_addf(&body, "\"store\":{\"status\":\"%s\",\"url\":", store_is_up(serve) ? "ok" : "unavailable");
    strbuf_add_json(&body, str_of(store_url(serve->store)));
    strbuf_add_text(&body, "},");
    add_disk(store_url(serve->store), &body);
    add_counts(serve, &body);
    strbuf_addf(&body, "\"model_loaded\":%s,", metric_value(METRIC_MODEL_LOADED) > 0 ? "true" : "false");
    strbuf_addf(&body, "\"memory\":{\"resident_bytes\":%.0f},\"open_files\":%.0f}\n",
                metric_value(METRIC_PROCESS_MEMORY), metric_value(METRIC_PROCESS_FDS));
    http_respond_json(request, 200, strbuf_str(&body));
}

static void show_metrics(struct http_request *request, void *context)
{
    (void)context;
    enum { WORTH_PACKING = 1024 };
    enum metrics_format format = metrics_negotiate(http_request_header(request, "Accept"));
    AUTO(strbuf) struct strbuf text = { 0 }, packed = { 0 };
    metrics_write(format, &text);
    bool gzip = text.len > WORTH_PACKING &&
                metrics_accepts_gzip(http_request_header(request, "Accept-Encoding")) &&
                metrics_gzip(strbuf_str(&text), &packed);
    const struct http_header headers[] = { { "Vary", "Accept, Accept-Encoding" },
                                           { gzip ? "Content-Encoding" : NULL, "gzip" },
                                           { 0 } };
    http_respond(request, &(struct http_response){ .status = 200,
                                                   .content_type = metrics_content_type(format),
                                                   .body = strbuf_str(gzip ? &packed : &text),
                                                   .headers = headers });
}

static void respond_text(struct http_request *request, unsigned status, const char *text)
{
    http_respond(request, &(struct http_response){ .status = status,
                                                   .content_type = "text/plain; charset=utf-8",
                                                   .body = str_of(text) });
}

static void say_healthy(struct http_request *request, void *context)
{
    (void)context;
    respond_text(request, 200, "prometheus-alerts-slm is healthy.\n");
}

static void say_ready(struct http_request *request, void *context)
{
    struct serve *serve = context;
    bool ready = webhook_is_ready(serve->webhook, NULL);
    respond_text(request, ready ? 200 : 503,
                 ready ? "prometheus-alerts-slm is ready.\n" : "prometheus-alerts-slm is not ready.\n");
}

static void reload(struct http_request *request, void *context)
{
    struct serve *serve = context;
    const struct config *config = config_live_hold(serve->live);
    bool enabled = config->server.reload_endpoint;
    config_live_release(serve->live, config);
    AUTO(error) struct error *err = NULL;
    if (!enabled)
        http_respond_error(request, 403,
                           "reloading by request is off: set server.reload_endpoint, or send SIGHUP");
    else if (!serve_reload(serve, &err))
        http_respond_error(request, 500, "%s", error_message(err));
    else
        http_respond_json(request, 200, STR("{\"status\":\"reloaded\"}\n"));
}

/* What changes something is served beside the API alone: only there is an open scope known to be on loopback. */
static const struct http_route routes[] = {
    { "GET", "/health", HTTP_GROUP_ALL, HTTP_SCOPE_HEALTH, show_health },
    { "GET", "/ready", HTTP_GROUP_ALL, HTTP_SCOPE_HEALTH, show_ready },
    { "GET", "/-/healthy", HTTP_GROUP_ALL, HTTP_SCOPE_HEALTH, say_healthy },
    { "GET", "/-/ready", HTTP_GROUP_ALL, HTTP_SCOPE_HEALTH, say_ready },
    { "GET", "/status", HTTP_GROUP_API | HTTP_GROUP_HEALTH, HTTP_SCOPE_HEALTH, show_status },
    { "GET", "/metrics", HTTP_GROUP_METRICS, HTTP_SCOPE_METRICS, show_metrics },
    { "POST", "/-/reload", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, reload },
    { "PUT", "/-/reload", HTTP_GROUP_API, HTTP_SCOPE_OPERATE, reload },
    { 0 },
};

static void collect(void *context)
{
    struct serve *serve = context;
    struct processor_stats stats = { 0 };
    store_is_up(serve);
    metric_set(METRIC_INBOX_ALERTS, (double)inbox_waiting(serve->store));
    if (serve->processor)
        processor_stats(serve->processor, &stats);
}

bool serve_service_start(struct serve *serve, struct error **err)
{
    (void)err;
    http_server_add(serve->server, routes, serve);
    metric_set(METRIC_BUILD_INFO, 1, VERSION, VERSION_COMMIT);
    metric_set(METRIC_CONFIG_RELOAD_SUCCESSFUL, 1);
    metrics_on_collect(collect, serve);
    return true;
}

void serve_service_stop(struct serve *serve, int64_t deadline_ms)
{
    (void)deadline_ms;
    metrics_off_collect(collect, serve);
}
