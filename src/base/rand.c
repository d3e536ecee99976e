#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

void rand_bytes(void *out, size_t len)
{
    unsigned char *at = out;
    while (len) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0)
            at += got, len -= (size_t)got;
    }
}

uint64_t rand_u64(void)
{
    uint64_t value;
    rand_bytes(&value, sizeof value);
    return value;
}

double rand_unit(void)
{
    return (double)(rand_u64() >> 11) * 0x1p-53;
}

static void increment(unsigned char bytes[10])
{
    for (int i = 9; i >= 0; i--)
        if (++bytes[i] != 0)
            return;
}

/* 16 bytes as 26 digits of 5 bits, the first digit holding the top 3 of 128. */
static void encode_base32(const unsigned char bytes[16], char out[ULID_LEN + 1])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    for (int i = 0; i < ULID_LEN; i++) {
        int shift = 125 - 5 * i; /* of the digit's lowest bit, counted from the value's end */
        unsigned value = 0;
        for (int bit = 4; bit >= 0; bit--) {
            int at = shift + bit;
            value = value << 1 | (at < 128 ? bytes[15 - at / 8] >> (at % 8) & 1u : 0);
        }
        out[i] = digits[value];
    }
    out[ULID_LEN] = 0;
}

void ulid_new(char out[ULID_LEN + 1])
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards last_ms and tail */
    static int64_t last_ms;
    static unsigned char tail[10];
    unsigned char bytes[16];

    pthread_mutex_lock(&lock);
    int64_t now = clock_utc_ms();
    if (now > last_ms) {
        last_ms = now;
        rand_bytes(tail, sizeof tail);
        tail[0] &= 0x7f; /* room to count up within the millisecond */
    } else {
        increment(tail);
    }
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(last_ms >> (40 - 8 * i));
    memcpy(bytes + 6, tail, sizeof tail);
    pthread_mutex_unlock(&lock);
    encode_base32(bytes, out);
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

double rng_unit(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)rng_u64(rng) * bound) >> 64);
}
