#include "tests/test.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slm/runbook.h"

static struct alert alert_about(struct arena *arena, const char *name, const char *description)
{
    struct alert alert = { .name = str_of(name), .description = str_of(description) };
    (void)arena;
    return alert;
}

static enum action best_of(const double log_scores[ACTION_COUNT])
{
    int best = 0;
    for (int i = 1; i < ACTION_COUNT; i++)
        best = log_scores[i] > log_scores[best] ? i : best;
    return (enum action)best;
}

static void passages_are_found_by_what_has_failed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *description;
        enum action best;
    } cases[] = {
        { "WorkerGone", "Container was OOMKilled three times at its memory limit",
          ACTION_INCREASE_RESOURCES },
        { "DiskWarning", "The persistent volume claim of the database is 94% full", ACTION_EXPAND_PVC },
        { "PrimaryGone", "The primary is down, its standby is healthy and in sync",
          ACTION_FAILOVER_DATABASE },
        { "MinerSeen", "A crypto miner runs in the pod", ACTION_QUARANTINE_POD },
        { "Certificate", "TLS certificate expires in two days and was not renewed", ACTION_ROTATE_SECRETS },
        { "Meltdown", "Five hundreds since the new version was rolled out", ACTION_ROLLBACK_DEPLOYMENT },
    };
    struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(4096);
    AUTO(runbooks) struct runbooks *runbooks = runbooks_open(NULL, &err);
    assert_ok(runbooks, err);
    assert_in_range(runbooks_count(runbooks), 40, 80);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct alert alert = alert_about(arena, cases[i].name, cases[i].description);
        struct runbook_passage passages[3];
        double log_scores[ACTION_COUNT], sum = 0;
        assert_int_equal(runbooks_ask(runbooks, arena, &alert, log_scores, passages, 3), 3);
        assert_string_equal(action_name(best_of(log_scores)), action_name(cases[i].best));
        assert_true(passages[0].score == 1 && passages[1].score <= 1 &&
                    passages[2].score <= passages[1].score);
        assert_true(passages[0].actions & BIT(cases[i].best));
        for (int k = 0; k < ACTION_COUNT; k++)
            sum += exp(log_scores[k]);
        assert_true(fabs(sum - 1) < 1e-9);
    }
}

static void nothing_found_has_no_say(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    AUTO(runbooks) struct runbooks *runbooks = runbooks_open("", NULL);
    static const char *const texts[] = { "", "12 34", "xqzzy", "\" OR * NEAR( ) -title:\"", "\xff\xfe" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct alert alert = alert_about(arena, "", texts[i]);
        double log_scores[ACTION_COUNT];
        size_t count = runbooks_ask(runbooks, arena, &alert, log_scores, NULL, 0);
        assert_int_equal(count, 0);
        assert_true(i == 3 || isnan(log_scores[0])); /* "near" and "title" are words like others */
    }
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    struct error *err = NULL;
    assert_ok(file_replace(path, str_of(text), 0600, &err), err);
}

static void ignore_line(struct str line, void *context)
{
    (void)line;
    ++*(int *)context;
}

static void the_users_folder_adds_passages(void **state)
{
    (void)state;
    char folder[] = "/tmp/runbooks-XXXXXX", deeper[64];
    assert_non_null(mkdtemp(folder));
    snprintf(deeper, sizeof deeper, "%s/more", folder);
    assert_int_equal(mkdir(deeper, 0700), 0);
    write_file(folder, "flux.md",
               "---\ntitle: The flux capacitor overheats\nactions: [drain_node, fly_away]\n---\nText.\n");
    write_file(deeper, "plain.md",
               "# Gribbling of the zorkmid\n\nFirst restart_daemonset, then audit_logs.\n");
    write_file(folder, "notes.txt", "zorkmid");
    struct error *err = NULL;
    int warnings = 0;
    log_replace_sink(ignore_line, &warnings);
    AUTO(runbooks)
    struct runbooks *runbooks = runbooks_open(folder, &err),
                    *built_in = runbooks_open(NULL, NULL);
    log_replace_sink(NULL, NULL);
    assert_ok(runbooks, err);
    assert_int_equal(runbooks_count(runbooks), runbooks_count(built_in) + 2);
    assert_int_equal(warnings, 1); /* the action that does not exist */

    AUTO(arena) struct arena *arena = arena_new(4096);
    struct runbook_passage passage;
    double log_scores[ACTION_COUNT];
    struct alert alert = alert_about(arena, "Zorkmid", "gribbling");
    assert_int_equal(runbooks_ask(runbooks, arena, &alert, log_scores, &passage, 1), 1);
    assert_str_equal(passage.title, STR("Gribbling of the zorkmid"));
    assert_int_equal(passage.actions, BIT(ACTION_RESTART_DAEMONSET) | BIT(ACTION_AUDIT_LOGS));
    assert_int_equal(best_of(log_scores), ACTION_RESTART_DAEMONSET);

    const char *names[] = { "flux.md", "more/plain.md", "notes.txt", "more", "" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
}

static void folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct error *err = NULL;
    assert_fails(runbooks_open("/nonexistent/runbooks", &err), err, ERROR_NOT_FOUND, "/nonexistent/runbooks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passages_are_found_by_what_has_failed),
        cmocka_unit_test(nothing_found_has_no_say),
        cmocka_unit_test(the_users_folder_adds_passages),
        cmocka_unit_test(folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
