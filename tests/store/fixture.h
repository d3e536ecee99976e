/* A store for a test: an empty one, of the back end that STORE_TEST_URL names, else SQLite in a folder of its own. The
 * contract tests are written once; meson.build runs them for each back end. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "store/store.h"

struct fixture {
    char folder[64];
    char *url;
    struct store *store;
    struct arena *arena;
    struct clock_fake clock; /* in force between setup and teardown */
    struct error *err;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_advance(struct fixture *fixture, int64_t ms);           /* the clock, and that of leases */
void fixture_reopen(struct fixture *fixture);                        /* as after a restart */
const char *fixture_path(struct fixture *fixture, const char *name); /* in its folder */

#endif
