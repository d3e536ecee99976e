/* What can happen to the database of a running server: a clear error, counted; nothing accepted is lost; and normal
 * service afterwards, without a restart. */
#include "tests/cli/caller.h"

#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <linux/capability.h>

static int start(void **state)
{
    *state = served_new("");
    return 0;
}

/* Alerts of the names "PREFIX0" … one after the other, as long as they are accepted, at most `max`; how many were. */
static int post_many(const struct served *s, const char *prefix, int max, struct strbuf *refusal)
{
    for (int i = 0; i < max; i++) {
        AUTO(text) char *name = xasprintf("%s%d", prefix, i);
        long status = post_alert(s, name, refusal);
        if (status == 200)
            continue;
        assert_int_equal(status, 503);
        return i;
    }
    return max;
}

static char *in_folder(const struct served *s, const char *name)
{
    return xasprintf("%s/%s", s->folder, name);
}

static void shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static bool is_ready_within(const struct served *s, bool wanted, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {
        if ((ask(s->webhook, NULL, "/ready", NULL) == 200) == wanted)
            return true;
        usleep(20 * 1000);
    }
    return false;
}

static void assert_holds(const struct strbuf *text, const char *part)
{
    if (!text->ptr || !strstr(text->ptr, part))
        fail_msg("\"%s\" does not hold \"%s\"", text->ptr ? text->ptr : "", part);
}

static void deleted_file_is_written_anew_with_all_that_was_accepted(void **state)
{
    struct served *s = *state;
    assert_int_equal(post_many(s, "Deleted", 20, NULL), 20);
    AUTO(text) char *path = in_folder(s, "alerts.db");
    shell("rm -f %s %s-wal %s-shm", path, path, path);
    wait_for_log(s, "store was deleted and is written anew: nothing is lost");
    assert_true(is_ready_within(s, true, 5000));
    assert_true(file_exists(path));
    wait_for_alerts(s, "Deleted", 20);
    works_as_before(s);
    wait_for_metric(s, "store_errors_total{operation=\"damage\"}", 1);
    kill(s->pid, SIGKILL); /* and it is in the file, not only in memory */
    assert_int_equal(end_of(s->pid), -SIGKILL);
    start_program(s);
    wait_ready(s);
    wait_for_alerts(s, "Deleted", 20);
}

static void restart(struct served *s)
{
    kill(s->pid, SIGTERM);
    assert_int_equal(end_of(s->pid), 0);
    start_program(s);
    wait_ready(s);
}

static void overwrite(const char *path, off_t at, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    AUTO(text) char *noise = xmalloc(len);
    rand_bytes(noise, len);
    assert_int_equal(pwrite(fd, noise, len, at), len);
    close(fd);
}

static void damaged_file_is_reported_at_once_and_the_backup_is_served(void **state)
{
    struct served *s = *state;
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *path = in_folder(s, "alerts.db");
    assert_int_equal(post_many(s, "Damaged", 10, NULL), 10);
    wait_for_alerts(s, "Damaged", 10);
    restart(s); /* so that the file holds it, not only the log */
    double errors = metric(s, "store_errors_total{operation=\"damage\"}");
    shell("cp %s %s.backup", path, path);
    overwrite(path, 0, 8192);
    assert_true(is_ready_within(s, false, 1000));
    assert_int_equal(post_alert(s, "Refused0", &body), 503);
    assert_holds(&body, "Retry-After");
    assert_holds(&body, "alerts.db");
    assert_int_equal(ask(s->health, NULL, "/health", &body), 200);
    assert_holds(&body, "\"store\":\"unavailable\"");
    assert_true(log_holds(s, "history salvage"));
    assert_int_equal(metric(s, "store_up"), 0);
    assert_true(metric(s, "webhook_refused_total{reason=\"store\"}") >= 1);
    assert_true(metric(s, "store_errors_total{operation=\"damage\"}") > MAX(errors, 0));
    shell("mv %s.backup %s", path, path);
    assert_true(is_ready_within(s, true, 5000));
    wait_for_alerts(s, "Damaged", 10);
    works_as_before(s);
    assert_int_equal(metric(s, "store_up"), 1);
}

/* Noise in the middle: the command saves what can be read beside the server, which then serves it. */
static void damaged_file_is_salvaged_beside_the_running_server(void **state)
{
    struct served *s = *state;
    struct stat file;
    AUTO(text) char *path = in_folder(s, "alerts.db");
    AUTO(text) char *salvage = xasprintf("history salvage --config %s/config.yaml", s->folder);
    restart(s);
    assert_int_equal(stat(path, &file), 0);
    overwrite(path, file.st_size / 2 / 4096 * 4096, 3 * 4096);
    assert_true(is_ready_within(s, false, 1500));
    assert_int_equal(post_alert(s, "Refused1", NULL), 503);
    says(salvage, 0, "");
    assert_true(is_ready_within(s, true, 5000));
    works_as_before(s);
    assert_int_equal(post_alert(s, "Salvaged0", NULL), 200);
    wait_for_alerts(s, "Salvaged", 1);
}

static void lock_of_another_process_means_503_and_not_for_ever(void **state)
{
    struct served *s = *state;
    sqlite3 *other;
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *path = in_folder(s, "alerts.db");
    assert_int_equal(post_many(s, "Locked", 5, NULL), 5);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 5000);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t began = clock_mono_ms();
    assert_int_equal(post_alert(s, "Refused2", &body), 503);
    assert_true(clock_mono_ms() - began < 5000);
    assert_holds(&body, "Retry-After");
    assert_true(log_holds(s, "another process has locked it"));
    assert_int_equal(ask(s->health, NULL, "/health", NULL), 200);
    assert_true(metric(s, "store_errors_total{operation=\"begin\"}") >= 1);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    works_as_before(s);
    wait_for_alerts(s, "Locked", 5);
}

