/* Points where the kill tests end this process: FAULT_POINT=NAME or NAME:COUNT in the environment kills it the COUNTth time
 * that it comes past the point NAME. Compiled into the test build of this folder only (FAULT_POINTS, tests/executor); in
 * the program they are nothing. */
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
