#include "engine/automaton.h"

#include <regex.h>
#include <stdlib.h>
#include <yyjson.h>

#include "tests/test.h"

/* ---- regular expressions */

static const struct {
    const char *pattern, *matching[6], *other[6];
} expressions[] = {
    { "abc", { "abc" }, { "", "ab", "abcd", "xabc" } },
    { "^a|bc$", { "a", "bc" }, { "ac", "b", "abc" } },
    { "", { "" }, { "a" } },
    { "(a|b)*c", { "c", "abbac" }, { "ab", "cc" } },
    { "a{2,3}b?", { "aa", "aaa", "aab" }, { "a", "aaaa", "aabb" } },
    { "x{0}y{2}z{1,}", { "yyz", "yyzzz" }, { "xyyz", "yy" } },
    { "[a-c_-]+", { "a-b_c" }, { "d", "" } },
    { "[^a-c]", { "d", "é", "😀", "\n" }, { "a", "dd", "\xff", "\xc3" } },
    { ".", { "é", "日", "😀" }, { "\n", "ab", "\xed\xa0\x80", "\xf4\x90\x80\x80" } },
    { "\\d+\\.\\d{2}", { "12.50" }, { "12.5", "1250" } },
    { "\\w+\\s\\W", { "ab_9 -" }, { "ab-", "ab b" } },
    { "[\\d.]+m?", { "1.5m", "7" }, { "m" } },
    { "\\u{1F600}|\\x41|\\u00e9", { "😀", "A", "é" }, { "B" } },
    { "[à-ÿ]+", { "éè" }, { "e", "ā" } },
    { "(?:ab)+|(((c)))", { "abab", "c" }, { "aba" } },
    { "(a*)*b", { "b", "aab" }, { "a" } },
    { "[]a]", { "]", "a" }, { "[" } },
    { "\\[\\]\\(\\)\\*", { "[]()*" }, { "[" } },
    { "(|a)b", { "b", "ab" }, { "a" } },
};

static void expressions_match_the_whole_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(expressions); i++) {
        struct error *err = NULL;
        AUTO(automaton) struct automaton *a = automaton_from_regex(str_of(expressions[i].pattern), &err);
        if (!a)
            fail_msg("%s: %s", expressions[i].pattern, error_message(err));
        for (size_t k = 0; k < 6; k++) {
            const char *yes = expressions[i].matching[k], *no = expressions[i].other[k];
            if (yes && !automaton_matches(a, str_of(yes)))
                fail_msg("/%s/ does not match \"%s\"", expressions[i].pattern, yes);
            if (no && automaton_matches(a, str_of(no)))
                fail_msg("/%s/ matches \"%s\"", expressions[i].pattern, no);
        }
    }
}

/* Random expressions over a, b and c, and random texts: the C library's matcher is the oracle. */
static void random_pattern(struct rng *rng, struct strbuf *out, unsigned depth)
{
    static const char *const atoms[] = { "a", "b", "c", "[ab]", "[^a]", "." }, *const signs[] = {
        "*", "+", "?", "{1,2}", ""
    };
    for (size_t n = 1 + rng_below(rng, 3); n > 0; n--) {
        if (depth && rng_below(rng, 3) == 0) {
            strbuf_add_char(out, '(');
            random_pattern(rng, out, depth - 1);
            strbuf_add_char(out, '|');
            random_pattern(rng, out, depth - 1);
            strbuf_add_char(out, ')');
        } else {
            strbuf_add_text(out, atoms[rng_below(rng, ARRAY_LEN(atoms))]);
        }
        strbuf_add_text(out, signs[rng_below(rng, ARRAY_LEN(signs))]);
    }
}

static void random_expressions_agree_with_the_c_library(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rng rng = { seed };
        AUTO(strbuf) struct strbuf pattern = { 0 }, whole = { 0 };
        random_pattern(&rng, &pattern, 2);
        strbuf_addf(&whole, "^(%s)$", pattern.ptr);
        regex_t oracle;
        assert_int_equal(regcomp(&oracle, whole.ptr, REG_EXTENDED | REG_NOSUB), 0);
        struct error *err = NULL;
        AUTO(automaton) struct automaton *a = automaton_from_regex(strbuf_str(&pattern), &err);
        assert_non_null(a);
        for (size_t i = 0; i < 60; i++) {
            char text[10] = { 0 };
            for (size_t len = rng_below(&rng, 9), k = 0; k < len; k++)
                text[k] = "abcd"[rng_below(&rng, 4)];
            if (automaton_matches(a, str_of(text)) != (regexec(&oracle, text, 0, NULL, 0) == 0))
                fail_msg("/%s/ and \"%s\"", pattern.ptr, text);
        }
        regfree(&oracle);
    }
}

