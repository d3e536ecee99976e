/* SQLite has one writer at a time, and a commit waits for the disk. So transactions that come together share one:
 * each is a savepoint within an open transaction; whoever commits while others wait for their turn hands the open
 * transaction on and waits, and the last of the group commits for all. A transaction that is undone undoes its own
 * savepoint only. What was tried: a thread that runs everybody's work (as good, and every caller a function pointer);
 * commits with synchronous=NORMAL and one fsync (SQLite does not say when its own is needed). */
#include "store/sqlite_internal.h"

#include <stdlib.h>

enum { GROUP_MEMBERS_MAX = 256, GROUP_US_MAX = 20 * 1000 };

struct turn {                                     /* one who waits; on its stack */
    struct turn *next;
    pthread_cond_t given_wake;
    bool given;
};

/* In the order of coming: who has just had a turn does not get the next one before those who wait. */
static void wait_for_turn(struct sqlite_store *store)
{
    if (!store->writer_busy) {
        store->writer_busy = true;
        return;
    }
    struct turn turn = { .given_wake = PTHREAD_COND_INITIALIZER };
    *store->last_turn = &turn;
    store->last_turn = &turn.next;
    while (!turn.given)
        pthread_cond_wait(&turn.given_wake, &store->lock);
    pthread_cond_destroy(&turn.given_wake);
}

static void end_turn(struct sqlite_store *store)
{
    struct turn *next = store->first_turn;
    if (!next) {
        store->writer_busy = false;
        return;
    }
    store->first_turn = next->next;
    if (!store->first_turn)
        store->last_turn = &store->first_turn;
    next->given = true;
    pthread_cond_signal(&next->given_wake);
}

bool writer_is_wanted(struct sqlite_store *store)
{
    return __atomic_load_n(&store->first_turn, __ATOMIC_RELAXED) != NULL;
}

static void group_leave(struct group *group)
{
    if (--group->references > 0)
        return;
    error_free(group->error);
    free(group);
}

/* The group's end is known: tell its members. Takes `error`. Called with the lock, by who has the turn. */
static void group_end_take(struct sqlite_store *store, bool ok, struct error *error)
{
    struct group *group = store->group;
    store->group = NULL;
    group->done = true;
    group->ok = ok;
    group->error = error;
    group_leave(group);
    pthread_cond_broadcast(&store->group_done);
}

static bool group_begin(struct sqlite_store *store, struct error **err)
{
    if (!connection_run(store->writer, "BEGIN IMMEDIATE", err))
        return false;
    store->group = xcalloc(1, sizeof *store->group);
    store->group->references = 1;
    store->group->began_us = clock_mono_us();
    return true;
}

bool writer_enter(struct sqlite_store *store, struct error **err)
{
    pthread_mutex_lock(&store->lock);
    wait_for_turn(store);
    pthread_mutex_unlock(&store->lock);
    if (!watch_is_whole(store, err) || (!store->group && !group_begin(store, err))) {
        writer_give(store);
        return false;
    }
    if (connection_run(store->writer, "SAVEPOINT tx", err))
        return true;
    writer_give(store);
    return false;
}

static struct error *copy_error(const struct error *error)
{
    struct error *copy = NULL;
    if (error)
        error_set(&copy, error_code(error), "%s", error_message(error));
    return copy;
}

/* Commit what the group's members did. Without the lock: this waits for the disk. */
static void group_commit(struct sqlite_store *store)
{
    struct error *error = NULL;
    bool nothing = store->group->members == 0;
    bool ok = connection_run(store->writer, nothing ? "ROLLBACK" : "COMMIT", &error);
    if (!ok && !sqlite3_get_autocommit(store->writer->db))
        connection_run(store->writer, "ROLLBACK", NULL);
    pthread_mutex_lock(&store->lock);
    group_end_take(store, ok, error);
    pthread_mutex_unlock(&store->lock);
}

/* SQLite may have ended the whole transaction by itself (disk full, input/output error): everybody's work is gone. */
static bool group_is_lost(struct sqlite_store *store)
{
    if (!store->group || !sqlite3_get_autocommit(store->writer->db))
        return false;
    struct error *error = NULL;
    error_set(&error, ERROR_UNAVAILABLE,
              "SQLite gave the transaction up: disk full, or an input/output error");
    pthread_mutex_lock(&store->lock);
    group_end_take(store, false, error);
    pthread_mutex_unlock(&store->lock);
    return true;
}

/* Hand the open transaction to the next who waits; false where nobody does or the group is large or old enough. */
static bool hand_on(struct sqlite_store *store)
{
    struct group *group = store->group;
    if (!store->first_turn || group->members >= GROUP_MEMBERS_MAX ||
        clock_mono_us() - group->began_us >= GROUP_US_MAX)
        return false;
    end_turn(store);
    return true;
}

static bool wait_for_group(struct sqlite_store *store, struct group *group, struct error **err)
{
    while (!group->done)
        pthread_cond_wait(&store->group_done, &store->lock);
    bool ok = group->ok;
    if (!ok && err) {
        struct error *copy = copy_error(group->error);
        error_move(err, &copy);
    }
    group_leave(group);
    return ok;
}

bool writer_commit(struct sqlite_store *store, struct error **err)
{
    if (!connection_run(store->writer, "RELEASE tx", err)) {
        writer_abort(store);
        return false;
    }
    struct group *group = store->group;
    pthread_mutex_lock(&store->lock);
    group->members++;
    group->references++;
    if (!hand_on(store)) {
        pthread_mutex_unlock(&store->lock);
        group_commit(store);
        pthread_mutex_lock(&store->lock);
        end_turn(store);
    }
    bool ok = wait_for_group(store, group, err);
    pthread_mutex_unlock(&store->lock);
    return ok;
}

void writer_abort(struct sqlite_store *store)
{
    if (!group_is_lost(store)) {
        connection_run(store->writer, "ROLLBACK TO tx", NULL);
        connection_run(store->writer, "RELEASE tx", NULL);
        group_is_lost(store);
    }
    writer_give(store);
}

void writer_take(struct sqlite_store *store)
{
    pthread_mutex_lock(&store->lock);
    wait_for_turn(store);
    pthread_mutex_unlock(&store->lock);
    if (store->group)
        group_commit(store);
}

/* End a turn that adds nothing to the group: others may be waiting for it to be committed. */
void writer_give(struct sqlite_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool handed = store->group && hand_on(store);
    pthread_mutex_unlock(&store->lock);
    if (handed)
        return;
    if (store->group)
        group_commit(store);
    pthread_mutex_lock(&store->lock);
    end_turn(store);
    pthread_mutex_unlock(&store->lock);
}
