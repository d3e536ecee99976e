/* What can happen to a PostgreSQL server and to a connection: each time a clear error or a wait, nothing accepted lost, and
 * service again without a restart of ours. SERVER names server.sh, which starts servers of this test's own. */
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/inbox.h"

#define SOON_MS 8000

struct scene {
    char folder[64];
    struct store *store;
    struct error *err;
    int64_t accepted;
    bool has_standby;
};

static int server(const char *format, ...)
{
    va_list arguments;
    char words[256];
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    AUTO(text) char *command = xasprintf("'%s' %s", getenv("SERVER"), words);
    return system(command);
}

static void open_store(struct scene *s, const char *hosts, const char *more)
{
    AUTO(text) char *url = xasprintf("postgresql://alerts@/postgres?host=%s%s", hosts, more);
    struct store_options options = { .url = url, .is_server = true };
    assert_ok(s->store = store_open(&options, &s->err), s->err);
}

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);
    *state = s;
    snprintf(s->folder, sizeof s->folder, "/tmp/postgres-faults-XXXXXX");
    if (!mkdtemp(s->folder) || chmod(s->folder, 0755) != 0 || server("init %s/a", s->folder) != 0 ||
        server("start %s/a", s->folder) != 0)
        return -1;
    AUTO(text) char *host = xasprintf("%s/a", s->folder);
    open_store(s, host, "");
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    server("thaw %s/a 2>/dev/null", s->folder);
    store_close(s->store);
    server("stop %s/a immediate", s->folder);
    if (s->has_standby)
        server("stop %s/b immediate", s->folder);
    AUTO(text) char *command = xasprintf("rm -rf '%s'", s->folder);
    error_free(s->err);
    int status = system(command);
    free(s);
    return status;
}

static bool append(struct scene *s)
{
    struct inbox_item item = { .payload = STR("{\"version\":\"4\"}"), .alerts = 1, .trace_id = "t" };
    bool ok = inbox_append(s->store, &item, &s->err);
    s->accepted += ok;
    return ok;
}

static bool becomes(struct scene *s, bool whole, int64_t within_ms)
{
    int64_t until = clock_mono_ms() + within_ms;
    while (clock_mono_ms() < until) {
        error_clear(&s->err);
        if (store_check(s->store, &s->err) == whole)
            return true;
        clock_sleep_ms(20);
    }
    return false;
}

static bool run(struct scene *s, const char *sql)
{
    AUTO(tx) struct tx *tx = tx_begin(s->store, TX_WRITE, &s->err);
    return tx && tx_exec_script(tx, str_of(sql), &s->err) && tx_commit(STEAL(tx), &s->err);
}

/* What was answered with yes is there: every row of it. */
static void nothing_is_lost(struct scene *s)
{
    error_clear(&s->err);
    assert_ok(inbox_recount(s->store, &s->err), s->err);
    assert_int_equal(inbox_waiting(s->store), s->accepted);
}

static void a_server_that_is_gone_is_said_and_served_again_when_it_is_back(void **state)
{
    struct scene *s = *state;
    assert_ok(append(s), s->err);
    assert_int_equal(server("stop %s/a immediate", s->folder), 0);
    assert_fails(append(s), s->err, ERROR_UNAVAILABLE, "PostgreSQL");
    assert_true(becomes(s, false, 2000));
    assert_true(error_code(s->err) == ERROR_UNAVAILABLE);
    assert_int_equal(server("start %s/a", s->folder), 0);
    assert_true(becomes(s, true, SOON_MS));
    assert_ok(append(s), s->err);
    nothing_is_lost(s);
}

static void *append_alone(void *context)
{
    append(context);
    return NULL;
}

static void a_server_that_hangs_is_said_and_what_waits_is_done_when_it_goes_on(void **state)
{
    struct scene *s = *state, other = *s;
    pthread_t thread;
    assert_ok(append(s), s->err);
    assert_int_equal(server("freeze %s/a", s->folder), 0);
    pthread_create(&thread, NULL, append_alone, &other);
    assert_true(becomes(s, false, SOON_MS));
    assert_non_null(strstr(error_message(s->err), "has not answered for"));
    assert_int_equal(server("thaw %s/a", s->folder), 0);
    pthread_join(thread, NULL);
    s->accepted += other.accepted;
    error_free(other.err);
    assert_true(becomes(s, true, SOON_MS));
    assert_ok(append(s), s->err);
    nothing_is_lost(s);
}

