/* What can happen to a SQLite file: each time a clear error, nothing accepted lost, and normal service afterwards. */
#include "tests/test.h"

#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/inbox.h"
#include "tests/store/fixture.h"

static bool append(struct fixture *f)
{
    struct inbox_item item = { .payload = STR("{\"version\":\"4\"}"), .alerts = 1, .trace_id = "t" };
    return inbox_append(f->store, &item, &f->err);
}

static int setup(void **state)
{
    int status = fixture_setup(state);
    clock_replace(NULL); /* these wait for real */
    return status;
}

static bool becomes(struct fixture *f, bool whole, int64_t within_ms)
{
    int64_t until = clock_mono_ms() + within_ms;
    while (clock_mono_ms() < until) {
        error_clear(&f->err);
        if (store_check(f->store, &f->err) == whole)
            return true;
        clock_sleep_ms(20);
    }
    return false;
}

static int64_t count_rows(struct fixture *f)
{
    assert_ok(inbox_recount(f->store, &f->err), f->err);
    return inbox_waiting(f->store);
}

static void a_deleted_file_is_written_anew_with_all_that_was_accepted(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        assert_ok(append(f), f->err);
    AUTO(text)
    char *command =
        xasprintf("rm -f '%s'/store.db '%s'/store.db-wal '%s'/store.db-shm", f->folder, f->folder, f->folder);
    assert_int_equal(system(command), 0);
    int64_t until = clock_mono_ms() + 3000;
    const char *path = fixture_path(f, "store.db");
    while (!file_exists(path) && clock_mono_ms() < until)
        clock_sleep_ms(20);
    assert_true(file_exists(path));
    assert_true(becomes(f, true, 2000));
    assert_ok(append(f), f->err);
    assert_int_equal(count_rows(f), 21);
    fixture_reopen(f);
    assert_int_equal(count_rows(f), 21);
}

static void overwrite(const char *path, off_t at, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    AUTO(text) char *noise = xmalloc(len);
    rand_bytes(noise, len);
    assert_int_equal(pwrite(fd, noise, len, at), len);
    close(fd);
}

static void a_damaged_file_is_noticed_and_one_put_in_its_place_is_served(void **state)
{
    struct fixture *f = *state;
    const char *path = fixture_path(f, "store.db"), *copy = fixture_path(f, "copy.db");
    assert_ok(append(f), f->err);
    fixture_reopen(f); /* so that the file holds it, not only the log */
    clock_replace(NULL);
    AUTO(text) char *keep = xasprintf("cp '%s' '%s'", path, copy);
    assert_int_equal(system(keep), 0);
    overwrite(path, 0, 8192);
    assert_true(becomes(f, false, 1000));
    assert_fails(append(f), f->err, ERROR_CORRUPT, "store.db");
    assert_int_equal(rename(copy, path), 0);
    assert_true(becomes(f, true, 2000));
    assert_int_equal(count_rows(f), 1);
    assert_ok(append(f), f->err);
}

static void a_damaged_file_is_refused_at_the_start_with_advice(void **state)
{
    struct fixture *f = *state;
    store_close(STEAL(f->store));
    overwrite(fixture_path(f, "store.db"), 0, 4096);
    struct store_options options = { .url = f->url, .is_server = true };
    assert_fails(store_open(&options, &f->err), f->err, ERROR_CORRUPT, "history salvage");
}

/* Pages from the middle of the file on are noise: what lies before and after them comes back. */
static void what_can_be_read_of_a_damaged_file_is_salvaged_while_the_server_waits(void **state)
{
    struct fixture *f = *state;
    AUTO(strbuf) struct strbuf payload = { 0 };
    const char *path = fixture_path(f, "store.db");
    struct store_salvage result;
    strbuf_add_text(&payload, "{\"version\":\"4\",\"pad\":\"");
    for (int i = 0; i < 3000; i++)
        strbuf_add_char(&payload, 'x');
    strbuf_add_text(&payload, "\"}");
    struct inbox_item item = { .payload = strbuf_str(&payload), .alerts = 1, .trace_id = "t" };
    for (int i = 0; i < 300; i++)
        assert_ok(inbox_append(f->store, &item, &f->err), f->err);
    fixture_reopen(f);
    clock_replace(NULL);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    overwrite(path, file.st_size / 2 / 4096 * 4096, 3 * 4096);
    assert_true(becomes(f, false, 1500));
    assert_ok(store_salvage(f->url, &result, &f->err), f->err);
    assert_true(file_exists(result.kept_as));
    assert_true(result.rows >= 290);
    assert_int_equal(result.tables_damaged, 1);
    free(result.kept_as);
    assert_true(becomes(f, true, 3000));
    assert_true(count_rows(f) >= 290);
    assert_ok(append(f), f->err);
}

