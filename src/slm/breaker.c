#include "slm/breaker.h"

#include "base/clock.h"
#include "base/mem.h"

const char *const breaker_state_names[] = { "closed", "open", "half open" };

/* The one that tries a half-open breaker holds it: until_ms is set ahead, so that others wait, and a tester that never
 * comes back does not keep it shut for good. */
bool breaker_allows(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->lock);
    bool allowed = breaker->state == BREAKER_CLOSED || clock_mono_ms() >= breaker->until_ms;
    if (allowed && breaker->state != BREAKER_CLOSED) {
        breaker->state = BREAKER_HALF_OPEN;
        breaker->until_ms = clock_mono_ms() + breaker->open_ms;
    }
    pthread_mutex_unlock(&breaker->lock);
    return allowed;
}

void breaker_succeeded(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->lock);
    breaker->state = BREAKER_CLOSED;
    breaker->failures = 0;
    breaker->open_ms = 0;
    pthread_mutex_unlock(&breaker->lock);
}

void breaker_failed(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->lock);
    breaker->failures++;
    if (breaker->state == BREAKER_HALF_OPEN || breaker->failures >= BREAKER_FAILURES) {
        breaker->open_ms =
            breaker->open_ms ? MIN(2 * breaker->open_ms, BREAKER_OPEN_MAX_MS) : BREAKER_OPEN_MS;
        breaker->until_ms = clock_mono_ms() + breaker->open_ms;
        breaker->state = BREAKER_OPEN;
    }
    pthread_mutex_unlock(&breaker->lock);
}

enum breaker_state breaker_state(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->lock);
    enum breaker_state state = breaker->state;
    pthread_mutex_unlock(&breaker->lock);
    return state;
}

int64_t breaker_wait_ms(struct breaker *breaker)
{
    pthread_mutex_lock(&breaker->lock);
    int64_t wait = breaker->state == BREAKER_CLOSED ? 0 : breaker->until_ms - clock_mono_ms();
    pthread_mutex_unlock(&breaker->lock);
    return MAX(wait, 0);
}
