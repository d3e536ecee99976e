/* serve: start the rooms, wait for signals, stop the rooms. */
#include "cli/serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/api.h"
#include "cli/cli_internal.h"
#include "metrics/metrics.h"
#include "store/settings.h"
#include "version.h"

enum { LOOK_S = 5, FDS_WANTED = 65536 };

/* --- rooms */

static bool count_start(struct store *store, int64_t *starts, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    AUTO(arena) struct arena *arena = arena_new(1024);
    struct str text = { 0 };
    char number[24];
    bool found;
    if (!tx || !setting_get(tx, arena, "starts", &text, &found, err))
        return false;
    if (!found || !str_to_i64(text, starts))
        *starts = 0;
    snprintf(number, sizeof number, "%lld", (long long)++*starts);
    return setting_set(tx, "starts", str_of(number), err) && tx_commit(STEAL(tx), err);
}

static bool open_store(struct serve *serve, struct error **err)
{
    const struct config *config = serve->config;
    serve->store =
        store_open(&(struct store_options){ .url = config->store.url,
                                            .password = config->database.password,
                                            .ssl_mode = config->database.ssl_mode,
                                            .connections = (size_t)config->database.max_connections,
                                            .is_server = true },
                   err);
    return serve->store && count_start(serve->store, &serve->starts, err);
}

static void close_store(struct serve *serve, int64_t deadline_ms)
{
    (void)deadline_ms;
    store_close(serve->store);
}

static void alerts_accepted(void *context)
{
    struct serve *serve = context;
    if (serve->processor)
        processor_wake(serve->processor);
}

static bool open_webhook(struct serve *serve, struct error **err)
{
    (void)err;
    serve->webhook = webhook_new(&(struct webhook_options){ .store = serve->store,
                                                            .config = serve->live,
                                                            .path = serve->config->webhook.path,
                                                            .accepted = alerts_accepted,
                                                            .context = serve });
    webhook_add_to(serve->webhook, serve->server);
    return true;
}

static void close_webhook(struct serve *serve, int64_t deadline_ms)
{
    (void)deadline_ms;
    webhook_free(serve->webhook);
}

static bool open_api(struct serve *serve, struct error **err)
{
    (void)err;
    api_add_to(serve->server, serve->store);
    return true;
}

static bool start_processor(struct serve *serve, struct error **err)
{
    (void)err;
    serve->processor = processor_start(serve->store, serve->live, serve->steps.steps ? &serve->steps : NULL);
    return true;
}

static void stop_processor(struct serve *serve, int64_t deadline_ms)
{
    (void)deadline_ms;
    processor_stop(serve->processor);
}

static const struct serve_room rooms[] = {
    { "store", open_store, close_store },
    { "webhook", open_webhook, close_webhook },
    { "api", open_api, NULL },
    { "service", serve_service_start, serve_service_stop },
    { "executor", serve_executor_start, serve_executor_stop },
    { "decisions", serve_decisions_start, serve_decisions_stop },
    { "memory", serve_memory_start, serve_memory_stop },
    { "processor", start_processor, stop_processor },
    { "http", serve_http_start, serve_http_stop },
};

/* --- start and stop */

static void stop_rooms(struct serve *serve, size_t started, int64_t deadline_ms)
{
    while (started--)
        if (rooms[started].stop)
            rooms[started].stop(serve, deadline_ms);
}

static bool start_rooms(struct serve *serve, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
        if (rooms[i].start(serve, err))
            continue;
        error_wrap(err, "%s", rooms[i].name);
        stop_rooms(serve, i, clock_mono_ms());
        return false;
    }
    return true;
}

