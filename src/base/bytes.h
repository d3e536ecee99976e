/* A reader over bytes from outside that remembers its failure: past the end it gives zeros and is not ok from then on. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct reader {
    const unsigned char *bytes; /* borrowed */
    size_t len, at;
    bool failed;
};

static inline struct reader reader_of(const void *bytes, size_t len)
{
    return (struct reader){ .bytes = bytes, .len = len };
}
static inline bool reader_ok(const struct reader *in)
{
    return !in->failed;
}
static inline size_t reader_left(const struct reader *in)
{
    return in->failed ? 0 : in->len - in->at;
}

/* Little-endian numbers. */
uint8_t reader_u8(struct reader *in);
uint16_t reader_u16(struct reader *in);
uint32_t reader_u32(struct reader *in);
uint64_t reader_u64(struct reader *in);
float reader_f32(struct reader *in);
double reader_f64(struct reader *in);

const void *reader_bytes(struct reader *in, size_t len); /* borrowed; NULL past the end */
struct str reader_str(struct reader *in, size_t max);    /* u64 length, then bytes; longer than max fails */
void reader_seek(struct reader *in, size_t at);
void reader_align(struct reader *in, size_t alignment); /* a power of two */

#endif
