/* `serve`: the rooms of a running server, in the order in which they start; they stop in the reverse order.
 *
 * To add one: a file serve_NAME.c with its functions, a field for what it holds, and a row in rooms[] in serve.c: before
 * `processor` what hands it steps, before `http` what has routes. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "config/config.h"
#include "http/http.h"
#include "processor/pipeline.h"
#include "processor/processor.h"
#include "store/store.h"
#include "webhook/webhook.h"

struct serve {
    struct config_live *live;    /* locks itself */
    const struct config *config; /* as it was at start; for what a reload does not change */
    struct http_server *server;  /* made first, so that rooms can add routes; started last */
    struct store *store;
    struct webhook *webhook;
    struct processor *processor;
    struct k8s *k8s; /* NULL: no cluster, everything is planned only */
    struct executor *executor;
    struct processor_steps
        steps; /* what the processor does with an incident; rooms set it before it starts */
    struct pipeline_rooms pipeline; /* whom the steps ask */
    struct serve_memory *memory;    /* serve_memory.c's */
    int64_t started_utc_ms, started_mono_ms, starts;
};

struct serve_room {
    const char *name;
    bool (*start)(struct serve *serve, struct error **err);
    void (*stop)(struct serve *serve, int64_t deadline_ms); /* monotonic; may be NULL */
};

/* serve_http.c: the configuration as the server wants it. */
bool serve_http_make(struct serve *serve, struct error **err);
bool serve_http_start(struct serve *serve, struct error **err);
void serve_http_stop(struct serve *serve, int64_t deadline_ms);

/* serve_decisions.c */
bool serve_decisions_start(struct serve *serve, struct error **err);
void serve_decisions_stop(struct serve *serve, int64_t deadline_ms);

/* serve_memory.c */
bool serve_memory_start(struct serve *serve, struct error **err);
void serve_memory_stop(struct serve *serve, int64_t deadline_ms);

/* serve_executor.c */
bool serve_executor_start(struct serve *serve, struct error **err);
void serve_executor_stop(struct serve *serve, int64_t deadline_ms);

/* service.c: /health, /ready, /status, /metrics, /-/…. */
bool serve_service_start(struct serve *serve, struct error **err);
void serve_service_stop(struct serve *serve, int64_t deadline_ms);

/* Load the configuration again, count and log it. From SIGHUP, a changed secret file, or POST /-/reload. */
bool serve_reload(struct serve *serve, struct error **err);

#endif
