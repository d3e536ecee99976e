#include "tests/test.h"

#include <errno.h>

static void each_level_adds_what_it_was_doing(void **state)
{
    (void)state;
    struct error *err = NULL;
    assert_false(error_set(&err, ERROR_CONFLICT, "409 %s", "Conflict"));
    assert_false(error_wrap(&err, "scale %s/%s to %d", "shop", "web", 5));
    assert_string_equal(error_message(err), "scale shop/web to 5: 409 Conflict");
    assert_int_equal(error_code(err), ERROR_CONFLICT);
    assert_true(error_is_retryable(err));
    error_clear(&err);
    assert_null(err);
}

static void caller_that_does_not_care_passes_null(void **state)
{
    (void)state;
    assert_false(error_set(NULL, ERROR_IO, "x"));
    assert_false(error_wrap(NULL, "x"));
    assert_false(error_errno(NULL, ENOENT, "x"));
    assert_string_equal(error_message(NULL), "");
}

static void errno_becomes_code_and_text(void **state)
{
    (void)state;
    AUTO(error) struct error *err = NULL;
    error_errno(&err, ENOENT, "open %s", "/x");
    assert_int_equal(error_code(err), ERROR_NOT_FOUND);
    assert_string_equal(error_message(err), "open /x: No such file or directory");
    error_set_retry_after_ms(err, 5000);
    assert_int_equal(error_retry_after_ms(err), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_adds_what_it_was_doing),
        cmocka_unit_test(caller_that_does_not_care_passes_null),
        cmocka_unit_test(errno_becomes_code_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
