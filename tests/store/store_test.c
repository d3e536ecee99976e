#include "tests/test.h"

#include <pthread.h>
#include <stdio.h>

#include "store/settings.h"
#include "tests/store/fixture.h"

static struct str sql_text(const char *text, struct str *keep)
{
    *keep = str_of(text);
    return *keep;
}
#define SQL(text)                                                                                            \
    ({                                                                                                       \
        static struct str keep_;                                                                             \
        sql_text((text), &keep_);                                                                            \
        &keep_;                                                                                              \
    })

static void values_of_every_kind_come_back(void **state)
{
    struct fixture *f = *state;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    AUTO(rows)
    struct rows *rows = tx_query(
        tx,
        SQL("SELECT CAST($1 AS BIGINT), CAST($2 AS DOUBLE PRECISION), CAST($3 AS TEXT), CAST($4 AS TEXT)"),
        VALUES(V_INT(INT64_MIN), V_NUM(0.1), V_TEXT("grüße\n'\""), V_NULL), &f->err);
    bool more = false;
    assert_ok(rows && rows_next(rows, &more, &f->err), f->err);
    assert_true(more);
    assert_true(rows_int(rows, 0) == INT64_MIN);
    assert_true(rows_number(rows, 1) == 0.1);
    assert_str_equal(rows_text(rows, 2), STR("grüße\n'\""));
    assert_true(rows_is_null(rows, 3) && !rows_is_null(rows, 2));
    assert_int_equal(rows_int(rows, 3), 0);
    assert_str_equal(rows_text(rows, 3), STR(""));
    assert_ok(rows_next(rows, &more, &f->err), f->err);
    assert_false(more);
}

static bool set(struct fixture *f, const char *value, bool commit)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    return tx && setting_set(tx, "name", str_of(value), &f->err) &&
           (!commit || tx_commit(STEAL(tx), &f->err));
}

static const char *get(struct fixture *f)
{
    struct str value = { 0 };
    bool found;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_READ, &f->err);
    assert_ok(tx && setting_get(tx, f->arena, "name", &value, &found, &f->err), f->err);
    return found ? arena_text(f->arena, value) : NULL;
}

static void what_is_committed_stays_and_what_is_not_is_undone(void **state)
{
    struct fixture *f = *state;
    assert_null(get(f));
    assert_ok(set(f, "one", true), f->err);
    assert_ok(set(f, "two", false), f->err);
    assert_string_equal(get(f), "one");
    fixture_reopen(f);
    assert_string_equal(get(f), "one");
}

static void a_reader_sees_one_moment(void **state)
{
    struct fixture *f = *state;
    assert_ok(set(f, "one", true), f->err);
    struct str value;
    bool found;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_READ, &f->err);
    assert_ok(setting_get(tx, f->arena, "name", &value, &found, &f->err), f->err);
    assert_fails(tx_begin(f->store, TX_WRITE, &f->err), f->err, ERROR_INTERNAL, "has a transaction already");
}

static void errors_name_what_is_wrong_and_leave_the_store_usable(void **state)
{
    struct fixture *f = *state;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_fails(tx_exec(tx, SQL("SELECT nonsense FROM nowhere"), NO_VALUES, &f->err), f->err, ERROR_INTERNAL,
                 "nowhere");
    tx_abort(STEAL(tx));
    assert_ok(set(f, "one", true), f->err);
    tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_fails(tx_exec(tx, SQL("INSERT INTO settings (name, value, updated_at) VALUES ('name', 'x', 1)"),
                         NO_VALUES, &f->err),
                 f->err, ERROR_EXISTS, "");
}

struct counter {
    struct store *store;
    int number, failed;
    pthread_t thread;
};

/* Half of the transactions are undone: their neighbours in the group are not. */
static bool post(struct tx *tx, int name, const char *value, struct error **err)
{
    static const struct str sql = STR("INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, 0)");
    char text[16];
    snprintf(text, sizeof text, "p%d", name);
    return tx_post(tx, &sql, VALUES(V_TEXT(text), V_TEXT(value)), NULL, err);
}

static int64_t count(struct tx *tx, struct error **err)
{
    int64_t n = -1;
    assert_ok(
        tx_query_int(tx, SQL("SELECT count(*) FROM settings WHERE name LIKE 'p%'"), NO_VALUES, &n, NULL, err),
        *err);
    return n;
}

