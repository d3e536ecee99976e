#include "tests/test.h"

#include <pthread.h>

static void items_come_out_in_order_and_full_is_full(void **state)
{
    (void)state;
    AUTO(queue) struct queue *queue = queue_new(2);
    int a, b, c;
    assert_true(queue_put(queue, &a, 0));
    assert_true(queue_put(queue, &b, 0));
    assert_false(queue_put(queue, &c, 1));
    assert_ptr_equal(queue_take(queue, 0), &a);
    assert_true(queue_put(queue, &c, 0));
    assert_ptr_equal(queue_take(queue, 0), &b);
    queue_close(queue);
    assert_false(queue_put(queue, &a, 0));
    assert_ptr_equal(queue_take(queue, -1), &c);
    assert_null(queue_take(queue, -1));
}

static void *put_numbers(void *context)
{
    for (uintptr_t i = 1; i <= 10000; i++)
        queue_put(context, (void *)i, -1);
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    (void)state;
    AUTO(queue) struct queue *queue = queue_new(7);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, put_numbers, queue);
    uint64_t sum = 0;
    for (int i = 0; i < 30000; i++)
        sum += (uintptr_t)queue_take(queue, 10000);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum, UINT64_C(3) * 10000 * 10001 / 2);
    assert_int_equal(queue_len(queue), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_and_full_is_full),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
