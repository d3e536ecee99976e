/* What the tests of actions stand on: one cluster with the objects of tests/cluster and those of objects.yaml, a node
 * whose kubelet is the stand-in with canned programs, an executor with a store of its own, and a user who has no right
 * but those that the action at hand declares. */
#ifndef TESTS_EXECUTOR_GROUND_H
#define TESTS_EXECUTOR_GROUND_H

#include "executor/executor.h"
#include "tests/k8s/fixture.h"

int ground_start(void **state);
int ground_stop(void **state);

struct executor *ground_executor(void);
/* The rights of the executor's user, from now on: what `actions rbac` prints for this one action. */
void ground_allow(enum action action);
/* A shell command with `k` for kubectl, its output; the caller frees. It must succeed. */
__attribute__((format(printf, 1, 2))) char *kubectl(const char *format, ...);
/* What the executor's user has changed since the last call, a line each; "" for nothing. The caller frees. */
char *ground_writes(void);
void ground_forget_writes(void); /* those until now are not told */
/* The commands that the stand-in of the kubelet has run since the last call, a line each. The caller frees. */
char *ground_execs(void);

#endif
