#include "tests/test.h"

static void pieces_are_zeroed_and_aligned(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(256);
    for (size_t size = 0; size < 2000; size += 7) {
        unsigned char *piece = arena_alloc(arena, size);
        assert_int_equal((uintptr_t)piece % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xff, size);
    }
}

static void large_piece_does_not_waste_the_block(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(1024);
    char *small = arena_alloc(arena, 16);
    arena_alloc(arena, 100000);
    char *next = arena_alloc(arena, 16);
    assert_ptr_equal(next, small + 16);
}

static void reset_arena_is_used_again(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(1024);
    char *first = arena_alloc(arena, 16);
    for (int i = 0; i < 1000; i++)
        arena_alloc(arena, 500);
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    assert_non_null(first);
    assert_string_equal(arena_printf(arena, "%s-%d", "pod", 7), "pod-7");
    assert_null(arena_strdup(arena, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_and_aligned),
        cmocka_unit_test(large_piece_does_not_waste_the_block),
        cmocka_unit_test(reset_arena_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
