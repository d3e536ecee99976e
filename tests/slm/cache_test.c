#include "tests/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "slm/cache.h"

static struct cache_key key_of(const char *text)
{
    struct cache_key key;
    sha256_hex(str_of(text), key.hex);
    return key;
}

static struct decision decision_of(const char *summary)
{
    return (struct decision){
        .id = "first", .action = ACTION_RESTART_POD, .parameters = "{}", .summary = summary, .degraded = ""
    };
}

static void same_question_has_the_same_answer_for_a_while(void **state)
{
    (void)state;
    struct clock_fake clock = { .mono_us = 1000000, .utc_ms = 1700000000000 };
    clock_replace(&clock);
    AUTO(decision_cache) struct decision_cache *cache = decision_cache_new(300000);
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct cache_key key = key_of("a"), other = key_of("b");
    struct decision decision, made = decision_of("it hangs");
    int64_t age_ms;
    assert_false(decision_cache_enter(cache, &key, 0, arena, &decision));
    decision_cache_leave(cache, &key, &made);
    assert_true(decision_cache_enter(cache, &key, 0, arena, &decision));
    assert_true(decision.cached && strcmp(decision.id, "first") && decision.action == ACTION_RESTART_POD);
    assert_string_equal(decision.summary, "it hangs");
    assert_ptr_not_equal(decision.summary, made.summary);
    assert_false(decision_cache_enter(cache, &other, 0, arena, &decision));
    decision_cache_leave(cache, &other, NULL);
    clock_advance(&clock, 300000);
    assert_false(decision_cache_enter(cache, &key, 0, arena, &decision));
    decision_cache_leave(cache, &key, NULL);
    assert_true(decision_cache_last(cache, &key, arena, &decision, &age_ms));
    assert_int_equal(age_ms, 300000);
    assert_false(decision_cache_last(cache, &other, arena, &decision, &age_ms));
    clock_advance(&clock, CACHE_STALE_MS);
    assert_false(decision_cache_last(cache, &key, arena, &decision, &age_ms));
    clock_replace(NULL);
}

static void failures_and_abstentions_are_not_kept(void **state)
{
    (void)state;
    AUTO(decision_cache) struct decision_cache *cache = decision_cache_new(300000);
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct cache_key key = key_of("a");
    struct decision decision, abstained = decision_of(""), degraded = decision_of("");
    abstained.abstained = true, degraded.degraded = "no model";
    const struct decision *made[] = { &abstained, &degraded, NULL };
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        assert_false(decision_cache_enter(cache, &key, 0, arena, &decision));
        decision_cache_leave(cache, &key, made[i]);
    }
    assert_false(decision_cache_enter(cache, &key, 0, arena, &decision));
    decision_cache_leave(cache, &key, NULL);
}

static void entries_are_bounded(void **state)
{
    (void)state;
    AUTO(decision_cache) struct decision_cache *cache = decision_cache_new(300000);
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct decision decision, made = decision_of("x");
    size_t kept = 0;
    for (int i = 0; i < 2 * CACHE_ENTRIES; i++) {
        struct cache_key key = key_of(arena_printf(arena, "%d", i));
        assert_false(decision_cache_enter(cache, &key, 0, arena, &decision));
        decision_cache_leave(cache, &key, &made);
    }
    for (int i = 0; i < 2 * CACHE_ENTRIES; i++) {
        struct cache_key key = key_of(arena_printf(arena, "%d", i));
        int64_t age_ms;
        kept += decision_cache_last(cache, &key, arena, &decision, &age_ms);
    }
    assert_in_range(kept, CACHE_ENTRIES / 2, CACHE_ENTRIES + 8);
}

struct asker {
    struct decision_cache *cache;
    atomic_int *decided;
    bool cached;
};

static void *ask(void *context)
{
    struct asker *asker = context;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct cache_key key = key_of("same");
    struct decision decision, made = decision_of("slow");
    asker->cached = decision_cache_enter(asker->cache, &key, clock_mono_ms() + 5000, arena, &decision);
    if (!asker->cached) {
        atomic_fetch_add(asker->decided, 1);
        usleep(100000);
        decision_cache_leave(asker->cache, &key, &made);
    }
    return NULL;
}

static void equal_questions_at_a_time_are_decided_once(void **state)
{
    (void)state;
    enum { ASKERS = 8 };
    AUTO(decision_cache) struct decision_cache *cache = decision_cache_new(300000);
    atomic_int decided = 0;
    struct asker askers[ASKERS];
    pthread_t threads[ASKERS];
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){ cache, &decided, false };
        pthread_create(&threads[i], NULL, ask, &askers[i]);
    }
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&decided), 1);
}

static void nobody_waits_past_the_deadline(void **state)
{
    (void)state;
    AUTO(decision_cache) struct decision_cache *cache = decision_cache_new(300000);
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct cache_key key = key_of("a");
    struct decision decision;
    assert_false(decision_cache_enter(cache, &key, 0, arena, &decision));
    int64_t began = clock_mono_ms();
    assert_false(decision_cache_enter(cache, &key, began + 120, arena, &decision));
    assert_in_range(clock_mono_ms() - began, 100, 1000);
    decision_cache_leave(cache, &key, NULL);
    decision_cache_leave(cache, &key, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_question_has_the_same_answer_for_a_while),
        cmocka_unit_test(failures_and_abstentions_are_not_kept),
        cmocka_unit_test(entries_are_bounded),
        cmocka_unit_test(equal_questions_at_a_time_are_decided_once),
        cmocka_unit_test(nobody_waits_past_the_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
