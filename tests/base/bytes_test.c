#include "tests/test.h"

static void numbers_are_little_endian(void **state)
{
    (void)state;
    const unsigned char bytes[] = { 1, 2, 0, 3, 0, 0, 0, 0, 0, 128, 63 };
    struct reader in = reader_of(bytes, sizeof bytes);
    assert_int_equal(reader_u8(&in), 1);
    assert_int_equal(reader_u16(&in), 2);
    assert_int_equal(reader_u32(&in), 3);
    assert_true(reader_f32(&in) == 1.0f);
    assert_true(reader_ok(&in));
    assert_int_equal(reader_left(&in), 0);
}

static void past_the_end_gives_zeros_from_then_on(void **state)
{
    (void)state;
    struct reader in = reader_of("\xff\xff\xff", 3);
    assert_int_equal(reader_u32(&in), 0);
    assert_false(reader_ok(&in));
    assert_int_equal(reader_u8(&in), 0);
    assert_int_equal(reader_left(&in), 0);
}

static void string_longer_than_allowed_fails(void **state)
{
    (void)state;
    struct reader in = reader_of("\4\0\0\0\0\0\0\0alert", 13);
    assert_str_equal(reader_str(&in, 4), STR("aler"));
    in = reader_of("\4\0\0\0\0\0\0\0alert", 13);
    assert_true(str_is_empty(reader_str(&in, 3)));
    assert_false(reader_ok(&in));
    in = reader_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    assert_true(str_is_empty(reader_str(&in, SIZE_MAX)));
    assert_false(reader_ok(&in));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(past_the_end_gives_zeros_from_then_on),
        cmocka_unit_test(string_longer_than_allowed_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
