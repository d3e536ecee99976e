/* bench_history FOLDER: how long the history context of a prompt takes with 10^3, 10^5 and 10^6 executions in the store
 * that STORE_TEST_URL names, else SQLite in a temporary folder. Writes FOLDER/history.json. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "history/history.h"
#include "store/store.h"

enum { ASKS = 2000, RESOURCES = 500, ALERTS = 50, BATCH = 20000 };
#define GOAL_MS 5.0

static void stop(const struct error *err)
{
    fprintf(stderr, "bench_history: %s\n", error_message(err));
    exit(1);
}
#define MUST(ok)                                                                                             \
    do {                                                                                                     \
        if (!(ok))                                                                                           \
            stop(err);                                                                                       \
    } while (0)

/* Executions of the last 90 days on 500 resources, an incident for every five, all but the newest assessed. */
static void fill(struct store *store, int64_t from, int64_t to)
{
    struct error *err = NULL;
    AUTO(text)
    char *sql = xasprintf(
        "INSERT INTO incidents (id, status, target_key, cluster, namespace, kind, name, rule, title, severity, "
        "severity_rank, opened_at, updated_at) WITH RECURSIVE n(i) AS (SELECT CAST(%lld AS BIGINT) UNION ALL SELECT i "
        "+ 1 FROM n WHERE i < %lld) SELECT 'inc' || i, 'resolved', 'k' || i, '', 'ns-' || (i %% 10), 'Deployment', "
        "'app-' || (i %% %d), 'target', 't', 'warning', 1, %lld - (1000000 - i) * 7776, %lld - (1000000 - i) * 7776 "
        "FROM n WHERE i %% 5 = 0;"
        "INSERT INTO executions (id, incident_id, alert_name, state, action, parameters, cluster, namespace, kind, name, "
        "dry_run, idempotency_key, requested_by, created_at, updated_at, state_before) WITH RECURSIVE n(i) AS (SELECT "
        "CAST(%lld AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %lld) SELECT 'exe' || i, 'inc' || (i - i %% 5), "
        "'Alert' || (i %% %d), 'completed', CASE i %% 3 WHEN 0 THEN 'restart_pod' WHEN 1 THEN 'scale_deployment' ELSE "
        "'increase_resources' END, '{\"replicas\":3}', '', 'ns-' || (i %% 10), 'Deployment', 'app-' || (i %% %d), "
        "'off', 'key' || i, 'bench', %lld - (1000000 - i) * 7776, 0, '[]' FROM n;"
        "INSERT INTO assessments (id, execution_id, state, due_at, assessed_at, score, confidence) WITH RECURSIVE n(i) "
        "AS (SELECT CAST(%lld AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %lld) SELECT 'ass' || i, 'exe' || i, "
        "'done', 0, 1, 0.5, 1 FROM n;",
        (long long)from, (long long)to, RESOURCES, (long long)clock_utc_ms(), (long long)clock_utc_ms(),
        (long long)from, (long long)to, ALERTS, RESOURCES, (long long)clock_utc_ms(), (long long)from,
        (long long)to);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, &err);
    MUST(tx && tx_exec_script(tx, str_of(sql), &err) && tx_commit(STEAL(tx), &err));
}

static void learn(struct store *store)
{
    struct error *err = NULL;
    static const char sql[] =
        "INSERT INTO success_rates (alert_name, kind, namespace, action, helped, tried, cases, "
        "as_of) SELECT DISTINCT alert_name, '', '', action, 1.0, 2.0, 2, 1 FROM executions "
        "WHERE true ON CONFLICT DO NOTHING";
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, &err);
    MUST(tx && tx_exec_script(tx, STR(sql), &err) && tx_commit(STEAL(tx), &err));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct figure {
    int64_t rows;
    double p50, p99;
};

static void measure(struct store *store, const struct config *config, struct figure *figure)
{
    static double took[ASKS];
    struct rng rng = { 1 };
    struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(256 * 1024);
    for (int i = 0; i < ASKS; i++) {
        char name[32], namespace[32], alert[32];
        int resource = (int)rng_below(&rng, RESOURCES);
        snprintf(name, sizeof name, "app-%d", resource);
        snprintf(namespace, sizeof namespace, "ns-%d", resource % 10);
        snprintf(alert, sizeof alert, "Alert%d", (int)rng_below(&rng, ALERTS));
        struct history_question question = { .target = { "", namespace, "Deployment", name },
                                             .alert_name = alert };
        struct history_context context;
        int64_t began = clock_mono_us();
        MUST(history_context(store, arena, config, &question, &context, &err));
        took[i] = (double)(clock_mono_us() - began) / 1000;
        arena_reset(arena);
    }
    qsort(took, ASKS, sizeof *took, by_value);
    figure->p50 = took[ASKS / 2];
    figure->p99 = took[ASKS * 99 / 100];
    printf("%8lld executions: %.2f ms median, %.2f ms p99\n", (long long)figure->rows, figure->p50,
           figure->p99);
}

static void write_result(const char *folder, const struct figure *figures, size_t count)
{
    AUTO(text) char *path = xasprintf("%s/history.json", folder);
    char date[CLOCK_TEXT_MAX];
    FILE *file = fopen(path, "we");
    if (!file)
        return;
    fprintf(file, "{\"name\":\"history\",\"date\":\"%s\",\"machine\":{\"cores\":%ld},\"figures\":[",
            clock_format(clock_utc_ms(), date), sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 0; i < count; i++)
        fprintf(
            file,
            "%s{\"name\":\"history context, p99, %lld executions\",\"value\":%.3f,\"unit\":\"ms\",\"goal\":%g,"
            "\"met\":%s}",
            i ? "," : "", (long long)figures[i].rows, figures[i].p99, GOAL_MS,
            figures[i].p99 <= GOAL_MS ? "true" : "false");
    fprintf(file, "]}\n");
    fclose(file);
}

int main(int argc, char **argv)
{
    static char *const none[] = { NULL };
    struct figure figures[] = { { .rows = 1000 }, { .rows = 100000 }, { .rows = 1000000 } };
    struct error *err = NULL;
    char folder[] = "/tmp/bench-history-XXXXXX";
    if (!mkdtemp(folder))
        return 1;
    AUTO(text) char *file_url = xasprintf("sqlite:%s/store.db", folder);
    const char *url = getenv("STORE_TEST_URL");
    struct store_options options = { .url = url ? url : file_url, .is_server = true };
    AUTO(store) struct store *store = store_open(&options, &err);
    MUST(store);
    AUTO(config)
    struct config *config =
        config_load(&(struct config_options){ .path = "/dev/null", .environment = none }, &err);
    MUST(config);
    int64_t have = 0;
    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        for (; have < figures[i].rows; have = MIN(have + BATCH, figures[i].rows))
            fill(store, have + 1, MIN(have + BATCH, figures[i].rows));
        learn(store);
        measure(store, config, &figures[i]);
    }
    write_result(argc > 1 ? argv[1] : ".", figures, ARRAY_LEN(figures));
    AUTO(text) char *command = xasprintf("rm -rf '%s'", folder);
    bool met = figures[ARRAY_LEN(figures) - 1].p99 <= GOAL_MS;
    return system(command) == 0 && met ? 0 : 1;
}
