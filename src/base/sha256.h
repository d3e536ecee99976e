/* SHA-256 (FIPS 180-4), by GnuTLS. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

enum { SHA256_HEX_LEN = 64 };

void sha256_hex(struct str data, char hex[SHA256_HEX_LEN + 1]); /* lower case */
bool sha256_file_hex(const char *path, char hex[SHA256_HEX_LEN + 1], struct error **err);

/* In pieces: new, add any number of times, then end, which frees. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *hash, struct str data);
void sha256_end(struct sha256 *hash, char hex[SHA256_HEX_LEN + 1]);

#endif
