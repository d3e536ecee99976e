/* A fixed set of threads that run one function together, with barriers inside it.
 * The caller is thread 0. A barrier spins for a bounded time (hand-over takes 0.2 us, a futex 90), then sleeps: on a
 * machine that is shared, the other thread may have lost its core. Between jobs the threads sleep likewise. */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool *pool_new(unsigned threads); /* >= 1 */
void pool_free(struct pool *pool);
unsigned pool_threads(const struct pool *pool);

/* job(context, 0..threads-1) in all threads; returns when all are through. One caller at a time. */
void pool_run(struct pool *pool, void (*job)(void *context, unsigned thread), void *context);

/* Inside a job: wait until all threads are here. Resets the counter of pool_next(). */
void pool_barrier(struct pool *pool);

/* Inside a job: the next `count` of numbers 0, 1, 2, … that no thread has taken since the last barrier. */
size_t pool_next(struct pool *pool, size_t count);

#endif
