#include "tests/test.h"

static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex(STR("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex(STR(""), hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct sha256 *hash = sha256_new();
    sha256_add(hash, STR("a"));
    sha256_add(hash, STR("bc"));
    sha256_end(hash, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void missing_file_is_an_error(void **state)
{
    (void)state;
    struct error *err = NULL;
    char hex[SHA256_HEX_LEN + 1];
    assert_fails(sha256_file_hex("/nowhere", hex, &err), err, ERROR_NOT_FOUND, "open /nowhere");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
