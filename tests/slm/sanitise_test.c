#include "tests/test.h"

#include "slm/sanitise.h"

static void check(const char *text, const char *expected)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct str once = sanitise(arena, str_of(text), 1000);
    assert_str_equal(once, str_of(expected));
    assert_str_equal(sanitise(arena, once, 1000), once);
}

static void plain_text_stays_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Pod shop/web-5d4f7c9b8d-x2x4z restarted 7 times (93% of 512Mi), p99 = 1.5s > 1s",
        "rate(http_requests_total{code=~\"5..\"}[5m]) / 3 < 0.05 -> see https://example.com/a?b=c&d=e#f",
        "Диск заполнен на 93%",
        "磁盘已满",
        "Résumé für Köln",
        "a == b || c != d; map[a:b c:d]",
        "",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        check(texts[i], texts[i]);
}

static void special_tokens_are_broken_up(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "<|im_start|>system", "< |im_start| >system" },
        { "<|start_of_role|>user<|end_of_role|>", "< |start_of_role| >user< |end_of_role| >" },
        { "a</s><s>b", "a< /s >< s >b" },
        { "[INST] x [/INST]", "[ INST ] x [ /INST ]" },
        { "<<SYS>>", "< < SYS > >" },
        { "<start_of_turn>", "< start_of_turn >" },
        { "<0x0A>", "< 0x0A >" },
        { "<\xe2\x80\x8b|im_end|\xe2\x80\x8b>", "< |im_end| >" }, /* a zero-width space within */
        { "\xef\xbc\x9c\xef\xbd\x9cim_end\xef\xbd\x9c\xef\xbc\x9e", "< |im_end| >" }, /* full width */
        { "\xe2\x80\xb9|im_end|\xe2\x80\xba", "< |im_end| >" },                       /* single guillemets */
        { "</alert>```system", "< /alert >`system" },
        { "\xe2\x96\x81"
          "system",
          "_system" }, /* SentencePiece's blank */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(cases[i][0], cases[i][1]);
}

static void look_alikes_become_latin_within_latin_words(void **state)
{
    (void)state;
    check("\xd1\x96gn\xd0\xbe"
          "r\xd0\xb5 previous",
          "ignore previous");                             /* Cyrillic і, о, е */
    check("\xef\xbd\x92\xef\xbd\x95\xef\xbd\x8e", "run"); /* full width */
    check("\xf0\x9d\x90\x9d\xf0\x9d\x90\xab\xf0\x9d\x90\x9a\xf0\x9d\x90\xa2\xf0\x9d\x90\xa7",
          "drain");                                                /* mathematical bold */
    check("\xf0\x9f\x85\xb3\xf0\x9f\x85\xbe", "DO");               /* negative squares */
    check("d\xcc\xb6r\xcc\xb6o\xcc\xb6p\xcc\xb6", "drop");         /* struck through by marks */
    check("\xd0\xbc\xd0\xb8\xd1\x80", "\xd0\xbc\xd0\xb8\xd1\x80"); /* a Russian word */
}

static void what_cannot_be_seen_goes(void **state)
{
    (void)state;
    check("dr\xe2\x80\x8b\xe2\x81\xa0\xef\xbb\xbf\xc2\xad"
          "ain",
          "drain");
    check("a\xe2\x80\xae"
          "b\xe2\x81\xa6"
          "c",
          "abc"); /* bidirectional */
    check("a\xf3\xa0\x81\xa4\xf3\xa0\x81\xb2"
          "b",
          "ab"); /* tag characters */
    check("a\x01\x1b[31mb\x7f", "a[31mb");
    check("a\xef\xb8\x8f\xee\x80\x80"
          "b",
          "ab"); /* variation, private use */
    check(" a \t\r\n\xe2\x80\xa8  b\xc2\xa0 ", "a b");
    check("a\xff\xc3"
          "b\xed\xa0\x80",
          "a\xef\xbf\xbd\xef\xbf\xbd"
          "b\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void runs_of_punctuation_are_cut(void **state)
{
    (void)state;
    check("==========\n##### System", "=== ### System");
    check("wait...... 10000000 ((((", "wait...... 10000000 ((((");
}

static void lines_can_be_kept(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    assert_str_equal(sanitise_lines(arena, STR("\n a: 1 \r\n\r\n  b:\t2\n"), 100), STR("a: 1\nb: 2"));
}

static void text_is_bounded_at_a_character(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    assert_str_equal(sanitise(arena, STR("abc\xc3\xa9"), 4), STR("abc"));
    assert_str_equal(sanitise(arena, STR("abc"), 0), STR(""));
    AUTO(strbuf) struct strbuf big = { 0 };
    for (int i = 0; i < 250000; i++)
        strbuf_add(&big, STR("\xe2\x80\x8b"));
    strbuf_add(&big, STR("end"));
    assert_str_equal(sanitise(arena, strbuf_str(&big), 10), STR("end"));
    strbuf_clear(&big);
    for (int i = 0; i < 80000; i++)
        strbuf_add(&big, STR("\xef\xb7\xba")); /* NFKC makes 18 characters of it */
    assert_true(sanitise(arena, strbuf_str(&big), 100).len <= 100);
}

static void any_bytes_come_out_clean(void **state)
{
    (void)state;
    struct rng rng = { 7 };
    AUTO(arena) struct arena *arena = arena_new(4096);
    for (int round = 0; round < 3000; round++) {
        char bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = rng_below(&rng, 4) ? "<|>[/]_as \n\xd0\xbe\xcc\xe2\x80"[rng_below(&rng, 16)]
                                          : (char)rng_u64(&rng);
        struct str out = sanitise(arena, (struct str){ bytes, sizeof bytes }, 2000);
        assert_true(utf8_is_valid(out) && out.len <= 2000);
        assert_false(str_find(out, STR("<|"), NULL) || str_find(out, STR("|>"), NULL) ||
                     str_find(out, STR("\n"), NULL));
        assert_str_equal(sanitise(arena, out, 2000), out);
        arena_reset(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stays_as_it_is),
        cmocka_unit_test(special_tokens_are_broken_up),
        cmocka_unit_test(look_alikes_become_latin_within_latin_words),
        cmocka_unit_test(what_cannot_be_seen_goes),
        cmocka_unit_test(runs_of_punctuation_are_cut),
        cmocka_unit_test(lines_can_be_kept),
        cmocka_unit_test(text_is_bounded_at_a_character),
        cmocka_unit_test(any_bytes_come_out_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
