/* Random bytes from the operating system, and the identifiers made of them. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t len); /* getrandom(2); cannot fail */
uint64_t rand_u64(void);
double rand_unit(void); /* in [0, 1) */

/* A ULID in lower case: 48 bits of UTC milliseconds, 80 random bits, Crockford's base 32. Those made within one
 * millisecond by one process still sort in order. Specification: github.com/ulid/spec. */
enum { ULID_LEN = 26 };
void ulid_new(char out[ULID_LEN + 1]);

/* A small repeatable generator for tests, sampling and simulations (splitmix64, Steele et al. 2014). */
struct rng {
    uint64_t state; /* any seed */
};
uint64_t rng_u64(struct rng *rng);
double rng_unit(struct rng *rng);                    /* in [0, 1) */
uint64_t rng_below(struct rng *rng, uint64_t bound); /* in [0, bound); bound > 0 */

#endif
