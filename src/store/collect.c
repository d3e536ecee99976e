/* Gauges that are asked for when somebody reads the metrics. */
#include <stdlib.h>
#include <sys/stat.h>

#include "metrics/metrics.h"
#include "store/inbox.h"
#include "store/store_internal.h"
#include "store_sql.h"

static void collect_size(const struct store *store)
{
    static const char *const endings[] = { "", "-wal" };
    double size = 0;
    for (size_t i = 0; !store_is_postgres(store) && i < ARRAY_LEN(endings); i++) {
        AUTO(text) char *path = xasprintf("%s%s", store->url + strlen("sqlite:"), endings[i]);
        struct stat file;
        if (stat(path, &file) == 0)
            size += (double)file.st_size;
    }
    if (size > 0)
        metric_set(METRIC_STORE_SIZE, size);
}

static void collect_oldest(struct tx *tx)
{
    int64_t oldest = 0;
    bool found = false;
    if (tx_query_int(tx, &inbox_oldest_sql, NO_VALUES, &oldest, &found, NULL))
        metric_set(METRIC_INBOX_OLDEST_AGE, found ? (double)MAX(0, clock_utc_ms() - oldest) / 1000 : 0);
}

void store_collect(void *context)
{
    struct store *store = context;
    int64_t open = 0;
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, NULL);
    bool up = tx && tx_query_int(tx, &incident_count_open_sql, NO_VALUES, &open, NULL, NULL);
    metric_set(METRIC_STORE_UP, up);
    metric_set(METRIC_INBOX_ALERTS, (double)inbox_waiting(store));
    collect_size(store);
    if (!up)
        return;
    metric_set(METRIC_INCIDENTS_OPEN, (double)open);
    collect_oldest(tx);
}
