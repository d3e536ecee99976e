#include "executor/fault.h"

#ifdef FAULT_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fault_point(const char *name)
{
    static long passed;
    const char *wanted = getenv("FAULT_POINT");
    size_t len = strlen(name);
    if (!wanted || strncmp(wanted, name, len) != 0 || (wanted[len] && wanted[len] != ':'))
        return;
    long count = wanted[len] == ':' ? atol(wanted + len + 1) : 1;
    if (__atomic_add_fetch(&passed, 1, __ATOMIC_SEQ_CST) == count)
        kill(getpid(), SIGKILL);
}
#endif
