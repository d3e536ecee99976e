#include "engine/cache_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { RECORD_MAX = 8 * 1024 };

struct cache_file {
    char *path, *beside;
    int fd;
    size_t len;
};

static void free_all(struct cache_file *file)
{
    free(file->path);
    free(file->beside);
    free(file);
}

struct cache_file *cache_file_new(const char *path, struct error **err)
{
    static atomic_uint count;
    struct cache_file *file = xcalloc(1, sizeof *file);
    file->path = xstrdup(path);
    file->beside = xasprintf("%s.%ld-%u", path, (long)getpid(), atomic_fetch_add(&count, 1));
    file->fd = open(file->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return file;
    error_errno(err, errno, "create %s", file->beside);
    free_all(file);
    return NULL;
}

bool cache_file_write(struct cache_file *file, const void *bytes, size_t len, struct error **err)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t written = write(file->fd, at, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_errno(err, errno, "write %s", file->beside);
        at += written;
        len -= (size_t)written;
        file->len += (size_t)written;
    }
    return true;
}

bool cache_file_pad(struct cache_file *file, struct error **err)
{
    static const char zeros[CACHE_FILE_PAGE];
    return cache_file_write(file, zeros, whole_pages(file->len) - file->len, err);
}

bool cache_file_commit(struct cache_file *file, struct error **err)
{
    bool ok = fsync(file->fd) == 0 || error_errno(err, errno, "sync %s", file->beside);
    ok = (close(file->fd) == 0 || !ok || error_errno(err, errno, "close %s", file->beside)) && ok;
    ok = ok && (rename(file->beside, file->path) == 0 || error_errno(err, errno, "rename to %s", file->path));
    if (!ok)
        unlink(file->beside);
    free_all(file);
    return ok;
}

void cache_file_drop(struct cache_file *file)
{
    if (!file)
        return;
    close(file->fd);
    unlink(file->beside);
    free_all(file);
}

/* ---- the record of a model's hash: one line "size inode mtime sha256 path" ---- */

static char *record_path(const char *directory, const char *path)
{
    return xasprintf("%s/sha256-%016llx", directory, (unsigned long long)str_hash(str_of(path), 0));
}

static char *record_line(const char *path, const struct stat *stat, const char *hex)
{
    return xasprintf("%lld %llu %lld.%09ld %s %s\n", (long long)stat->st_size,
                     (unsigned long long)stat->st_ino, (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec,
                     hex, path);
}

static char *full_path(const char *path)
{
    char *full = realpath(path, NULL);
    return full ? full : xstrdup(path);
}

bool sha256_recorded(const char *directory, const char *path, const struct stat *stat,
                     char hex[SHA256_HEX_LEN + 1])
{
    AUTO(text) char *full = full_path(path);
    AUTO(text) char *record = record_path(directory, full);
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(record, RECORD_MAX, &text, NULL))
        return false;
    struct str rest = strbuf_str(&text), part = { 0 };
    for (int i = 0; i < 4; i++)
        str_split(&rest, ' ', &part);
    if (part.len != SHA256_HEX_LEN)
        return false;
    memcpy(hex, part.ptr, SHA256_HEX_LEN);
    hex[SHA256_HEX_LEN] = 0;
    AUTO(text) char *expected = record_line(full, stat, hex);
    return str_eq(strbuf_str(&text), str_of(expected));
}

bool sha256_record(const char *directory, const char *path, const struct stat *stat, const char *hex,
                   struct error **err)
{
    AUTO(text) char *full = full_path(path);
    AUTO(text) char *record = record_path(directory, full);
    AUTO(text) char *line = record_line(full, stat, hex);
    return file_make_directories(directory, err) && file_replace(record, str_of(line), 0600, err);
}
