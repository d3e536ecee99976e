#include "base/queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"

struct queue {
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t not_empty, not_full;
    size_t capacity, head, len;
    bool closed;
    void **items;
};

struct queue *queue_new(size_t capacity)
{
    struct queue *queue = xcalloc(1, sizeof *queue);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_empty, &monotonic);
    pthread_cond_init(&queue->not_full, &monotonic);
    pthread_condattr_destroy(&monotonic);
    queue->capacity = MAX(capacity, (size_t)1);
    queue->items = xcalloc(queue->capacity, sizeof *queue->items);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    free(queue->items);
    free(queue);
}

/* Waits on the real clock even where tests replaced ours: threads really sleep. */
static bool wait_until(pthread_cond_t *condition, struct queue *queue, const struct timespec *deadline)
{
    return (deadline ? pthread_cond_timedwait(condition, &queue->lock, deadline)
                     : pthread_cond_wait(condition, &queue->lock)) == 0;
}

static struct timespec *deadline_in(int64_t wait_ms, struct timespec *deadline)
{
    if (wait_ms < 0)
        return NULL;
    clock_gettime(CLOCK_MONOTONIC, deadline);
    deadline->tv_sec += wait_ms / 1000;
    deadline->tv_nsec += wait_ms % 1000 * 1000000;
    if (deadline->tv_nsec >= 1000000000)
        deadline->tv_sec++, deadline->tv_nsec -= 1000000000;
    return deadline;
}

bool queue_put(struct queue *queue, void *item, int64_t wait_ms)
{
    struct timespec at, *deadline = deadline_in(wait_ms, &at);
    pthread_mutex_lock(&queue->lock);
    while (queue->len == queue->capacity && !queue->closed && wait_until(&queue->not_full, queue, deadline))
        ;
    bool room = queue->len < queue->capacity && !queue->closed;
    if (room) {
        queue->items[(queue->head + queue->len++) % queue->capacity] = item;
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return room;
}

void *queue_take(struct queue *queue, int64_t wait_ms)
{
    struct timespec at, *deadline = deadline_in(wait_ms, &at);
    void *item = NULL;
    pthread_mutex_lock(&queue->lock);
    while (queue->len == 0 && !queue->closed && wait_until(&queue->not_empty, queue, deadline))
        ;
    if (queue->len) {
        item = queue->items[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->len--;
        pthread_cond_signal(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return item;
}

size_t queue_len(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t len = queue->len;
    pthread_mutex_unlock(&queue->lock);
    return len;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}
