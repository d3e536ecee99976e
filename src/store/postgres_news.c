/* LISTEN and NOTIFY. NOTIFY is sent by the listener's thread and not within the transactions it tells of: PostgreSQL lets
 * transactions that notify commit one after another, each with its fsync, which would cost the replicas what they are
 * for. What is told while a NOTIFY is under way goes with the next one, so a storm of alerts is a trickle of news. */
#include "store/news.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/postgres_internal.h"

enum { RECONNECT_MS = 1000 };

#define CHANNEL "prometheus_alerts_slm"
static const struct {
    const char *name;
    enum store_news_kind kind;
} kinds_told[] = { { "inbox", NEWS_INBOX }, { "work", NEWS_WORK } };

struct store_news {
    const struct pg_store *store; /* these are set before the thread starts */
    store_news_fn *heard;
    void *context;
    int wake; /* eventfd */
    pthread_t thread;

    unsigned to_tell; /* atomic: kinds */
    bool stopping;    /* atomic */
};

static bool is_stopping(const struct store_news *news)
{
    return __atomic_load_n(&news->stopping, __ATOMIC_ACQUIRE);
}

static void wake(const struct store_news *news)
{
    (void)!write(news->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void rest(const struct store_news *news)
{
    struct pollfd fd = { .fd = news->wake, .events = POLLIN };
    int64_t until = clock_mono_ms() + RECONNECT_MS;
    uint64_t count;
    while (!is_stopping(news) && clock_mono_ms() < until) {
        poll(&fd, 1, (int)MAX(1, until - clock_mono_ms()));
        (void)!read(news->wake, &count, sizeof count);
    }
}

static PGconn *connect_listening(const struct store_news *news)
{
    const struct pg_store *store = news->store;
    PGconn *pg =
        PQconnectdbParams((const char *const *)store->keywords, (const char *const *)store->values, 0);
    if (PQstatus(pg) == CONNECTION_OK && pg_run(pg, "LISTEN " CHANNEL, NULL))
        return pg;
    PQfinish(pg);
    return NULL;
}

static void hear(const struct store_news *news, PGconn *pg)
{
    for (PGnotify *told = PQnotifies(pg); told; told = PQnotifies(pg)) {
        for (size_t i = 0; i < ARRAY_LEN(kinds_told); i++)
            if (told->be_pid != PQbackendPID(pg) && strcmp(told->extra, kinds_told[i].name) == 0)
                news->heard(news->context, kinds_told[i].kind);
        PQfreemem(told);
    }
}

static bool tell(struct store_news *news, PGconn *pg)
{
    char sql[128] = "";
    int len = 0;
    unsigned kinds = __atomic_exchange_n(&news->to_tell, 0, __ATOMIC_ACQ_REL);
    for (size_t i = 0; i < ARRAY_LEN(kinds_told); i++)
        if (kinds & kinds_told[i].kind)
            len += snprintf(sql + len, sizeof sql - (size_t)len, "NOTIFY " CHANNEL ", '%s';",
                            kinds_told[i].name);
    return len == 0 || PQsendQuery(pg, sql);
}

/* False: a NOTIFY failed, because the server became a standby, say. */
static bool read_answers(PGconn *pg)
{
    bool ok = true;
    while (!PQisBusy(pg)) {
        PGresult *result = PQgetResult(pg);
        if (!result)
            return ok;
        ok = ok && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return ok;
}

/* Until something came or is to be told. False: the connection is of no more use. */
static bool take_turn(struct store_news *news, PGconn *pg)
{
    struct pollfd fds[] = { { .fd = PQsocket(pg), .events = POLLIN },
                            { .fd = news->wake, .events = POLLIN } };
    uint64_t count;
    poll(fds, ARRAY_LEN(fds), -1);
    if (fds[1].revents)
        (void)!read(news->wake, &count, sizeof count);
    if (!PQconsumeInput(pg) || !read_answers(pg))
        return false;
    hear(news, pg);
    return PQtransactionStatus(pg) == PQTRANS_ACTIVE || tell(news, pg);
}

static void *run(void *context)
{
    struct store_news *news = context;
    while (!is_stopping(news)) {
        PGconn *pg = connect_listening(news);
        if (!pg) {
            rest(news);
            continue;
        }
        news->heard(news->context, NEWS_ALL);
        while (!is_stopping(news) && take_turn(news, pg))
            ;
        PQfinish(pg);
        if (!is_stopping(news))
            log_debug("news of the other replicas are cut off; listening again");
    }
    return NULL;
}

struct store_news *store_news_start(struct store *store, store_news_fn *heard, void *context)
{
    if (!store_is_postgres(store))
        return NULL;
    struct store_news *news = xcalloc(1, sizeof *news);
    *news = (struct store_news){ .store = (const struct pg_store *)store,
                                 .heard = heard,
                                 .context = context,
                                 .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    if (news->wake < 0 || pthread_create(&news->thread, NULL, run, news) != 0)
        abort();
    return news;
}

void store_news_stop(struct store_news *news)
{
    if (!news)
        return;
    __atomic_store_n(&news->stopping, true, __ATOMIC_RELEASE);
    wake(news);
    pthread_join(news->thread, NULL);
    close(news->wake);
    free(news);
}

void store_news_tell(struct store_news *news, unsigned kinds)
{
    if (!news)
        return;
    __atomic_or_fetch(&news->to_tell, kinds, __ATOMIC_ACQ_REL);
    wake(news);
}
