#include "engine/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAPPINGS_MAX = 64 };

static struct mapped_range {
    _Atomic(uintptr_t) begin; /* 0: the slot is free; 1: being filled */
    _Atomic(uintptr_t) end;
    atomic_bool failed;
} ranges[MAPPINGS_MAX];

static struct sigaction previous_action;
static size_t page_size; /* set before the handler is installed */

static struct mapped_range *range_of(uintptr_t address)
{
    for (int i = 0; i < MAPPINGS_MAX; i++) {
        uintptr_t begin = atomic_load(&ranges[i].begin);
        if (begin > 1 && address >= begin && address < atomic_load(&ranges[i].end))
            return &ranges[i];
    }
    return NULL;
}

/* Only what is safe in a handler: atomics, and mmap(), which is a bare system call. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(page_size - 1);
    struct mapped_range *range = range_of((uintptr_t)info->si_addr);
    if (range && mmap((void *)page, page_size, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
                     MAP_FAILED) {
        atomic_store(&range->failed, true);
        return;
    }
    if (previous_action.sa_flags & SA_SIGINFO) {
        previous_action.sa_sigaction(number, info, context);
        return;
    }
    sigaction(SIGBUS, &previous_action,
              NULL); /* not ours: the instruction runs again and meets the old handler */
}

/* At each mapping, since somebody may have put another handler over ours (test frameworks do). */
static void install_handler(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct sigaction now, action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER };
    pthread_mutex_lock(&lock);
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    if (sigaction(SIGBUS, NULL, &now) == 0 &&
        !((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus_error)) {
        previous_action = now;
        sigemptyset(&action.sa_mask);
        sigaction(SIGBUS, &action, NULL);
    }
    pthread_mutex_unlock(&lock);
}

static int range_take(void)
{
    install_handler();
    for (int i = 0; i < MAPPINGS_MAX; i++) {
        uintptr_t is_free = 0;
        if (atomic_compare_exchange_strong(&ranges[i].begin, &is_free, 1))
            return i;
    }
    return -1;
}

static bool map_descriptor(struct mapping *mapping, int fd, const char *path, struct error **err)
{
    if (fstat(fd, &mapping->stat) != 0)
        return error_errno(err, errno, "stat %s", path);
    if (!S_ISREG(mapping->stat.st_mode))
        return error_set(err, ERROR_INVALID, "%s is not a regular file", path);
    mapping->len = (size_t)mapping->stat.st_size;
    if (mapping->len == 0)
        return true;
    void *bytes = mmap(NULL, mapping->len, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return error_errno(err, errno, "map %s", path);
    mapping->bytes = bytes;
    return true;
}

struct mapping *mapping_open(const char *path, struct error **err)
{
    AUTO(mapping) struct mapping *mapping = xcalloc(1, sizeof *mapping);
    mapping->slot = range_take();
    if (mapping->slot < 0) {
        error_set(err, ERROR_LIMIT, "map %s: %d files are mapped already", path, MAPPINGS_MAX);
        return NULL;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_errno(err, errno, "open %s", path);
        return NULL;
    }
    bool mapped = map_descriptor(mapping, fd, path, err);
    close(fd);
    if (!mapped)
        return NULL;
    struct mapped_range *range = &ranges[mapping->slot];
    atomic_store(&range->failed, false);
    atomic_store(&range->end, (uintptr_t)mapping->bytes + mapping->len);
    atomic_store(&range->begin, mapping->bytes ? (uintptr_t)mapping->bytes : 1);
    return STEAL(mapping);
}

void mapping_close(struct mapping *mapping)
{
    if (!mapping)
        return;
    if (mapping->slot >= 0)
        atomic_store(&ranges[mapping->slot].begin, 0);
    if (mapping->bytes)
        munmap(mapping->bytes, mapping->len);
    free(mapping);
}

bool mapping_failed(const struct mapping *mapping)
{
    return mapping && mapping->slot >= 0 && atomic_load(&ranges[mapping->slot].failed);
}
