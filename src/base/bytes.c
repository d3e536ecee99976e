#include "base/bytes.h"

#include <string.h>

const void *reader_bytes(struct reader *in, size_t len)
{
    if (in->failed || len > in->len - in->at) {
        in->failed = true;
        return NULL;
    }
    const void *bytes = in->bytes + in->at;
    in->at += len;
    return bytes;
}

static uint64_t little_endian(struct reader *in, size_t len)
{
    const unsigned char *bytes = reader_bytes(in, len);
    uint64_t value = 0;
    for (size_t i = len; bytes && i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

uint8_t reader_u8(struct reader *in)
{
    return (uint8_t)little_endian(in, 1);
}

uint16_t reader_u16(struct reader *in)
{
    return (uint16_t)little_endian(in, 2);
}

uint32_t reader_u32(struct reader *in)
{
    return (uint32_t)little_endian(in, 4);
}

uint64_t reader_u64(struct reader *in)
{
    return little_endian(in, 8);
}

float reader_f32(struct reader *in)
{
    uint32_t bits = reader_u32(in);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double reader_f64(struct reader *in)
{
    uint64_t bits = reader_u64(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct str reader_str(struct reader *in, size_t max)
{
    uint64_t len = reader_u64(in);
    if (len > max)
        in->failed = true;
    const char *bytes = reader_bytes(in, in->failed ? 0 : (size_t)len);
    return bytes ? (struct str){ bytes, (size_t)len } : (struct str){ 0 };
}

void reader_seek(struct reader *in, size_t at)
{
    if (at > in->len)
        in->failed = true;
    else
        in->at = at;
}

void reader_align(struct reader *in, size_t alignment)
{
    reader_seek(in, (in->at + alignment - 1) & ~(alignment - 1));
}