static void bad_expressions_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "(",       ")",   "[a",    "a**b{", "*a",  "a{2,1}",
                                       "a{9999}", "\\q", "[z-a]", "(?=a)", "a\\", "\xff" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        if (automaton_from_regex(str_of(bad[i]), &err))
            fail_msg("/%s/ is accepted", bad[i]);
        assert_int_equal(error_code(err), ERROR_INVALID);
        error_clear(&err);
    }
    struct error *err = NULL;
    assert_fails(automaton_from_regex(STR("a[^\\x00-\\u{10ffff}]"), &err), err, ERROR_INVALID, "no text");
}

static void expressions_that_explode_are_cut_short(void **state)
{
    (void)state;
    static const char *const bombs[] = { "((a{4000}){4000}){4000}", "(((){4000}){4000}){4000}",
                                         "(a|b)*a(a|b){20}", "(.{1,400}x){1,400}",
                                         "((((a?){50}){50}){50}){50}" };
    for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
        struct error *err = NULL;
        int64_t began = clock_mono_ms();
        AUTO(automaton) struct automaton *a = automaton_from_regex(str_of(bombs[i]), &err);
        if (!a)
            assert_int_equal(error_code(err), ERROR_LIMIT);
        assert_in_range(clock_mono_ms() - began, 0, 20000);
        error_clear(&err);
    }
    AUTO(strbuf) struct strbuf deep = { 0 };
    for (size_t i = 0; i < 10000; i++)
        strbuf_add_char(&deep, '(');
    struct error *err = NULL;
    assert_fails(automaton_from_regex(strbuf_str(&deep), &err), err, ERROR_INVALID, "brackets");
}

static void what_must_follow_is_known(void **state)
{
    (void)state;
    AUTO(automaton) struct automaton *a = automaton_from_regex(STR("name: (web|worker);"), NULL);
    AUTO(strbuf) struct strbuf forced = { 0 };
    uint32_t at = automaton_forced(a, AUTOMATON_START, &forced);
    assert_str_equal(strbuf_str(&forced), STR("name: w"));
    strbuf_clear(&forced);
    at = automaton_forced(a, automaton_walk(a, at, STR("o")), &forced);
    assert_str_equal(strbuf_str(&forced), STR("rker;"));
    assert_true(automaton_is_final(a, at));
}

/* ---- schemas */

static const struct {
    const char *schema, *matching[5], *other[6];
} schemas[] = {
    { "{\"type\":\"boolean\"}", { "true", "false" }, { "null", "True" } },
    { "{\"type\":[\"null\",\"integer\"]}", { "null", "-7", "0" }, { "01", "-0", "1.5" } },
    { "{\"type\":\"integer\",\"minimum\":-5,\"maximum\":120}",
      { "-5", "0", "9", "120" },
      { "-6", "121", "-10", "007" } },
    { "{\"type\":\"integer\",\"minimum\":17,\"exclusiveMaximum\":1003}",
      { "17", "99", "1002" },
      { "16", "1003", "2000" } },
    { "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
      { "0", "1", "0.25", "1.0", "0.123456" },
      { "1.01", "2", "-0.5", "0.", "0.1234567" } },
    { "{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":10.25}",
      { "-1.5", "10.25", "9.99", "-0.5" },
      { "-1.6", "10.3", "11" } },
    { "{\"type\":\"string\",\"maxLength\":3}",
      { "\"\"", "\"abc\"", "\"\\\"\\n😀\"" },
      { "\"abcd\"", "\"", "\"\n\"", "abc" } },
    { "{\"type\":\"string\",\"minLength\":2,\"maxLength\":2}", { "\"ab\"" }, { "\"a\"", "\"abc\"" } },
    { "{\"type\":\"string\",\"pattern\":\"^[a-z]\\\"\\\\\\\\$\"}",
      { "\"a\\\"\\\\\"" },
      { "\"a\"\\\"", "\"a\"" } },
    { "{\"enum\":[\"a\\\"b\",3,null,true]}", { "\"a\\\"b\"", "3", "null", "true" }, { "a", "4" } },
    { "{\"const\":{\"a\":[1]}}", { "{\"a\":[1]}" }, { "{}" } },
    { "{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"maxItems\":2}",
      { "[]", "[true]", "[true, false]" },
      { "[true,false]", "[true, true, true]", "[, true]" } },
    { "{\"type\":\"array\",\"items\":{\"const\":1},\"minItems\":2,\"maxItems\":3}",
      { "[1, 1]", "[1, 1, 1]" },
      { "[1]", "[]", "[1, 1, 1, 1]" } },
    { "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2},\"c\":{\"const\":3}},\"required\":[\"b\"]}",
      { "{\"a\": 1, \"b\": 2, \"c\": 3}", "{\"b\": 2}", "{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"c\": 3}" },
      { "{}", "{\"a\": 1}", "{\"b\": 2, \"a\": 1}", "{\"b\": 2, }", "{, \"b\": 2}" } },
    { "{\"type\":\"object\"}", { "{}" }, { "{\"a\": 1}" } },
    { "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":false}",
      { "{}", "{\"a\": null}" },
      { "{\"a\":null}" } },
    { "{\"anyOf\":[{\"const\":\"x\"},{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}],\"x-note\":1}",
      { "\"x\"", "5" },
      { "0", "10" } },
};

