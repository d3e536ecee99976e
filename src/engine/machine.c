/* cgroup v2 (cpu.max, memory.max) along our own path and its parents, and v1's cpu and memory controllers. */
#include "engine/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { SMALL_FILE_MAX = 64 * 1024, PATH_LEN = 4096 };

static bool read_text(const char *path, struct strbuf *text)
{
    strbuf_clear(text);
    return file_read(path, SMALL_FILE_MAX, text, NULL);
}

/* The value after `key` in lines such as "MemAvailable:   12345 kB". */
static bool find_number(struct str text, struct str key, uint64_t *value)
{
    struct str line;
    while (str_split(&text, '\n', &line)) {
        if (!str_starts_with(line, key))
            continue;
        struct str rest = str_trim(str_slice(line, key.len, line.len)), word;
        return str_split(&rest, ' ', &word) && str_to_u64(word, value);
    }
    return false;
}

static bool read_number(const char *directory, const char *name, uint64_t *value)
{
    char path[PATH_LEN + 64];
    AUTO(strbuf) struct strbuf text = { 0 };
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return read_text(path, &text) && str_to_u64(str_trim(strbuf_str(&text)), value);
}

/* CPUs' worth of quota, rounded up; 0: none set. */
static unsigned quota_v2(const char *directory)
{
    char path[PATH_LEN + 16];
    AUTO(strbuf) struct strbuf text = { 0 };
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    if (!read_text(path, &text))
        return 0;
    struct str rest = str_trim(strbuf_str(&text)), quota, period;
    uint64_t q, p;
    if (!str_split(&rest, ' ', &quota) || !str_split(&rest, ' ', &period) || !str_to_u64(quota, &q) ||
        !str_to_u64(period, &p) || p == 0)
        return 0;
    return (unsigned)((q + p - 1) / p);
}

static unsigned quota_v1(const char *directory)
{
    uint64_t quota, period;
    if (!read_number(directory, "cpu.cfs_quota_us", &quota) ||
        !read_number(directory, "cpu.cfs_period_us", &period))
        return 0;
    return period ? (unsigned)((quota + period - 1) / period) : 0;
}

static uint64_t room_v2(const char *directory)
{
    uint64_t max, used;
    if (!read_number(directory, "memory.max", &max) || !read_number(directory, "memory.current", &used))
        return UINT64_MAX;
    return max > used ? max - used : 0;
}

static uint64_t room_v1(const char *directory)
{
    uint64_t max, used;
    if (!read_number(directory, "memory.limit_in_bytes", &max) ||
        !read_number(directory, "memory.usage_in_bytes", &used))
        return UINT64_MAX;
    return max > used ? max - used : 0;
}

struct limits {
    unsigned cpus; /* 0: no limit */
    uint64_t room;
};

static void tighten(struct limits *limits, const char *directory)
{
    unsigned quota = quota_v2(directory);
    uint64_t room = room_v2(directory), room1 = room_v1(directory);
    quota = quota ? quota : quota_v1(directory);
    if (quota && (!limits->cpus || quota < limits->cpus))
        limits->cpus = quota;
    limits->room = MIN(limits->room, MIN(room, room1));
}

/* `path` below `root` and all its parents: a limit anywhere above holds too. */
static void tighten_upward(struct limits *limits, const char *root, struct str path)
{
    char directory[PATH_LEN];
    for (;;) {
        snprintf(directory, sizeof directory, "%s" STR_FMT, root, STR_ARG(path));
        tighten(limits, directory);
        while (path.len > 0 && path.ptr[path.len - 1] != '/')
            path.len--;
        if (path.len == 0)
            return;
        path.len--;
    }
}

/* Lines of /proc/self/cgroup: "0::/path" (v2), "4:cpu,cpuacct:/path" (v1). */
static struct limits cgroup_limits(void)
{
    struct limits limits = { 0, UINT64_MAX };
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!read_text("/proc/self/cgroup", &text))
        return limits;
    struct str rest = strbuf_str(&text), line;
    while (str_split(&rest, '\n', &line)) {
        struct str number, controllers, path = line;
        if (!str_split(&path, ':', &number) || !str_split(&path, ':', &controllers) ||
            path.len > PATH_LEN / 2)
            continue;
        if (str_is_empty(controllers))
            tighten_upward(&limits, "/sys/fs/cgroup", path);
        else if (str_find(controllers, STR("cpu"), NULL))
            tighten_upward(&limits, "/sys/fs/cgroup/cpu", path);
        else if (str_eq(controllers, STR("memory")))
            tighten_upward(&limits, "/sys/fs/cgroup/memory", path);
    }
    return limits;
}

unsigned machine_threads(void)
{
    cpu_set_t set;
    unsigned cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    unsigned quota = cgroup_limits().cpus;
    cpus = quota && quota < cpus ? quota : cpus;
    return MAX(cpus, 1u);
}

uint64_t machine_memory_available(void)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    uint64_t kib = 0, room = cgroup_limits().room;
    if (!read_text("/proc/meminfo", &text) || !find_number(strbuf_str(&text), STR("MemAvailable:"), &kib))
        return room;
    return MIN(room, kib * 1024);
}