static void a_lock_of_somebody_else_means_later(void **state)
{
    struct scene *s = *state, other = { 0 };
    AUTO(text) char *host = xasprintf("%s/a", s->folder);
    open_store(&other, host, "&options=-c%20lock_timeout%3D300ms");
    AUTO(tx) struct tx *tx = tx_begin(s->store, TX_WRITE, &s->err);
    assert_ok(tx && tx_exec_script(tx, STR("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"), &s->err), s->err);
    int64_t began = clock_mono_ms();
    assert_fails(append(&other), other.err, ERROR_UNAVAILABLE, "lock timeout");
    assert_in_range(clock_mono_ms() - began, 200, 3000);
    assert_ok(tx_commit(STEAL(tx), &s->err), s->err);
    assert_ok(append(&other), other.err);
    store_close(other.store);
}

static void a_read_only_server_is_said_and_written_to_when_it_no_longer_is(void **state)
{
    struct scene *s = *state;
    assert_ok(append(s), s->err);
    assert_ok(run(s, "ALTER DATABASE postgres SET default_transaction_read_only = on"), s->err);
    assert_ok(run(s, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), s->err);
    for (int i = 0; i < 3; i++) {
        assert_false(append(s)); /* on the old connection, and on new ones */
        assert_int_equal(error_code(s->err), ERROR_UNAVAILABLE);
        assert_non_null(strstr(error_message(s->err), "read-only"));
        error_clear(&s->err);
        assert_true(run(s, "SELECT pg_terminate_backend(pg_backend_pid())") == false);
        error_clear(&s->err);
    }
    AUTO(text)
    char *command =
        xasprintf("psql -qh '%s/a' -U alerts postgres -c 'SET default_transaction_read_only = off' "
                  "-c 'ALTER DATABASE postgres RESET default_transaction_read_only'",
                  s->folder);
    assert_int_equal(system(command), 0);
    assert_true(becomes(s, true, SOON_MS));
    assert_ok(append(s), s->err);
    nothing_is_lost(s);
}

/* The URL names both; the second is in recovery, so the first is used. Then the first is gone and the second promoted. */
static void a_failover_to_another_address_is_followed(void **state)
{
    struct scene *s = *state;
    store_close(STEAL(s->store));
    assert_int_equal(server("standby %s/b %s/a", s->folder, s->folder), 0);
    s->has_standby = true;
    AUTO(text) char *standby = xasprintf("%s/b", s->folder);
    AUTO(text) char *only = xasprintf("postgresql://alerts@/postgres?host=%s", standby);
    AUTO(text) char *both = xasprintf("%s/b,%s/a", s->folder, s->folder);
    struct store_options options = { .url = only, .is_server = true };
    assert_fails(store_open(&options, &s->err), s->err, ERROR_UNAVAILABLE, "read-only");
    open_store(s, both, "");
    for (int i = 0; i < 20; i++)
        assert_ok(append(s), s->err);
    assert_int_equal(server("stop %s/a fast", s->folder), 0);
    assert_fails(append(s), s->err, ERROR_UNAVAILABLE, "PostgreSQL");
    assert_true(becomes(s, false, 2000));
    assert_int_equal(server("promote %s/b", s->folder), 0);
    assert_true(becomes(s, true, SOON_MS));
    assert_ok(append(s), s->err);
    nothing_is_lost(s);
}

static void a_connection_reset_in_a_transaction_undoes_it_and_no_other(void **state)
{
    struct scene *s = *state;
    assert_ok(append(s), s->err);
    AUTO(tx) struct tx *tx = tx_begin(s->store, TX_WRITE, &s->err);
    struct inbox_item item = { .payload = STR("{}"), .alerts = 1, .trace_id = "t" };
    assert_ok(tx && inbox_append_in(tx, &item, &s->err), s->err);
    assert_false(tx_exec_script(tx, STR("SELECT pg_terminate_backend(pg_backend_pid())"), &s->err));
    assert_int_equal(error_code(s->err), ERROR_UNAVAILABLE);
    error_clear(&s->err);
    assert_false(tx_commit(STEAL(tx), &s->err));
    error_clear(&s->err);
    assert_ok(append(s), s->err);
    nothing_is_lost(s);
}

static void a_serialization_failure_may_be_tried_again(void **state)
{
    struct scene *s = *state;
    assert_false(
        run(s, "DO $$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$"));
    assert_true(error_is_retryable(s->err));
    assert_fails(false, s->err, ERROR_UNAVAILABLE, "could not serialize");
    assert_ok(append(s), s->err);
}