static void schemas_describe_their_documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        struct error *err = NULL;
        AUTO(automaton) struct automaton *a = automaton_from_schema(str_of(schemas[i].schema), &err);
        if (!a)
            fail_msg("%s: %s", schemas[i].schema, error_message(err));
        for (size_t k = 0; k < 5; k++)
            if (schemas[i].matching[k] && !automaton_matches(a, str_of(schemas[i].matching[k])))
                fail_msg("%s does not accept %s", schemas[i].schema, schemas[i].matching[k]);
        for (size_t k = 0; k < 6; k++)
            if (schemas[i].other[k] && automaton_matches(a, str_of(schemas[i].other[k])))
                fail_msg("%s accepts %s", schemas[i].schema, schemas[i].other[k]);
    }
}

static void every_whole_number_is_on_the_right_side_of_its_bounds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct rng rng = { seed };
        int64_t low = (int64_t)rng_below(&rng, 4000) - 2000, high = low + (int64_t)rng_below(&rng, 3000);
        struct nfa nfa = { 0 };
        uint32_t start = nfa_numbers(&nfa, low, high, 0, nfa_accept(&nfa));
        AUTO(automaton) struct automaton *a = automaton_new(&nfa, start, NULL);
        nfa_free(&nfa);
        assert_non_null(a);
        for (int64_t n = -2100; n <= 5100; n++) {
            char text[24];
            snprintf(text, sizeof text, "%lld", (long long)n);
            if (automaton_matches(a, str_of(text)) != (low <= n && n <= high))
                fail_msg("%s in %lld..%lld", text, (long long)low, (long long)high);
        }
    }
}

static void random_walks_through_a_schema_are_json(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"type\":\"object\",\"required\":[\"action\",\"confidence\"],\"properties\":{\"action\":{\"enum\":[\"restart_pod\","
        "\"scale_deployment\"]},\"confidence\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},\"note\":{\"type\":\"string\","
        "\"maxLength\":12},\"steps\":{\"type\":\"array\",\"maxItems\":3,\"items\":{\"type\":\"integer\",\"minimum\":-9,"
        "\"maximum\":99}}}}";
    struct error *err = NULL;
    AUTO(automaton) struct automaton *a = automaton_from_schema(STR(schema), &err);
    assert_ok(a, err);
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct rng rng = { seed };
        AUTO(strbuf) struct strbuf text = { 0 };
        uint32_t at = AUTOMATON_START;
        for (size_t n = 0; !automaton_is_final(a, at) && n < 100000; n++) {
            unsigned char byte = (unsigned char)rng_below(&rng, 256);
            if (automaton_next(a, at, byte) == AUTOMATON_DEAD)
                continue;
            strbuf_add_char(&text, (char)byte);
            at = automaton_next(a, at, byte);
        }
        yyjson_doc *doc = yyjson_read(text.ptr, text.len, 0);
        if (!doc)
            fail_msg("%s", text.ptr);
        yyjson_doc_free(doc);
    }
}

static void what_a_schema_cannot_keep_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        enum error_code code;
    } bad[] = {
        { "{", ERROR_INVALID },
        { "[]", ERROR_UNSUPPORTED },
        { "{\"type\":\"integer\",\"multipleOf\":3}", ERROR_UNSUPPORTED },
        { "{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}", ERROR_INVALID },
        { "{\"type\":\"string\",\"pattern\":\"(\"}", ERROR_INVALID },
        { "{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":3}", ERROR_UNSUPPORTED },
        { "{\"type\":\"string\",\"maxLength\":99999999}", ERROR_LIMIT },
        { "{\"type\":\"object\",\"required\":[\"x\"]}", ERROR_UNSUPPORTED },
        { "{\"type\":\"array\"}", ERROR_UNSUPPORTED },
        { "{\"$ref\":\"#/x\"}", ERROR_UNSUPPORTED },
        { "{\"enum\":[]}", ERROR_UNSUPPORTED },
        { "{\"type\":\"array\",\"maxItems\":256,\"items\":{\"type\":\"array\",\"maxItems\":256,\"items\":{\"type\":\"array\","
          "\"maxItems\":256,\"items\":{\"type\":\"boolean\"}}}}",
          ERROR_LIMIT },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        if (automaton_from_schema(str_of(bad[i].schema), &err))
            fail_msg("%s is accepted", bad[i].schema);
        if (error_code(err) != bad[i].code)
            fail_msg("%s: %s", bad[i].schema, error_message(err));
        error_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_match_the_whole_text),
        cmocka_unit_test(random_expressions_agree_with_the_c_library),
        cmocka_unit_test(bad_expressions_are_refused),
        cmocka_unit_test(expressions_that_explode_are_cut_short),
        cmocka_unit_test(what_must_follow_is_known),
        cmocka_unit_test(schemas_describe_their_documents),
        cmocka_unit_test(every_whole_number_is_on_the_right_side_of_its_bounds),
        cmocka_unit_test(random_walks_through_a_schema_are_json),
        cmocka_unit_test(what_a_schema_cannot_keep_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
