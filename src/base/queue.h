/* A bounded queue of pointers between threads. Closing it wakes everybody: what is in it can still be taken. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue; /* locks itself */

struct queue *queue_new(size_t capacity);
void queue_free(struct queue *queue); /* what is still in it is the caller's to free: drain it first */
static inline void queue_cleanup(struct queue **queue)
{
    queue_free(*queue);
}

bool queue_put(struct queue *queue, void *item, int64_t wait_ms); /* false: full for that long, or closed */
void *queue_take(struct queue *queue,
                 int64_t wait_ms); /* NULL: empty for that long, or closed and empty; -1: no limit */
size_t queue_len(struct queue *queue);
void queue_close(struct queue *queue);

#endif