struct locker {
    struct scene scene;
    const char *first, *second;
    pthread_barrier_t *both;
    bool ok;
    pthread_t thread;
};

static void *lock_two(void *context)
{
    struct locker *l = context;
    AUTO(tx) struct tx *tx = tx_begin(l->scene.store, TX_WRITE, &l->scene.err);
    l->ok = tx && tx_exec_script(tx, str_of(l->first), &l->scene.err);
    pthread_barrier_wait(l->both);
    l->ok =
        l->ok && tx_exec_script(tx, str_of(l->second), &l->scene.err) && tx_commit(STEAL(tx), &l->scene.err);
    return NULL;
}

static void of_a_deadlock_one_goes_on_and_the_other_may_try_again(void **state)
{
    struct scene *s = *state;
    static const char one[] = "SELECT 1 FROM settings WHERE name = 'one' FOR UPDATE",
                      two[] = "SELECT 1 FROM settings WHERE name = 'two' FOR UPDATE";
    pthread_barrier_t both;
    pthread_barrier_init(&both, NULL, 2);
    struct locker lockers[] = {
        { .scene = { .store = s->store }, .first = one, .second = two, .both = &both },
        { .scene = { .store = s->store }, .first = two, .second = one, .both = &both }
    };
    assert_ok(run(s, "INSERT INTO settings VALUES ('one', '', 0), ('two', '', 0)"), s->err);
    for (size_t i = 0; i < 2; i++)
        pthread_create(&lockers[i].thread, NULL, lock_two, &lockers[i]);
    for (size_t i = 0; i < 2; i++)
        pthread_join(lockers[i].thread, NULL);
    assert_int_equal(lockers[0].ok + lockers[1].ok, 1);
    struct locker *loser = &lockers[lockers[0].ok ? 1 : 0];
    assert_fails(loser->ok, loser->scene.err, ERROR_UNAVAILABLE, "deadlock");
    pthread_barrier_destroy(&both);
}

/* Its tables on a file system of 64 MiB, in a mount namespace of our own; its log has room. */
static void a_full_disk_is_said_and_written_to_when_there_is_room(void **state)
{
    struct scene *s = *state;
    AUTO(text) char *disk = xasprintf("%s/a/data", s->folder);
    AUTO(text) char *filler = xasprintf("%s/filler", disk);
    AUTO(text) char *keep = xasprintf("cp -a '%s' '%s.kept'", disk, disk);
    AUTO(text) char *back = xasprintf("cp -a '%s.kept/.' '%s'", disk, disk);
    AUTO(text) char *fill = xasprintf("head -c 100000000 /dev/zero >'%s' 2>/dev/null", filler);
    AUTO(text) char *host = xasprintf("%s/a", s->folder);
    store_close(STEAL(s->store));
    assert_int_equal(server("stop %s/a fast", s->folder), 0);
    assert_int_equal(system(keep), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", disk, "tmpfs", 0, "size=64m,mode=0700") != 0)
        skip();
    assert_int_equal(system(back), 0);
    assert_int_equal(server("start %s/a", s->folder), 0);
    open_store(s, host, "");
    assert_ok(append(s), s->err);
    (void)!system(fill);
    for (int i = 0; i < 3000 && append(s); i++)
        ;
    assert_int_equal(error_code(s->err), ERROR_UNAVAILABLE);
    assert_non_null(strstr(error_message(s->err), "disk is full"));
    error_clear(&s->err);
    assert_int_equal(unlink(filler), 0);
    assert_ok(append(s), s->err);
    nothing_is_lost(s);
    store_close(STEAL(s->store));
    assert_int_equal(server("stop %s/a immediate", s->folder), 0);
    assert_int_equal(umount(disk), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_server_that_is_gone_is_said_and_served_again_when_it_is_back),
        TEST(a_server_that_hangs_is_said_and_what_waits_is_done_when_it_goes_on),
        TEST(a_lock_of_somebody_else_means_later),
        TEST(a_read_only_server_is_said_and_written_to_when_it_no_longer_is),
        TEST(a_failover_to_another_address_is_followed),
        TEST(a_connection_reset_in_a_transaction_undoes_it_and_no_other),
        TEST(a_serialization_failure_may_be_tried_again),
        TEST(of_a_deadlock_one_goes_on_and_the_other_may_try_again),
        TEST(a_full_disk_is_said_and_written_to_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
