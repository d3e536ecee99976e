/* WebSocket frames, RFC 6455, the client's side. libcurl of Debian 12 has no WebSocket, so they are made here. No I/O. */
#include "k8s/k8s.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

#include "k8s/k8s_internal.h"

static uint64_t big_endian(const unsigned char *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | bytes[i];
    return value;
}

static bool is_known(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

bool websocket_parse(struct str bytes, size_t max, struct websocket_frame *frame, size_t *used,
                     struct error **err)
{
    const unsigned char *b = (const unsigned char *)bytes.ptr;
    *used = 0;
    if (bytes.len < 2)
        return true;
    unsigned opcode = b[0] & 0x0f;
    uint64_t len = b[1] & 0x7f;
    size_t extra = len == 127 ? 8 : len == 126 ? 2 : 0;
    if (b[0] & 0x70 || b[1] & 0x80 || !is_known(opcode))
        return error_set(err, ERROR_INVALID, "a WebSocket frame with reserved bits, a mask or opcode %u",
                         opcode);
    if (opcode >= WS_CLOSE && (extra || !(b[0] & 0x80)))
        return error_set(err, ERROR_INVALID, "a WebSocket control frame that is long or in parts");
    if (bytes.len < 2 + extra)
        return true;
    len = extra ? big_endian(b + 2, extra) : len;
    if (len > max)
        return error_set(err, ERROR_LIMIT, "a WebSocket frame of %llu bytes: at most %zu",
                         (unsigned long long)len, max);
    if (bytes.len - 2 - extra < len)
        return true;
    *frame = (struct websocket_frame){ b[0] & 0x80, opcode, { bytes.ptr + 2 + extra, (size_t)len } };
    *used = 2 + extra + (size_t)len;
    return true;
}

void websocket_add(struct strbuf *out, enum websocket_opcode opcode, struct str payload)
{
    unsigned char mask[4];
    rand_bytes(mask, sizeof mask);
    strbuf_add_char(out, (char)(0x80 | opcode));
    if (payload.len < 126)
        strbuf_add_char(out, (char)(0x80 | payload.len));
    else if (payload.len <= 0xffff)
        strbuf_add(out, (struct str){
                            (char[]){ (char)(0x80 | 126), (char)(payload.len >> 8), (char)payload.len }, 3 });
    else {
        strbuf_add_char(out, (char)(0x80 | 127));
        for (int shift = 56; shift >= 0; shift -= 8)
            strbuf_add_char(out, (char)((uint64_t)payload.len >> shift));
    }
    strbuf_add(out, (struct str){ (const char *)mask, 4 });
    strbuf_reserve(out, payload.len);
    for (size_t i = 0; i < payload.len; i++)
        strbuf_add_char(out, (char)(payload.ptr[i] ^ mask[i % 4]));
}

static void base64(const void *bytes, size_t len, char *out, size_t size)
{
    gnutls_datum_t in = { (unsigned char *)bytes, (unsigned)len }, text = { 0 };
    *out = 0;
    if (gnutls_base64_encode2(&in, &text) == 0)
        snprintf(out, size, "%.*s", (int)text.size, text.data);
    gnutls_free(text.data);
}

void websocket_key(char key[25])
{
    unsigned char bytes[16];
    rand_bytes(bytes, sizeof bytes);
    base64(bytes, sizeof bytes, key, 25);
}

/* SHA-1 is RFC 6455's choice, and no secret depends on it: it shows that a WebSocket server read the key. */
void websocket_accept(const char *key, char accept[29])
{
    unsigned char digest[20];
    char text[64];
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest);
    base64(digest, sizeof digest, accept, 29);
}
