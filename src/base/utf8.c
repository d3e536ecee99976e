#include "base/utf8.h"

#include "base/mem.h"

/* By lead byte: how many bytes follow, and the bounds of the first of them (Unicode 15, table 3-7). */
static size_t lead_byte(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80, *high = 0xbf;
    if (lead < 0x80)
        return 0;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 1;
    if (lead >= 0xe0 && lead <= 0xef) {
        *low = lead == 0xe0 ? 0xa0 : 0x80;
        *high = lead == 0xed ? 0x9f : 0xbf;
        return 2;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *low = lead == 0xf0 ? 0x90 : 0x80;
        *high = lead == 0xf4 ? 0x8f : 0xbf;
        return 3;
    }
    return SIZE_MAX;
}

size_t utf8_decode(struct str s, uint32_t *code)
{
    const unsigned char *bytes = (const unsigned char *)s.ptr;
    unsigned char low, high;
    size_t follow = lead_byte(bytes[0], &low, &high);
    *code = UTF8_INVALID;
    if (follow == SIZE_MAX)
        return 1;
    uint32_t value = follow == 0 ? bytes[0] : bytes[0] & (0x3fu >> follow);
    for (size_t i = 1; i <= follow; i++, low = 0x80, high = 0xbf) {
        if (i >= s.len || bytes[i] < low || bytes[i] > high)
            return i;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    *code = value;
    return follow + 1;
}

size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t follow = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (size_t i = follow; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(0xff00u >> (follow + 1) | code);
    return follow + 1;
}

bool utf8_is_valid(struct str s)
{
    while (s.len) {
        uint32_t code;
        size_t len = utf8_decode(s, &code);
        if (code == UTF8_INVALID)
            return false;
        s = str_slice(s, len, s.len);
    }
    return true;
}

struct str utf8_prefix(struct str s, size_t max)
{
    if (s.len <= max)
        return s;
    while (max > 0 && ((unsigned char)s.ptr[max] & 0xc0) == 0x80)
        max--;
    return (struct str){ s.ptr, max };
}
