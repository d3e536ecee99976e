#include "tests/test.h"

static void ulids_sort_in_the_order_they_were_made(void **state)
{
    (void)state;
    char last[ULID_LEN + 1] = "", id[ULID_LEN + 1];
    for (int i = 0; i < 20000; i++) {
        ulid_new(id);
        assert_int_equal(strlen(id), ULID_LEN);
        assert_int_equal(strspn(id, "0123456789abcdefghjkmnpqrstvwxyz"), ULID_LEN);
        assert_true(strcmp(id, last) > 0);
        memcpy(last, id, sizeof id);
    }
}

static void ulid_begins_with_the_time(void **state)
{
    (void)state;
    /* The specification's own example: 1469918176385 ms is 01ARYZ6S41. */
    struct clock_fake fake = { .utc_ms = INT64_C(4469918176385) };
    clock_replace(&fake);
    char id[ULID_LEN + 1];
    ulid_new(id);
    clock_replace(NULL);
    uint64_t ms = 0;
    for (int i = 0; i < 10; i++)
        ms = ms << 5 | (uint64_t)(strchr("0123456789abcdefghjkmnpqrstvwxyz", id[i]) -
                                  "0123456789abcdefghjkmnpqrstvwxyz");
    assert_int_equal(ms, UINT64_C(4469918176385));
}

static void generator_repeats_and_stays_in_bounds(void **state)
{
    (void)state;
    struct rng a = { 42 }, b = { 42 };
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(rng_u64(&a), rng_u64(&b));
        assert_true(rng_below(&a, 7) < 7);
        double unit = rng_unit(&b);
        assert_true(unit >= 0 && unit < 1);
        b.state = a.state;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ulids_sort_in_the_order_they_were_made),
        cmocka_unit_test(ulid_begins_with_the_time),
        cmocka_unit_test(generator_repeats_and_stays_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
