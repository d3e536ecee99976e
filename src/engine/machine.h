/* What this machine, and the cgroup we are in, let us have. */
#ifndef ENGINE_MACHINE_H
#define ENGINE_MACHINE_H

#include <stdint.h>

unsigned machine_threads(void);          /* CPUs we may run on, bounded by the cgroup's quota; >= 1 */
uint64_t machine_memory_available(void); /* bytes, the least of MemAvailable and the cgroups' room */

#endif