static void what_is_posted_is_seen_by_what_follows(void **state)
{
    enum { MANY = 200 }; /* more than are kept unanswered */
    struct fixture *f = *state;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    for (int i = 0; i < MANY; i++) {
        assert_ok(post(tx, i, "x", &f->err), f->err);
        if (i == 0 || i == 70)
            assert_int_equal(count(tx, &f->err), i + 1);
    }
    assert_ok(tx_exec_script(tx, STR("UPDATE settings SET value = 'y'"), &f->err), f->err);
    assert_ok(post(tx, MANY, "z", &f->err), f->err); /* nothing but the commit comes after it */
    assert_ok(tx_commit(STEAL(tx), &f->err), f->err);
    tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_int_equal(count(tx, &f->err), MANY + 1);
    assert_ok(post(tx, MANY + 1, "x", &f->err), f->err); /* and forgotten */
    tx_abort(STEAL(tx));
    tx = tx_begin(f->store, TX_READ, &f->err);
    assert_int_equal(count(tx, &f->err), MANY + 1);
}

/* With the statement itself, with a later one, or with the commit: the transaction does not get past it. */
static void failure_of_what_is_posted_undoes_its_transaction(void **state)
{
    static const struct str touch = STR("UPDATE settings SET value = 'y' WHERE name = $1");
    struct fixture *f = *state;
    for (int with_query = 0; with_query < 2; with_query++) {
        AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
        int64_t n;
        bool ok = post(tx, 1, "x", &f->err) && post(tx, 1, "again", &f->err) && post(tx, 2, "x", &f->err) &&
                  (!with_query || tx_query_int(tx, SQL("SELECT 1"), NO_VALUES, &n, NULL, &f->err)) &&
                  tx_commit(STEAL(tx), &f->err);
        assert_fails(ok, f->err, ERROR_EXISTS, "");
    }
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    bool ok = post(tx, 3, "x", &f->err) && tx_post(tx, &touch, VALUES(V_TEXT("p3")), "p3 is gone", &f->err) &&
              tx_post(tx, &touch, VALUES(V_TEXT("nobody")), "nobody is gone", &f->err) &&
              tx_commit(STEAL(tx), &f->err);
    assert_fails(ok, f->err, ERROR_CONFLICT, "nobody is gone");
    tx_abort(STEAL(tx));
    tx = tx_begin(f->store, TX_READ, &f->err);
    assert_int_equal(count(tx, &f->err), 0);
}

static void *count_up(void *context)
{
    struct counter *c = context;
    for (int i = 0; i < 40; i++) {
        AUTO(tx) struct tx *tx = tx_begin(c->store, TX_WRITE, NULL);
        AUTO(text) char *name = xasprintf("%d-%d", c->number, i);
        bool ok = tx && setting_set(tx, name, STR("x"), NULL) && (i % 2 || tx_commit(STEAL(tx), NULL));
        c->failed += !ok;
    }
    return NULL;
}

static void transactions_that_share_a_commit_are_undone_alone(void **state)
{
    struct fixture *f = *state;
    struct counter counters[6] = { 0 };
    for (int i = 0; i < (int)ARRAY_LEN(counters); i++) {
        counters[i] = (struct counter){ .store = f->store, .number = i };
        pthread_create(&counters[i].thread, NULL, count_up, &counters[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        pthread_join(counters[i].thread, NULL);
        assert_int_equal(counters[i].failed, 0);
    }
    int64_t count = 0;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_READ, &f->err);
    assert_ok(tx_query_int(tx, SQL("SELECT count(*) FROM settings"), NO_VALUES, &count, NULL, &f->err),
              f->err);
    assert_int_equal(count, 6 * 20);
}

static void a_schema_from_the_future_or_another_past_is_refused(void **state)
{
    struct fixture *f = *state;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx_exec(tx, SQL("INSERT INTO schema_migrations VALUES (999, 'future', 'x', 1)"), NO_VALUES,
                      &f->err) &&
                  tx_commit(STEAL(tx), &f->err),
              f->err);
    store_close(STEAL(f->store));
    struct store_options options = { .url = f->url, .is_server = true };
    assert_fails(store_open(&options, &f->err), f->err, ERROR_CONFLICT, "use the newer program");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_kind_come_back),
        TEST(what_is_committed_stays_and_what_is_not_is_undone),
        TEST(a_reader_sees_one_moment),
        TEST(errors_name_what_is_wrong_and_leave_the_store_usable),
        TEST(what_is_posted_is_seen_by_what_follows),
        TEST(failure_of_what_is_posted_undoes_its_transaction),
        TEST(transactions_that_share_a_commit_are_undone_alone),
        TEST(a_schema_from_the_future_or_another_past_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
