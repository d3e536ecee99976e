#include "base/sha256.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { DIGEST_LEN = 32 };

struct sha256 {
    gnutls_hash_hd_t handle;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *hash = xcalloc(1, sizeof *hash);
    if (gnutls_hash_init(&hash->handle, GNUTLS_DIG_SHA256) != 0)
        abort();
    return hash;
}

void sha256_add(struct sha256 *hash, struct str data)
{
    if (data.len)
        gnutls_hash(hash->handle, data.ptr, data.len);
}

void sha256_end(struct sha256 *hash, char hex[SHA256_HEX_LEN + 1])
{
    unsigned char digest[DIGEST_LEN];
    gnutls_hash_deinit(hash->handle, digest);
    free(hash);
    for (int i = 0; i < DIGEST_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void sha256_hex(struct str data, char hex[SHA256_HEX_LEN + 1])
{
    struct sha256 *hash = sha256_new();
    sha256_add(hash, data);
    sha256_end(hash, hex);
}

bool sha256_file_hex(const char *path, char hex[SHA256_HEX_LEN + 1], struct error **err)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return error_errno(err, errno, "open %s", path);
    struct sha256 *hash = sha256_new();
    char *block = xmalloc(1 << 20);
    size_t got;
    while ((got = fread(block, 1, 1 << 20, file)) > 0)
        sha256_add(hash, (struct str){ block, got });
    bool failed = ferror(file);
    int number = errno;
    free(block);
    fclose(file);
    sha256_end(hash, hex);
    return failed ? error_errno(err, number, "read %s", path) : true;
}