/* Many connections need many files: take what the system allows without asking for more. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FDS_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? FDS_WANTED : MIN(limit.rlim_max, (rlim_t)FDS_WANTED);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static sigset_t handled_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

bool serve_reload(struct serve *serve, struct error **err)
{
    bool ok = config_live_reload(serve->live, err);
    metric_inc(METRIC_CONFIG_RELOADS, ok ? "success" : "error");
    metric_set(METRIC_CONFIG_RELOAD_SUCCESSFUL, ok);
    if (ok)
        log_info("configuration read again");
    else
        log_error("the configuration is not good, the old one stays",
                  KV("error", err ? error_message(*err) : ""));
    return ok;
}

static void reload_quietly(struct serve *serve)
{
    AUTO(error) struct error *err = NULL;
    serve_reload(serve, &err);
}

static void look_at_secrets(struct serve *serve)
{
    const struct config *config = config_live_hold(serve->live);
    bool changed = config_secret_files_changed(config);
    config_live_release(serve->live, config);
    if (changed)
        reload_quietly(serve);
}

static void wait_for_end(struct serve *serve)
{
    sigset_t set = handled_signals();
    for (;;) {
        int number = sigtimedwait(&set, NULL, &(struct timespec){ .tv_sec = LOOK_S });
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number == SIGHUP)
            reload_quietly(serve);
        else if (number < 0 && errno == EAGAIN)
            look_at_secrets(serve);
    }
}

/* A step that does not end in time is left where it is: all state is in the store, and the next start goes on from there. */
static void *end_at_deadline(void *deadline_ms)
{
    clock_sleep_ms((intptr_t)deadline_ms - clock_mono_ms());
    log_warn("the end did not come within server.shutdown_timeout; ending now");
    _exit(CLI_OK);
}

static void stop_serving(struct serve *serve)
{
    const struct config *config = config_live_hold(serve->live);
    int64_t timeout = config->server.shutdown_timeout_ms, deadline = clock_mono_ms() + timeout;
    config_live_release(serve->live, config);
    log_info("stopping", KV_INT("at_most_ms", timeout));
    pthread_t watch;
    if (pthread_create(&watch, NULL, end_at_deadline, (void *)(intptr_t)deadline) == 0)
        pthread_detach(watch);
    sigset_t set = handled_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* a second one ends at once */
    stop_rooms(serve, ARRAY_LEN(rooms), deadline - timeout / 10);
    log_info("stopped");
}

static void logging_changed(const struct config *before, const struct config *now, void *context)
{
    (void)before, (void)context;
    log_configure((enum log_level)now->logging.level, (enum log_format)now->logging.format);
}

static int serve(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    struct serve serve = { .started_utc_ms = clock_utc_ms(), .started_mono_ms = clock_mono_ms() };
    struct config_options options = cli_config_options(cli);
    struct config *config = config_load(&options, &err);
    if (!config)
        return cli_fail(&err);
    log_configure((enum log_level)config->logging.level, (enum log_format)config->logging.format);
    raise_file_limit();
    sigset_t set = handled_signals();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_DFL);                /* a shell has its background jobs ignore it */
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the first thread, which inherits it */
    AUTO(config_live) struct config_live *live = config_live_new_take(config, &options);
    serve.live = live;
    serve.config = config_live_hold(live);
    config_live_listen(live, logging_changed, NULL);
    log_info("starting", KV("version", VERSION), KV("commit", VERSION_COMMIT),
             KV("config", config_path(config)));
    bool ok = serve_http_make(&serve, &err) && start_rooms(&serve, &err);
    if (ok) {
        wait_for_end(&serve);
        stop_serving(&serve);
    }
    http_server_free(serve.server);
    config_live_release(live, serve.config);
    return ok ? CLI_OK : cli_fail(&err);
}

static const char *const dry_runs[] = { "plan", "server", "off", NULL };
static const struct cli_flag flags[] = {
    { "dry-run", 0, "MODE", "plan, server or off, in place of actions.dry_run", dry_runs,
      .sets = "actions.dry_run" },
    { 0 },
};

const struct cli_command cli_serve[] = {
    { "serve", "", "accept alerts and work on them", serve, .flags = flags,
      .details =
          "SIGTERM and SIGINT stop it within server.shutdown_timeout, SIGHUP reads the configuration again." },
    { 0 },
};
