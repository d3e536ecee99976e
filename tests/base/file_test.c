#include "tests/test.h"

#include <stdlib.h>
#include <unistd.h>

static void replaced_file_is_read_back(void **state)
{
    (void)state;
    struct error *err = NULL;
    char folder[] = "/tmp/file_test.XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO(text) char *deep = xasprintf("%s/a/b", folder), *path = xasprintf("%s/a/b/f", folder);
    assert_ok(file_make_directories(deep, &err), err);
    assert_ok(file_make_directories(deep, &err), err);
    assert_ok(file_replace(path, STR("one"), 0600, &err), err);
    assert_ok(file_replace(path, STR("two\0three"), 0600, &err), err);
    AUTO(strbuf) struct strbuf text = { 0 };
    assert_ok(file_read(path, 100, &text, &err), err);
    assert_str_equal(strbuf_str(&text), STR("two\0three"));
    assert_fails(file_read(path, 4, &text, &err), err, ERROR_LIMIT, "larger than 4 bytes");
    assert_fails(file_read("/nowhere/at/all", 4, &text, &err), err, ERROR_NOT_FOUND, "/nowhere/at/all");
    AUTO(text) char *clean = xasprintf("rm -r %s", folder);
    assert_int_equal(system(clean), 0);
}

static void directories_follow_the_environment(void **state)
{
    (void)state;
    setenv("XDG_STATE_HOME", "/s", 1);
    setenv("XDG_CACHE_HOME", "not-absolute", 1);
    setenv("HOME", "/home/u", 1);
    AUTO(text) char *states = file_state_directory(), *cache = file_cache_directory();
    assert_string_equal(states, "/s/prometheus-alerts-slm");
    assert_string_equal(cache, "/home/u/.cache/prometheus-alerts-slm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaced_file_is_read_back),
        cmocka_unit_test(directories_follow_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
