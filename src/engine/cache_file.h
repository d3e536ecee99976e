/* Files under the cache directory: written beside their place and renamed into it, so that what can be opened is whole;
 * never needed: one that is missing, damaged or cannot be written costs time only. */
#ifndef ENGINE_CACHE_FILE_H
#define ENGINE_CACHE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/sha256.h"

enum { CACHE_FILE_VERSION = 1, CACHE_FILE_PAGE = 4096 };

static inline size_t whole_pages(size_t bytes)
{
    return (bytes + CACHE_FILE_PAGE - 1) & ~(size_t)(CACHE_FILE_PAGE - 1);
}

struct cache_file;

struct cache_file *cache_file_new(const char *path, struct error **err);
bool cache_file_write(struct cache_file *file, const void *bytes, size_t len, struct error **err);
bool cache_file_pad(struct cache_file *file, struct error **err);    /* zeros up to a whole page */
bool cache_file_commit(struct cache_file *file, struct error **err); /* sync, rename; frees */
void cache_file_drop(struct cache_file *file);                       /* frees; NULL is fine */

/* The SHA-256 of the model at `path`, whose stat is `stat`: from the record in `directory` while size, inode and mtime
 * are those recorded. False if there is none. */
bool sha256_recorded(const char *directory, const char *path, const struct stat *stat,
                     char hex[SHA256_HEX_LEN + 1]);
bool sha256_record(const char *directory, const char *path, const struct stat *stat, const char *hex,
                   struct error **err);

#endif
