/* Points where the kill tests end this process, compiled in with -Dfault_points=true only: FAULT_POINT=NAME or NAME:COUNT
 * in the environment kills it the COUNTth time that it comes past the point NAME. */
#ifndef EXECUTOR_FAULT_H
#define EXECUTOR_FAULT_H

#ifdef FAULT_POINTS
void fault_point(const char *name);
#else
static inline void fault_point(const char *name)
{
    (void)name;
}
#endif

#endif
