#include "tests/store/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

const char *fixture_path(struct fixture *fixture, const char *name)
{
    return arena_printf(fixture->arena, "%s/%s", fixture->folder, name);
}

static void open_store(struct fixture *f)
{
    struct store_options options = { .url = f->url, .is_server = true };
    assert_ok(f->store = store_open(&options, &f->err), f->err);
}

int fixture_setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    *state = f;
    f->arena = arena_new(16 * 1024);
    snprintf(f->folder, sizeof f->folder, "/tmp/store-test-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    f->url = xasprintf("sqlite:%s/store.db", f->folder);
    f->clock = (struct clock_fake){ .mono_us = 1000000000, .utc_ms = INT64_C(1795000000000) };
    clock_replace(&f->clock);
    open_store(f);
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    clock_replace(NULL);
    AUTO(text) char *command = xasprintf("rm -rf '%s'", f->folder);
    int status = system(command);
    arena_free(f->arena);
    error_free(f->err);
    free(f->url);
    free(f);
    return status;
}

void fixture_reopen(struct fixture *f)
{
    store_close(f->store);
    open_store(f);
}
