/* replicas_tool REPLICAS WAIT_MS ALERTS: how many alerts a second go through claim → record in so many processes of 64
 * workers each, on the store that STORE_TEST_URL names, else SQLite in a temporary folder. WAIT_MS 0: intake alone, as with
 * provider `none`; else every incident waits so long in place of the model, and its decision is kept. Prints a number. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "processor/processor.h"
#include "store/decisions.h"
#include "store/inbox.h"

enum { REPLICAS_MAX = 16, PER_PAYLOAD = 10, POLL_MS = 50 };

static const char *url;

static void must(bool ok, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "replicas_tool: %s\n", error_message(err));
    exit(1);
}

static struct store *open_store(void)
{
    struct error *err = NULL;
    struct store *store = store_open(&(struct store_options){ .url = url, .is_server = true }, &err);
    must(store, err);
    return store;
}

/* Every alert has a target of its own, so it is an incident of its own. */
static void fill(struct store *store, int alerts)
{
    struct error *err = NULL;
    for (int i = 0; i < alerts; i += PER_PAYLOAD) {
        AUTO(strbuf) struct strbuf body = { 0 };
        strbuf_add_text(&body, "{\"version\":\"4\",\"receiver\":\"slm\",\"groupKey\":\"{}\",\"alerts\":[");
        for (int n = i; n < i + PER_PAYLOAD; n++)
            strbuf_addf(&body,
                        "%s{\"status\":\"firing\",\"labels\":{\"alertname\":\"KubePodCrashLooping\","
                        "\"namespace\":\"shop\",\"deployment\":\"web-%d\",\"severity\":\"warning\"}}",
                        n > i ? "," : "", n);
        strbuf_add_text(&body, "]}");
        struct inbox_item item = {
            .payload = strbuf_str(&body), .alerts = PER_PAYLOAD, .severity = SEVERITY_WARNING, .trace_id = "t"
        };
        must(inbox_append(store, &item, &err), err);
    }
}

static bool wait_as_a_model_would(struct processor_work *work, void *context, struct error **err)
{
    (void)work, (void)err;
    clock_sleep_ms(*(int64_t *)context);
    return true;
}

static bool record(struct processor_work *work, void *context, struct error **err)
{
    struct decision_record decision = { .created_at = clock_utc_ms(),
                                        .provider = "none",
                                        .model = "",
                                        .action = "notify_only",
                                        .parameters = "{}",
                                        .reasoning = "\"\"",
                                        .work = work->key };
    (void)context;
    ulid_new(decision.id);
    memcpy(decision.incident_id, work->incident.id, sizeof decision.incident_id);
    AUTO(tx) struct tx *tx = tx_begin(work->store, TX_WRITE, err);
    return tx && processor_work_check(tx, work, err) && decision_insert(tx, &decision, err) &&
           tx_commit(STEAL(tx), err);
}

/* A replica: until the pipe's other end is closed. */
static void serve(int pipe, int64_t wait_ms)
{
    static char *const environment[] = { NULL };
    static const char *const set[] = { "intake.workers=64", NULL };
    static const struct processor_step both[] = { { "decide", wait_as_a_model_would },
                                                  { "record", record },
                                                  { 0 } };
    struct config_options options = { .path = "/dev/null", .set = set, .environment = environment };
    struct error *err = NULL;
    char byte;
    log_configure(LOG_ERROR, LOG_FORMAT_TEXT);
    struct store *store = open_store();
    struct config *config = config_load(&options, &err);
    must(config, err);
    struct config_live *live = config_live_new_take(config, &options);
    struct processor_steps steps = { .steps = both, .context = &wait_ms };
    struct processor *processor = processor_start(store, live, wait_ms ? &steps : NULL);
    (void)!read(pipe, &byte, 1);
    processor_stop(processor);
    config_live_free(live);
    store_close(store);
    _exit(0);
}

static int64_t done(struct store *store)
{
    static const struct str sql = STR("SELECT count(*) FROM incidents WHERE work IN ('none', 'done')");
    struct error *err = NULL;
    int64_t count = 0;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, &err);
    must(tx && tx_query_int(tx, &sql, NO_VALUES, &count, NULL, &err), err);
    return count;
}

/* Alerts a second between the first and the last tenth: starting and running dry are left out. */
static double measure(struct store *store, int alerts)
{
    int64_t first = 0, first_us = 0, now = 0;
    while ((now = done(store)) < alerts / 10 * 9) {
        if (!first && now >= alerts / 10) {
            first = now;
            first_us = clock_mono_us();
        }
        clock_sleep_ms(POLL_MS);
    }
    return (double)(now - first) / ((double)(clock_mono_us() - first_us) / 1e6);
}

int main(int argc, char **argv)
{
    int replicas = argc > 3 ? MIN(atoi(argv[1]), REPLICAS_MAX) : 0, alerts = argc > 3 ? atoi(argv[3]) : 0,
        ends[2];
    char folder[] = "/tmp/bench-replicas-XXXXXX";
    if (replicas < 1 || alerts < 100 || !mkdtemp(folder) || pipe(ends) != 0)
        return 2;
    AUTO(text) char *file_url = xasprintf("sqlite:%s/store.db", folder);
    url = getenv("STORE_TEST_URL") ? getenv("STORE_TEST_URL") : file_url;
    log_configure(LOG_ERROR, LOG_FORMAT_TEXT);
    struct store *store = open_store();
    struct error *err = NULL;
    struct tx *tx = tx_begin(store, TX_WRITE, &err); /* what an earlier run left */
    must(tx &&
             tx_exec_script(tx,
                            STR("DELETE FROM alerts; DELETE FROM incidents; DELETE FROM incident_keys; "
                                "DELETE FROM decisions; DELETE FROM jobs; DELETE FROM inbox"),
                            &err) &&
             tx_commit(tx, &err),
         err);
    fill(store, alerts);
    store_close(store);
    for (int i = 0; i < replicas; i++)
        if (fork() == 0) {
            close(ends[1]);
            serve(ends[0], atoi(argv[2]));
        }
    close(ends[0]);
    store = store_open(&(struct store_options){ .url = url }, &err);
    must(store, err);
    printf("%.1f\n", measure(store, alerts));
    fflush(stdout);
    close(ends[1]);
    while (wait(NULL) > 0)
        ;
    store_close(store);
    AUTO(text) char *command = xasprintf("rm -rf '%s'", folder);
    return system(command);
}
