#include "tests/test.h"

#include "slm/words.h"

static void text_becomes_stemmed_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "KubePodCrashLooping", "kube pod crash loop" },
        { "HTTPErrorsHigh", "http error high" },
        { "disk is 93% full on 10.2.3.4:9100", "disk #% full # # #" },
        { "Memory usage of 1.5GB exceeded", "memory usage # gb exceed" },
        { "na\xc3\xafve_bayes", "na ve baye" },
        { "", "" },
        { "...", "" },
    };
    AUTO(arena) struct arena *arena = arena_new(4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct word_list words = words_of(arena, str_of(cases[i].text), 100, true);
        AUTO(strbuf) struct strbuf joined = { 0 };
        for (size_t k = 0; k < words.count; k++)
            strbuf_addf(&joined, "%s" STR_FMT, k ? " " : "", STR_ARG(words.items[k]));
        assert_str_equal(strbuf_str(&joined), str_of(cases[i].words));
    }
}

static void number_of_words_is_bounded(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    assert_int_equal(words_of(arena, STR("a1b2c3d4e5f6"), 5, false).count, 5);
    assert_int_equal(words_of(arena, STR("the pod is in the cluster"), 100, true).count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_stemmed_words),
        cmocka_unit_test(number_of_words_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
