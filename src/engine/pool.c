#include "engine/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* A wait spins first, since the other thread is at most microseconds behind. If it is not, it has lost its core,
 * perhaps to us: the scheduler may put two of our threads on one core beside a busy stranger, where each would spin
 * its time slice away against the other (measured: 15 tokens/s where one thread alone does 210). So then we yield,
 * again and again, and at last sleep. */
enum {
    SPINS = 400, /* pauses: 20 to 60 us */
    YIELDS_BARRIER = 2000,
    YIELDS_IDLE = 50, /* between jobs: a sampler's time, not a core burnt */
};

struct pool {
    unsigned threads;
    pthread_t *handles; /* [threads - 1] */
    void (*job)(void *context, unsigned thread);
    void *context;

    _Alignas(64) atomic_uint generation; /* counts jobs; futex */
    atomic_uint idle_sleepers;
    atomic_bool stop;
    _Alignas(64) atomic_uint arrived;
    _Alignas(64) atomic_uint phase; /* counts barriers; futex */
    atomic_uint phase_sleepers;
    _Alignas(64) atomic_size_t next;
};

static void cpu_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* Until *word is no longer `seen`. Sleepers announce themselves first, so that nobody is left asleep. */
static void wait_for_change(atomic_uint *word, unsigned seen, atomic_uint *sleepers, int yields)
{
    for (int i = 0; i < SPINS + yields; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != seen)
            return;
        if (i < SPINS)
            cpu_pause();
        else
            sched_yield();
    }
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(word) == seen)
        futex_wait(word, seen);
    atomic_fetch_sub(sleepers, 1);
}

void pool_barrier(struct pool *pool)
{
    unsigned phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    if (atomic_fetch_add(&pool->arrived, 1) + 1 < pool->threads) {
        wait_for_change(&pool->phase, phase, &pool->phase_sleepers, YIELDS_BARRIER);
        return;
    }
    atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store(&pool->phase, phase + 1);
    if (atomic_load(&pool->phase_sleepers))
        futex_wake_all(&pool->phase);
}

size_t pool_next(struct pool *pool, size_t count)
{
    return atomic_fetch_add_explicit(&pool->next, count, memory_order_relaxed);
}

struct worker {
    struct pool *pool;
    unsigned thread;
};

static void *work(void *argument)
{
    struct worker worker = *(struct worker *)argument;
    free(argument);
    struct pool *pool = worker.pool;
    for (unsigned seen = 0;; seen++) {
        wait_for_change(&pool->generation, seen, &pool->idle_sleepers, YIELDS_IDLE);
        if (atomic_load(&pool->stop))
            return NULL;
        pool->job(pool->context, worker.thread);
        pool_barrier(pool);
    }
}

struct pool *pool_new(unsigned threads)
{
    struct pool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    if (!pool)
        abort();
    *pool = (struct pool){ .threads = threads, .handles = xcalloc(threads, sizeof(pthread_t)) };
    for (unsigned i = 1; i < threads; i++) {
        struct worker *worker = xmalloc(sizeof *worker);
        *worker = (struct worker){ pool, i };
        if (pthread_create(&pool->handles[i - 1], NULL, work, worker) != 0) {
            free(worker);
            pool->threads = i; /* fewer threads: slower, and right */
            break;
        }
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->generation, 1);
    futex_wake_all(&pool->generation);
    for (unsigned i = 1; i < pool->threads; i++)
        pthread_join(pool->handles[i - 1], NULL);
    free(pool->handles);
    free(pool);
}

unsigned pool_threads(const struct pool *pool)
{
    return pool->threads;
}

void pool_run(struct pool *pool, void (*job)(void *context, unsigned thread), void *context)
{
    pool->job = job;
    pool->context = context;
    atomic_store(&pool->next, 0);
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->idle_sleepers))
        futex_wake_all(&pool->generation);
    job(context, 0);
    pool_barrier(pool);
}
