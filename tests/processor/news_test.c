/* Replicas hear of each other's commits at once, and again after the database was away. On SQLite there is no news. */
#include "tests/processor/fixture.h"

enum { SOON_MS = 400, LATER_MS = 5000, ROUNDS = 6 };

static int setup(void **state)
{
    int status = pipeline_setup(state);
    clock_replace(NULL); /* these wait for real */
    return status;
}

struct ears {
    unsigned inbox, work, all; /* atomic */
};

static void hear(void *context, unsigned kinds)
{
    struct ears *ears = context;
    __atomic_add_fetch(kinds == NEWS_ALL     ? &ears->all
                       : kinds == NEWS_INBOX ? &ears->inbox
                                             : &ears->work,
                       1, __ATOMIC_SEQ_CST);
}

static bool comes(const unsigned *count, unsigned wanted, int64_t within_ms)
{
    int64_t until = clock_mono_ms() + within_ms;
    while (__atomic_load_n(count, __ATOMIC_SEQ_CST) < wanted && clock_mono_ms() < until)
        clock_sleep_ms(1);
    return __atomic_load_n(count, __ATOMIC_SEQ_CST) >= wanted;
}

static void sqlite_has_one_server_and_no_news(void **state)
{
    struct pipeline *p = *state;
    struct ears ears = { 0 };
    if (store_is_postgres(p->store->store))
        skip();
    assert_null(store_news_start(p->store->store, hear, &ears));
    store_news_tell(NULL, NEWS_ALL);
    store_news_stop(NULL);
}

static void cut_off_all(struct pipeline *p)
{
    AUTO(tx) struct tx *tx = tx_begin(p->store->store, TX_WRITE, &p->err);
    assert_ok(tx && tx_exec_script(tx,
                                   STR("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                       "WHERE query LIKE '%prometheus_alerts_slm%' AND pid <> "
                                       "pg_backend_pid()"),
                                   &p->err),
              p->err);
}

static void others_hear_and_the_teller_does_not(void **state)
{
    struct pipeline *p = *state;
    struct ears here = { 0 }, there = { 0 };
    if (!store_is_postgres(p->store->store))
        skip();
    struct store_news *a = store_news_start(p->store->store, hear, &here);
    struct store_news *b = store_news_start(p->store->store, hear, &there);
    assert_true(comes(&here.all, 1, LATER_MS) && comes(&there.all, 1, LATER_MS));
    store_news_tell(a, NEWS_INBOX);
    assert_true(comes(&there.inbox, 1, SOON_MS));
    store_news_tell(b, NEWS_WORK);
    assert_true(comes(&here.work, 1, SOON_MS));
    assert_int_equal(here.inbox + there.work, 0);
    cut_off_all(p);
    assert_true(comes(&here.all, 2, LATER_MS) && comes(&there.all, 2, LATER_MS));
    store_news_tell(a, NEWS_WORK);
    assert_true(comes(&there.work, 1, SOON_MS));
    store_news_stop(a);
    store_news_stop(b);
}

static int64_t waiting(struct pipeline *p)
{
    int64_t rows = 0;
    AUTO(tx) struct tx *tx = tx_begin(p->store->store, TX_READ, &p->err);
    static const struct str sql = STR("SELECT count(*) FROM inbox");
    assert_ok(tx && tx_query_int(tx, &sql, NO_VALUES, &rows, NULL, &p->err), p->err);
    return rows;
}

/* A processor that looks by itself once a second: six times out of six within 0.4 s is not by chance. */
static void an_idle_replica_takes_what_another_accepted_at_once(void **state)
{
    struct pipeline *p = *state;
    struct ears ears = { 0 };
    const struct inbox_item item = {
        .payload =
            STR("{\"version\":\"4\",\"alerts\":[{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\"}}]}"),
        .alerts = 1,
        .trace_id = "0123456789abcdef0123456789abcdef"
    };
    if (!store_is_postgres(p->store->store))
        skip();
    struct store_news *other = store_news_start(p->store->store, hear, &ears);
    assert_true(comes(&ears.all, 1, LATER_MS));
    struct processor *processor = processor_start(p->store->store, p->config, NULL);
    clock_sleep_ms(300); /* until it listens */
    for (int i = 0; i < ROUNDS; i++) {
        assert_ok(inbox_append(p->store->store, &item, &p->err), p->err);
        store_news_tell(other, NEWS_INBOX);
        int64_t until = clock_mono_ms() + SOON_MS;
        while (waiting(p) && clock_mono_ms() < until)
            clock_sleep_ms(5);
        assert_int_equal(waiting(p), 0);
        clock_sleep_ms(100 + i * 130); /* at different distances from its own look */
    }
    processor_stop(processor);
    store_news_stop(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, pipeline_teardown)
    const struct CMUnitTest tests[] = {
        TEST(sqlite_has_one_server_and_no_news),
        TEST(others_hear_and_the_teller_does_not),
        TEST(an_idle_replica_takes_what_another_accepted_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
