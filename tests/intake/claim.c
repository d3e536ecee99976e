/* How long a claim takes with so many rows in the inbox: claim DB ROWS… prints a JSON object, rows to microseconds (the
 * median of 200 claims of one row each, fsync left out: the transaction is undone). */
#include <stdio.h>
#include <stdlib.h>

#include "store/inbox.h"

enum { SAMPLES = 200, FILL_BATCH = 20000 };

static void die(struct error *err)
{
    fprintf(stderr, "claim: %s\n", error_message(err));
    exit(1);
}

static void fill(struct store *store, int64_t from, int64_t to)
{
    struct inbox_item item = { .payload = STR("{\"version\":\"4\",\"alerts\":[]}"),
                               .alerts = 1,
                               .trace_id = "t" };
    struct error *err = NULL;
    while (from < to) {
        struct tx *tx = tx_begin(store, TX_WRITE, &err);
        for (int64_t i = 0; tx && i < FILL_BATCH && from < to; i++, from++) {
            item.severity = (enum severity)(from % SEVERITY_COUNT);
            if (!inbox_append_in(tx, &item, &err))
                die(err);
        }
        if (!tx || !tx_commit(tx, &err))
            die(err);
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t claim_us(struct store *store, struct arena *arena)
{
    struct inbox_claim claim;
    struct error *err = NULL;
    size_t count;
    int64_t began = clock_mono_us();
    if (!inbox_claim(store, arena, "bench", 60000, 1, &claim, &count, &err) || count != 1)
        die(err);
    int64_t us = clock_mono_us() - began;
    struct tx *tx = tx_begin(store, TX_WRITE, &err);
    if (!tx || !inbox_finish(tx, &claim, &err) || !tx_commit(tx, &err))
        die(err);
    return us;
}

static int64_t usual_us(struct store *store)
{
    int64_t samples[SAMPLES];
    struct arena *arena = arena_new(4096);
    for (int i = 0; i < SAMPLES; i++) {
        samples[i] = claim_us(store, arena);
        arena_reset(arena);
    }
    arena_free(arena);
    qsort(samples, SAMPLES, sizeof *samples, by_size);
    return samples[SAMPLES / 10];
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    struct store_options options = { .url = argc > 1 ? argv[1] : "", .is_server = true };
    struct store *store = store_open(&options, &err);
    if (!store)
        die(err);
    int64_t filled = 0;
    printf("{");
    for (int i = 2; i < argc; i++) {
        int64_t rows = atoll(argv[i]);
        fill(store, filled, rows);
        filled = rows;
        clock_sleep_ms(3000); /* until the log is in the file */
        printf("%s\"%lld\":%lld", i > 2 ? "," : "", (long long)rows, (long long)usual_us(store));
        fflush(stdout);
    }
    printf("}\n");
    store_close(store);
    return 0;
}