static void a_lock_of_another_process_means_later_and_not_never(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other;
    assert_int_equal(sqlite3_open(fixture_path(f, "store.db"), &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t began = clock_mono_ms();
    assert_fails(append(f), f->err, ERROR_UNAVAILABLE, "locked");
    assert_true(clock_mono_ms() - began < 2000);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_ok(append(f), f->err);
}

static void a_second_server_on_the_same_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store_options options = { .url = f->url, .is_server = true };
    assert_fails(store_open(&options, &f->err), f->err, ERROR_CONFLICT, "served by another process");
}

static void a_command_reads_and_writes_beside_the_server(void **state)
{
    struct fixture *f = *state;
    struct store_options options = { .url = f->url };
    AUTO(store) struct store *command = store_open(&options, &f->err);
    assert_ok(command, f->err);
    assert_ok(append(f), f->err);
    AUTO(tx) struct tx *tx = tx_begin(command, TX_WRITE, &f->err);
    assert_ok(tx && tx_exec_script(tx, STR("UPDATE inbox SET alerts = 7"), &f->err) &&
                  tx_commit(STEAL(tx), &f->err),
              f->err);
    assert_int_equal(count_rows(f), 7);
}

static void a_command_without_a_store_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    AUTO(text) char *url = xasprintf("sqlite:%s/none.db", f->folder);
    assert_fails(store_open(&(struct store_options){ .url = url }, &f->err), f->err, ERROR_NOT_FOUND,
                 "start `serve` first");
}

/* On a file system of 2 MiB, in a mount namespace of our own. */
static void fill_disk(struct fixture *f)
{
    AUTO(text) char *path = xasprintf("%s/disk", f->folder);
    AUTO(text) char *url = xasprintf("sqlite:%s/disk/store.db", f->folder);
    AUTO(text) char *filler = xasprintf("%s/disk/filler", f->folder);
    AUTO(text) char *fill = xasprintf("head -c 100000000 /dev/zero >'%s' 2>/dev/null", filler);
    store_close(STEAL(f->store));
    assert_int_equal(mkdir(path, 0700), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", 0, "size=2m") != 0)
        skip();
    assert_ok(f->store = store_open(&(struct store_options){ .url = url, .is_server = true }, &f->err),
              f->err);
    int accepted = 0;
    assert_ok(append(f), f->err);
    accepted++;
    (void)!system(fill);
    for (int i = 0; i < 3000 && append(f); i++)
        accepted++;
    assert_int_equal(error_code(f->err), ERROR_UNAVAILABLE);
    assert_true(str_find(str_of(error_message(f->err)), STR("disk"), NULL));
    error_clear(&f->err);
    assert_int_equal(unlink(filler), 0);
    assert_ok(append(f), f->err);
    assert_int_equal(count_rows(f), accepted + 1);
    store_close(STEAL(f->store));
    assert_int_equal(umount(path), 0);
}

static void a_full_disk_refuses_and_serves_again_once_there_is_room(void **state)
{
    fill_disk(*state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_deleted_file_is_written_anew_with_all_that_was_accepted),
        TEST(a_damaged_file_is_noticed_and_one_put_in_its_place_is_served),
        TEST(a_damaged_file_is_refused_at_the_start_with_advice),
        TEST(what_can_be_read_of_a_damaged_file_is_salvaged_while_the_server_waits),
        TEST(a_lock_of_another_process_means_later_and_not_never),
        TEST(a_second_server_on_the_same_file_is_refused),
        TEST(a_command_reads_and_writes_beside_the_server),
        TEST(a_command_without_a_store_says_what_to_do),
        TEST(a_full_disk_refuses_and_serves_again_once_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
