/* The past as JSON lines. The first line says what it is; each further line is a row, the last counts them:
 *
 *     {"format":"prometheus-alerts-slm history","version":1,"exported_at":"…"}
 *     {"table":"incidents","row":{…},"chain":"5f2c…"}
 *     {"end":true,"rows":123,"chain":"…"}
 *
 * `chain` is the hash of the line up to it and of the chain of the line before, so that a changed, missing or moved line
 * is found out, and named. It is no signature: who wants to can make a new chain. */
#include "history/history_internal.h"

#include "history/export.h"

#include <errno.h>

void chain_next(char chain[SHA256_HEX_LEN + 1], struct str line)
{
    struct sha256 *hash = sha256_new();
    sha256_add(hash, str_of(chain));
    sha256_add(hash, line);
    sha256_end(hash, chain);
}

static bool put_line(FILE *file, struct strbuf *line, char chain[SHA256_HEX_LEN + 1], struct error **err)
{
    chain_next(chain, strbuf_str(line));
    strbuf_addf(line, CHAIN_BEGIN "%s\"}\n", chain);
    if (fwrite(line->ptr, 1, line->len, file) != line->len)
        return error_errno(err, errno, "write the export");
    return true;
}

/* Rows are read in the order of the key, so that two exports of one store are the same. */
static bool export_table(struct tx *tx, const struct table *table, FILE *file, char chain[SHA256_HEX_LEN + 1],
                         int64_t *count, struct error **err)
{
    AUTO(strbuf) struct strbuf line = { 0 };
    struct list_query query = { .select = table_select(table), .order = table->key };
    AUTO(rows) struct rows *rows = list_run(tx, &query, 0, err);
    bool more = rows != NULL;
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        strbuf_clear(&line);
        strbuf_addf(&line, "{\"table\":\"%s\",\"row\":", table->name);
        table_row_export(table, rows, &line);
        if (!put_line(file, &line, chain, err))
            return false;
        ++*count;
    }
    return false;
}

bool history_export(struct store *store, FILE *file, int64_t *rows, struct error **err)
{
    char chain[SHA256_HEX_LEN + 1] = "", time[CLOCK_TEXT_MAX];
    AUTO(strbuf) struct strbuf line = { 0 };
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err); /* one moment of the store */
    *rows = 0;
    if (!tx)
        return false;
    strbuf_addf(&line, "{\"format\":\"" EXPORT_FORMAT "\",\"version\":%d,\"exported_at\":\"%s\"",
                EXPORT_VERSION, clock_format(clock_utc_ms(), time));
    if (!put_line(file, &line, chain, err))
        return false;
    for (const struct table *const *table = history_tables; *table; table++)
        if (!export_table(tx, *table, file, chain, rows, err))
            return error_wrap(err, "export %s", (*table)->name);
    strbuf_clear(&line);
    strbuf_addf(&line, "{\"end\":true,\"rows\":%lld", (long long)*rows);
    if (!put_line(file, &line, chain, err))
        return false;
    return fflush(file) == 0 || error_errno(err, errno, "write the export");
}
