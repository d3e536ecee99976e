#include "history/history.h"

#include <stdlib.h>

#include "history/history_internal.h"
#include "store/decisions.h"
#include "tests/history/scene.h"
#include "tests/test.h"

static void fill(struct fixture *f)
{
    const char *incident =
        scene_incident(f, &(struct scene_incident){ .alert_name = "Ünïcode \"quoted\"\n" });
    scene_execution(f, &(struct scene_execution){ .incident_id = incident, .score = 1.0 / 3 });
    scene_execution(f, &(struct scene_execution){ .incident_id = incident, .score = -1, .name = "db" });
    struct decision_record decision = { .created_at = 1,
                                        .provider = "none",
                                        .model = "",
                                        .action = "notify_only",
                                        .parameters = "{}",
                                        .reasoning = "",
                                        .confidence = 0.1 };
    ulid_new(decision.id);
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && decision_insert(tx, &decision, &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
}

static char *export(struct fixture *f)
{
    char *text = NULL;
    size_t len;
    int64_t rows;
    FILE *file = open_memstream(&text, &len);
    assert_ok(history_export(f->store, file, &rows, &f->err), f->err);
    fclose(file);
    return text;
}

static bool import(struct fixture *f, const char *text, struct history_imported *imported)
{
    FILE *file = tmpfile();
    fputs(text, file);
    bool ok = history_import(f->store, file, "past.jsonl", imported, &f->err);
    fclose(file);
    return ok;
}

static void wipe(struct fixture *f)
{
    for (const struct table *const *table = history_tables; *table; table++)
        scene_run(f, arena_printf(f->arena, "DELETE FROM %s", (*table)->name));
}

static void what_is_exported_comes_back_without_loss(void **state)
{
    struct fixture *f = *state;
    struct history_imported imported;
    fill(f);
    AUTO(text) char *before = export(f);
    wipe(f);
    assert_ok(import(f, before, &imported), f->err);
    assert_int_equal(imported.rows, imported.added);
    AUTO(text) char *after = export(f);
    assert_string_equal(after, before);
    assert_ok(import(f, before, &imported), f->err);
    assert_int_equal(imported.added, 0); /* what is there is left as it is */
}

static char *without_line(const char *text, int line)
{
    const char *from = text;
    while (--line)
        from = strchr(from, '\n') + 1;
    return xasprintf("%.*s%s", (int)(from - text), text, strchr(from, '\n') + 1);
}

static void a_foreign_or_edited_file_is_refused_by_line_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct history_imported imported;
    fill(f);
    AUTO(text) char *good = export(f);
    wipe(f);
    AUTO(text) char *edited = xstrdup(good);
    strstr(edited, "restart_pod")[0] = 'R';
    assert_fails(import(f, edited, &imported), f->err, ERROR_INVALID, ": edited: this line");
    AUTO(text) char *shorter = without_line(good, 3);
    assert_fails(import(f, shorter, &imported), f->err, ERROR_INVALID, "past.jsonl:3: edited");
    AUTO(text) char *cut = xstrndup(good, strlen(good) - 30);
    assert_fails(import(f, cut, &imported), f->err, ERROR_INVALID, "the line is cut off");
    AUTO(text) char *headless = without_line(good, 1);
    assert_fails(import(f, headless, &imported), f->err, ERROR_INVALID, "past.jsonl:1: foreign");
    assert_fails(import(f, "id,name\n1,2\n", &imported), f->err, ERROR_INVALID, "past.jsonl:1: foreign");
    assert_fails(import(f, "", &imported), f->err, ERROR_INVALID, "its end is missing");
    size_t lines = 0;
    for (const char *c = good; *c; c++)
        lines += *c == '\n';
    AUTO(text) char *endless = without_line(good, (int)lines);
    assert_fails(import(f, endless, &imported), f->err, ERROR_INVALID, "its end is missing");
    assert_int_equal(scene_count(f, "SELECT count(*) FROM executions"), 0);
}

static void an_export_holds_every_column_of_its_tables(void **state)
{
    struct fixture *f = *state;
    for (const struct table *const *table = history_tables; *table; table++) {
        const char *sql = store_is_postgres(f->store)
                              ? "SELECT count(*) FROM information_schema.columns WHERE table_name = '%s'"
                              : "SELECT count(*) FROM pragma_table_info('%s')";
        AUTO(strbuf) struct strbuf query = { 0 };
        const char *mark = strstr(sql, "%s");
        strbuf_addf(&query, "%.*s%s%s", (int)(mark - sql), sql, (*table)->name, mark + 2);
        if (scene_count(f, query.ptr) != (int64_t)table_column_count(*table))
            fail_msg("%s has %lld columns, an export %zu", (*table)->name,
                     (long long)scene_count(f, query.ptr), table_column_count(*table));
    }
}

static void what_is_old_or_too_much_goes(void **state)
{
    struct fixture *f = *state;
    int64_t deleted, day = INT64_C(86400000), now = clock_utc_ms();
    for (int i = 0; i < 1010; i++)
        scene_execution(
            f, &(struct scene_execution){ .at = now - i, .score = i < 5 ? 0.5 : -1, .name = "busy" });
    for (int i = 0; i < 7; i++)
        scene_execution(f, &(struct scene_execution){ .at = now - 91 * day, .score = 0.5, .name = "old" });
    scene_execution(
        f, &(struct scene_execution){ .at = now - 91 * day, .score = -1, .name = "old", .state = "pending" });
    assert_ok(history_retain(f->store, scene_config(f), &deleted, &f->err), f->err);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM executions WHERE name = 'old'"),
                     1); /* the unfinished */
    assert_int_equal(scene_count(f, "SELECT count(*) FROM executions WHERE name = 'busy'"), 1000);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM assessments"), 5);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM retention_operations"), 1);
    assert_ok(history_retain(f->store, scene_config(f), &deleted, &f->err), f->err);
    assert_int_equal(deleted, 0);
}

static int end(void **state)
{
    scene_end();
    return fixture_teardown(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_exported_comes_back_without_loss),
        TEST(a_foreign_or_edited_file_is_refused_by_line_and_changes_nothing),
        TEST(an_export_holds_every_column_of_its_tables),
        TEST(what_is_old_or_too_much_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