/* Permissions bind the superuser's process too, as they do any other user's. */
static void give_up_override(const struct served *s)
{
    (void)s;
    prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
    prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

static void is_refused_at_the_start(struct served *s, const char *why)
{
    AUTO(text) char *log = in_folder(s, "log");
    assert_int_equal(truncate(log, 0), 0);
    start_program_after(s, give_up_override);
    assert_int_equal(end_of(s->pid), 1);
    s->pid = 0;
    if (!log_holds(s, why))
        fail_msg("the log does not say \"%s\"", why);
}

static void read_only_folder_or_file_is_refused_at_the_start(void **state)
{
    (void)state;
    struct served *s = served_prepare("", "");
    void *own = s;
    AUTO(text) char *path = in_folder(s, "alerts.db");
    shell("touch %s/log && chmod 0500 %s", s->folder, s->folder);
    is_refused_at_the_start(s, "alerts.db.lock: Permission denied");
    shell("chmod 0700 %s", s->folder);
    start_program(s);
    wait_ready(s);
    assert_int_equal(post_many(s, "Kept", 5, NULL), 5);
    kill(s->pid, SIGTERM);
    assert_int_equal(end_of(s->pid), 0);
    shell("chmod 0400 %s", path);
    is_refused_at_the_start(s, "may not be written");
    shell("chmod 0600 %s && chmod 0500 %s", path, s->folder); /* the lock is there, the log cannot be made */
    is_refused_at_the_start(s, "the file or its folder may not be written");
    shell("chmod 0700 %s", s->folder);
    start_program(s);
    wait_ready(s);
    wait_for_alerts(s, "Kept", 5);
    works_as_before(s);
    served_stop(&own);
}

/* Rights taken from a running server: what is open stays open, so it goes on; and afterwards all is there. */
static void rights_taken_from_a_running_server_lose_nothing(void **state)
{
    (void)state;
    struct served *s = served_prepare("", "");
    void *own = s;
    AUTO(text) char *path = in_folder(s, "alerts.db");
    start_program_after(s, give_up_override);
    wait_ready(s);
    assert_int_equal(post_many(s, "Before", 5, NULL), 5);
    shell("chmod 0400 %s %s-wal %s-shm && chmod 0500 %s", path, path, path, s->folder);
    int accepted = post_many(s, "During", 20, NULL);
    assert_int_equal(ask(s->health, NULL, "/health", NULL), 200);
    shell("chmod 0700 %s && chmod 0600 %s %s-wal %s-shm", s->folder, path, path, path);
    assert_true(is_ready_within(s, true, 5000));
    works_as_before(s);
    wait_for_alerts(s, "Before", 5);
    wait_for_alerts(s, "During", accepted);
    served_stop(&own);
}

/* On a file system of 3 MiB, in a mount namespace of our own, which the server shares. */
static void full_disk_means_503_until_there_is_room(void **state)
{
    (void)state;
    struct served *s = served_prepare("", "");
    void *own = s;
    AUTO(strbuf) struct strbuf body = { 0 };
    AUTO(text) char *disk = in_folder(s, "disk");
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mkdir(disk, 0700) != 0 || mount("tmpfs", disk, "tmpfs", 0, "size=3m") != 0)
        skip();
    s->disk = "/disk";
    write_config(s, "");
    start_program(s);
    wait_ready(s);
    assert_int_equal(post_many(s, "Roomy", 5, NULL), 5);
    shell("head -c 100000000 /dev/zero >%s/filler 2>/dev/null || true", disk);
    int accepted = post_many(s, "Full", 3000, &body);
    assert_true(accepted < 3000);
    assert_holds(&body, "Retry-After");
    assert_true(log_holds(s, "disk"));
    assert_true(metric(s, "webhook_refused_total{reason=\"store\"}") >= 1);
    assert_true(metric(s, "store_errors_total{operation=\"commit\"}") >= 1 ||
                metric(s, "store_errors_total{operation=\"begin\"}") >= 1);
    assert_int_equal(ask(s->health, NULL, "/health", NULL), 200);
    shell("rm %s/filler", disk);
    works_as_before(s);
    wait_for_alerts(s, "Roomy", 5);
    wait_for_alerts(s, "Full", accepted);
    kill(s->pid, SIGTERM);
    assert_int_equal(end_of(s->pid), 0);
    s->pid = 0;
    assert_int_equal(umount(disk), 0);
    served_stop(&own);
}

int main(void)
{
    unsetenv("DATABASE_URL");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deleted_file_is_written_anew_with_all_that_was_accepted),
        cmocka_unit_test(damaged_file_is_reported_at_once_and_the_backup_is_served),
        cmocka_unit_test(damaged_file_is_salvaged_beside_the_running_server),
        cmocka_unit_test(lock_of_another_process_means_503_and_not_for_ever),
        cmocka_unit_test(read_only_folder_or_file_is_refused_at_the_start),
        cmocka_unit_test(rights_taken_from_a_running_server_lose_nothing),
        cmocka_unit_test(full_disk_means_503_until_there_is_room),
    };
    return cmocka_run_group_tests(tests, start, served_stop);
}
