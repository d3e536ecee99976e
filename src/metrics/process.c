/* What every Prometheus client says of its process. Source: /proc/self, proc(5). */
#include "metrics/metrics_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

enum { STAT_STARTTIME = 22, STAT_TEXT_MAX = 4096 };

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void collect_memory(void)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    long pages = 0;
    if (file_read("/proc/self/statm", STAT_TEXT_MAX, &text, NULL) && sscanf(text.ptr, "%*s %ld", &pages) == 1)
        metric_set(METRIC_PROCESS_MEMORY, (double)pages * (double)sysconf(_SC_PAGESIZE));
}

static void collect_fds(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return;
    while (readdir(folder))
        count++;
    closedir(folder);
    struct rlimit limit;
    metric_set(METRIC_PROCESS_FDS,
               count > 3 ? (double)(count - 3) : 0); /* without ".", ".." and the folder's own */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_set(METRIC_PROCESS_MAX_FDS, (double)limit.rlim_cur);
}

/* Field 22 of /proc/self/stat, in ticks since the machine started; the name in field 2 may hold blanks and brackets. */
static double start_time(void)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read("/proc/self/stat", STAT_TEXT_MAX, &text, NULL))
        return 0;
    struct str rest = str_of(strrchr(text.ptr, ')')), field = { 0 };
    for (int i = 2; i <= STAT_STARTTIME; i++)
        str_split(&rest, ' ', &field);
    double since_boot = strtod(field.ptr ? field.ptr : "0", NULL) / (double)sysconf(_SC_CLK_TCK);
    double boot = (double)clock_utc_ms() / 1000 - (double)clock_boot_ms() / 1000;
    return boot + since_boot;
}

void process_collect(void)
{
    struct rusage usage;
    if (metric_value(METRIC_PROCESS_START) == 0)
        metric_set(METRIC_PROCESS_START, start_time());
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        metric_set(METRIC_PROCESS_CPU, seconds(usage.ru_utime) + seconds(usage.ru_stime));
    collect_memory();
    collect_fds();
}
