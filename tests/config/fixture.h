/* A configuration from texts: file, environment, --set. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"

static char fixture_folder[] = "/tmp/config_test.XXXXXX";
static char *fixture_path;

static inline int fixture_start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(fixture_folder));
    fixture_path = xasprintf("%s/config.yaml", fixture_folder);
    return 0;
}

static inline int fixture_stop(void **state)
{
    (void)state;
    AUTO(text) char *clean = xasprintf("rm -r %s", fixture_folder);
    free(fixture_path);
    return system(clean);
}

static inline void fixture_write(const char *path, const char *text)
{
    struct error *err = NULL;
    assert_ok(file_replace(path, str_of(text), 0600, &err), err);
}

/* `yaml` is the file's text, NULL for none; the lists end with NULL. */
static inline struct config *fixture_load(const char *yaml, const char *const *environment,
                                          const char *const *set, struct error **err)
{
    static const char *const empty[] = { NULL };
    if (yaml)
        fixture_write(fixture_path, yaml);
    struct config_options options = {
        .path = yaml ? fixture_path : NULL,
        .set = set,
        .environment = (char *const *)(environment ? environment : empty),
    };
    return config_load(&options, err);
}
#define ENVIRONMENT(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SET(...) ((const char *const[]){ __VA_ARGS__, NULL })

#endif
