#include "tests/store/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "tests/test.h"

const char *fixture_path(struct fixture *fixture, const char *name)
{
    return arena_printf(fixture->arena, "%s/%s", fixture->folder, name);
}

/* Everything gone, as in a new database. */
static void empty_database(const char *url)
{
    PGconn *pg = PQconnectdb(url);
    PGresult *result = PQexec(pg, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", url, PQerrorMessage(pg));
    PQclear(result);
    PQfinish(pg);
}

static void open_store(struct fixture *f)
{
    struct store_options options = { .url = f->url, .is_server = true };
    assert_ok(f->store = store_open(&options, &f->err), f->err);
}

int fixture_setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    *state = f;
    f->arena = arena_new(16 * 1024);
    snprintf(f->folder, sizeof f->folder, "/tmp/store-test-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    const char *url = getenv("STORE_TEST_URL");
    f->url = url ? xstrdup(url) : xasprintf("sqlite:%s/store.db", f->folder);
    if (url)
        empty_database(url);
    f->clock = (struct clock_fake){ .mono_us = 1000000000, .utc_ms = INT64_C(1795000000000) };
    clock_replace(&f->clock);
    open_store(f);
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    clock_replace(NULL);
    AUTO(text) char *command = xasprintf("rm -rf '%s'", f->folder);
    int status = system(command);
    arena_free(f->arena);
    error_free(f->err);
    free(f->url);
    free(f);
    return status;
}

/* PostgreSQL's leases go by the server's clock, which we cannot set: so the leases are moved instead. */
void fixture_advance(struct fixture *f, int64_t ms)
{
    static const char *const tables[] = { "inbox_claims", "jobs", "executions" };
    clock_advance(&f->clock, ms);
    if (!store_is_postgres(f->store))
        return;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        AUTO(text)
        char *sql = xasprintf("UPDATE %s SET lease_until = lease_until - %lld WHERE lease_until > 0",
                              tables[i], (long long)ms);
        assert_ok(tx_exec_script(tx, str_of(sql), &f->err), f->err);
    }
    assert_ok(tx_commit(STEAL(tx), &f->err), f->err);
}

void fixture_reopen(struct fixture *f)
{
    store_close(f->store);
    open_store(f);
}
