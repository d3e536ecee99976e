/* A circuit breaker: after so many failures in a row an endpoint is left alone for a while, then asked once to see.
 *
 *   closed ─(failures)─▶ open ─(time)─▶ half open ─(success)─▶ closed;  half open ─(failure)─▶ open, for twice as long */
#ifndef SLM_BREAKER_H
#define SLM_BREAKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_FAILURES = 5, BREAKER_OPEN_MS = 15 * 1000, BREAKER_OPEN_MAX_MS = 5 * 60 * 1000 };

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
extern const char *const breaker_state_names[];

struct breaker {
    pthread_mutex_t lock; /* guards what follows */
    enum breaker_state state;
    unsigned failures;         /* in a row */
    int64_t open_ms, until_ms; /* how long it stays open; clock_mono_ms() at which it may be tried */
};
#define BREAKER_INIT { .lock = PTHREAD_MUTEX_INITIALIZER }

/* Whether to ask now. True must be followed by one of the two below. */
bool breaker_allows(struct breaker *breaker);
void breaker_succeeded(struct breaker *breaker);
void breaker_failed(struct breaker *breaker);
enum breaker_state breaker_state(struct breaker *breaker);
int64_t breaker_wait_ms(struct breaker *breaker); /* until it may be tried; 0: now */

#endif
