/* What every test file begins with. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#define assert_str_equal(actual, expected)                                                                   \
    do {                                                                                                     \
        struct str actual_ = (actual), expected_ = (expected);                                               \
        if (!str_eq(actual_, expected_))                                                                     \
            fail_msg("got \"" STR_FMT "\", expected \"" STR_FMT "\"", STR_ARG(actual_), STR_ARG(expected_)); \
    } while (0)

/* A call that must succeed; its error, where there is one, is shown. */
#define assert_ok(call, err)                                                                                 \
    do {                                                                                                     \
        if (!(call))                                                                                         \
            fail_msg("%s: %s", #call, error_message(err));                                                   \
    } while (0)

/* A call that must fail with this code and a message that holds this text. */
#define assert_fails(call, err, expected_code, text)                                                         \
    do {                                                                                                     \
        if (call)                                                                                            \
            fail_msg("%s succeeded", #call);                                                                 \
        assert_int_equal(error_code(err), (expected_code));                                                  \
        if (!strstr(error_message(err), (text)))                                                             \
            fail_msg("\"%s\" does not hold \"%s\"", error_message(err), (text));                             \
        error_clear(&(err));                                                                                 \
    } while (0)

#endif
