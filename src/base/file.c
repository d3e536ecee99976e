#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"

static void fd_cleanup(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

bool file_read(const char *path, size_t max, struct strbuf *text, struct error **err)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    strbuf_clear(text);
    for (;;) {
        strbuf_reserve(text, 64 * 1024);
        ssize_t got = read(fd, text->ptr + text->len, 64 * 1024);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, errno, "read %s", path);
        text->len += (size_t)got;
        text->ptr[text->len] = 0;
        if (text->len > max)
            return error_set(err, ERROR_LIMIT, "%s is larger than %zu bytes", path, max);
        if (got == 0)
            return true;
    }
}

static bool write_all(int fd, struct str content)
{
    while (content.len) {
        ssize_t written = write(fd, content.ptr, content.len);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0)
            content = str_slice(content, (size_t)written, content.len);
    }
    return true;
}

static void sync_folder_of(const char *path)
{
    AUTO(text) char *folder = xstrdup(path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    AUTO(fd) int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        fsync(fd);
}

bool file_replace(const char *path, struct str content, unsigned mode, struct error **err)
{
    AUTO(text) char *beside = xasprintf("%s.%08x", path, (unsigned)rand_u64());
    AUTO(fd) int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_errno(err, errno, "create %s", beside);
    if (!write_all(fd, content) || fsync(fd) != 0 || rename(beside, path) != 0) {
        int number = errno;
        unlink(beside);
        return error_errno(err, number, "write %s", path);
    }
    sync_folder_of(path);
    return true;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool file_make_directories(const char *path, struct error **err)
{
    AUTO(text) char *part = xstrdup(path);
    for (char *at = part + 1;; at++) {
        char c = *at;
        if (c != '/' && c != 0)
            continue;
        *at = 0;
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return error_errno(err, errno, "make the folder %s", part);
        if (!c)
            return true;
        *at = c;
    }
}

static char *user_directory(const char *variable, const char *below_home, const char *of_system)
{
    const char *given = getenv(variable), *home = getenv("HOME");
    if (given && given[0] == '/')
        return xasprintf("%s/prometheus-alerts-slm", given);
    if (home && home[0])
        return xasprintf("%s/%s/prometheus-alerts-slm", home, below_home);
    return xasprintf("%s/prometheus-alerts-slm", of_system);
}

char *file_state_directory(void)
{
    return user_directory("XDG_STATE_HOME", ".local/state", "/var/lib");
}

char *file_cache_directory(void)
{
    return user_directory("XDG_CACHE_HOME", ".cache", "/var/cache");
}
