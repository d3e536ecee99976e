/* What needs no server: answers, objects, selectors, names, the events of a watch, WebSocket frames. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "k8s/k8s_internal.h"
#include "tests/test.h"

static struct k8s_answer read_answer(unsigned status, const char *body, bool is_secret, bool is_write)
{
    AUTO(response) struct response response = { .status = status, .was_sent = true };
    struct k8s_answer answer = { 0 };
    strbuf_add_text(&response.body, body);
    answer_read(&answer, &response, is_secret, is_write);
    return answer;
}

static void a_status_becomes_a_reason(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        enum k8s_reason reason;
    } cases[] = {
        { 404, "404 page not found\n", K8S_NOT_SERVED },
        { 404, "{\"kind\":\"Status\",\"reason\":\"NotFound\"}", K8S_NOT_FOUND },
        { 409, "{\"kind\":\"Status\",\"reason\":\"AlreadyExists\"}", K8S_ALREADY_EXISTS },
        { 409, "{\"kind\":\"Status\",\"reason\":\"Conflict\"}", K8S_CONFLICT },
        { 403,
          "{\"kind\":\"Status\",\"message\":\"pods is forbidden: User \\\"system:anonymous\\\" cannot get\"}",
          K8S_UNAUTHORIZED },
        { 403, "{\"kind\":\"Status\",\"message\":\"exceeded quota\"}", K8S_FORBIDDEN },
        { 500, "not json", K8S_INTERNAL },
        { 502, "<html>", K8S_UNAVAILABLE },
        { 418, "", K8S_OTHER },
        { 201, "", K8S_OK },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct k8s_answer answer = read_answer(cases[i].status, cases[i].body, false, true);
        assert_int_equal(answer.reason, cases[i].reason);
        assert_int_equal(answer.outcome_unknown, cases[i].status >= 500);
    }
    struct k8s_answer budget =
        read_answer(429,
                    "{\"kind\":\"Status\",\"reason\":\"TooManyRequests\",\"details\":{"
                    "\"retryAfterSeconds\":10,\"causes\":[{\"reason\":\"DisruptionBudget\"}]}}",
                    false, true);
    assert_true(k8s_answer_has_cause(&budget, "DisruptionBudget"));
    assert_int_equal(budget.retry_after_ms, 10000);
}

static void of_secrets_nothing_is_repeated(void **state)
{
    (void)state;
    struct k8s_answer answer =
        read_answer(422,
                    "{\"kind\":\"Status\",\"message\":\"Secret is invalid: hunter2\",\"details\":{"
                    "\"causes\":[{\"reason\":\"FieldValueForbidden\",\"message\":\"hunter2\","
                    "\"field\":\"data\"}]}}",
                    true, true);
    assert_null(memmem(&answer, sizeof answer, "hunter2", 7));
    assert_string_equal(answer.causes[0].field, "data");
}

static void a_message_is_one_line_without_whole_objects(void **state)
{
    char text[64], small[20];
    (void)state;
    answer_copy_message(text, sizeof text,
                        "is  invalid:\n spec: v1.Foo{\"password\":\"hunter2\", \"more\": {\"deep\":{}}, "
                        "\"long\":\"xxxxxxxxxxxxxxxxxxxxxxxx\"}: no");
    assert_string_equal(text, "is invalid: spec: v1.Foo{…}: no");
    answer_copy_message(small, sizeof small, "ééééééééééééééé");
    assert_true(utf8_is_valid(str_of(small)) && strlen(small) < sizeof small);
}

static void parts_of_an_object_are_found(void **state)
{
    struct error *err = NULL;
    int64_t milli = 0;
    const char *message = NULL;
    (void)state;
    AUTO(k8s_object)
    struct k8s_object *object = k8s_object_parse(
        STR("{\"metadata\":{\"name\":\"a\",\"uid\":\"u\",\"annotations\":{\"x/y\":\"z\"},\"ownerReferences\":["
            "{\"kind\":\"Owner\"},{\"kind\":\"Ruler\",\"controller\":true}]},\"spec\":{\"n\":3,\"m\":\"500m\",\"half\":0.5},"
            "\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"message\":\"no\"}]}}"),
        &err);
    assert_ok(object, err);
    assert_int_equal(k8s_int_at(object->root, "/spec/n", -1), 3);
    assert_int_equal(k8s_int_at(object->root, "/spec/m", -1), -1);
    assert_true(k8s_quantity_at(object->root, "/spec/m", &milli) && milli == 500);
    assert_true(k8s_quantity_at(object->root, "/spec/half", &milli) && milli == 500);
    assert_string_equal(k8s_annotation(object->root, "x/y"), "z");
    assert_string_equal(k8s_condition(object->root, "Ready", NULL, &message), "False");
    assert_string_equal(message, "no");
    assert_string_equal(k8s_text_at(k8s_controller_of(object->root), "/kind"), "Ruler");
    AUTO(strbuf) struct strbuf deep = { 0 };
    for (int i = 0; i < 1000; i++)
        strbuf_add_char(&deep, '[');
    assert_fails(k8s_object_parse(strbuf_str(&deep), &err), err, ERROR_LIMIT, "deeper");
    assert_fails(k8s_object_parse(STR("[]"), &err), err, ERROR_INVALID, "not a JSON object");
}

static void selectors_are_written_and_matched(void **state)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    (void)state;
    AUTO(k8s_object)
    struct k8s_object *s = k8s_object_parse(
        STR("{\"s\":{\"matchLabels\":{\"app\":\"web\"},\"matchExpressions\":[{\"key\":\"tier\",\"operator\":\"In\","
            "\"values\":[\"a\",\"b\"]},{\"key\":\"old\",\"operator\":\"DoesNotExist\"}]},"
            "\"yes\":{\"app\":\"web\",\"tier\":\"b\"},\"no\":{\"app\":\"web\",\"tier\":\"c\"},"
            "\"old\":{\"app\":\"web\",\"tier\":\"a\",\"old\":\"1\"},\"map\":{\"app\":\"web\"}}"),
        NULL);
    yyjson_val *selector = k8s_at(s->root, "/s");
    assert_true(k8s_selector_text(selector, &text));
    assert_string_equal(text.ptr, "app=web,tier in (a,b),!old");
    assert_true(k8s_selector_matches(selector, k8s_at(s->root, "/yes")));
    assert_false(k8s_selector_matches(selector, k8s_at(s->root, "/no")));
    assert_false(k8s_selector_matches(selector, k8s_at(s->root, "/old")));
    assert_true(k8s_selector_matches(k8s_at(s->root, "/map"), k8s_at(s->root, "/yes")));
}

static void names_that_are_no_dns_labels_are_refused(void **state)
{
    static const char *const bad[] = { "", "Web", "a_b", "-a", "a-", "a..b", "a/b", "../x", "a b", "ä" };
    struct error *err = NULL;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_fails(k8s_check_name(bad[i], &err), err, ERROR_INVALID, "name");
    assert_true(k8s_check_name("web-1.example", NULL));
    assert_fails(k8s_check_namespace("a.b", &err), err, ERROR_INVALID, "namespace");
}

struct heard {
    char types[200];
    unsigned count;
};

static bool hear(const char *type, yyjson_val *object, void *context)
{
    struct heard *heard = context;
    heard->count++;
    snprintf(heard->types + strlen(heard->types), 20, "%s ", type);
    return !k8s_bool_at(object, "/stop");
}

static const char events[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}\n\n"
                             "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n"
                             "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"metadata\":{}}}\n";

static void events_come_whole_from_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof events; piece++) {
        struct heard heard = { 0 };
        struct watch_stream stream = { .event = hear, .context = &heard };
        for (size_t at = 0; at < sizeof events - 1; at += piece)
            assert_true(watch_stream_feed(&stream, str_slice(STR(events), at, at + piece)));
        assert_string_equal(heard.types, "ADDED BOOKMARK ERROR ");
        assert_string_equal(stream.resource_version, "9");
        watch_stream_free(&stream);
    }
}

static void a_broken_event_ends_the_stream(void **state)
{
    static const char *const broken[] = { "{]\n", "{\"type\":\"ADDED\"}\n", "[]\n", "{\"object\":{}}\n" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct heard heard = { 0 };
        struct watch_stream stream = { .event = hear, .context = &heard };
        assert_false(watch_stream_feed(&stream, str_of(broken[i])));
        assert_true(stream.failed && !heard.count);
        watch_stream_free(&stream);
    }
}

/* A server's frame is our own without its mask. */
static void frames_of_every_length_are_read_back(void **state)
{
    static const size_t lengths[] = { 0, 1, 125, 126, 65535, 65536, 70000 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        AUTO(strbuf) struct strbuf payload = { 0 }, frame = { 0 };
        struct websocket_frame got = { 0 };
        size_t used = 0, len = lengths[i], head = 2 + (len > 65535 ? 8 : len > 125 ? 2 : 0);
        for (size_t n = 0; n < len; n++)
            strbuf_add_char(&payload, (char)n);
        websocket_add(&frame, WS_BINARY, (struct str){ payload.ptr, len });
        char *mask = frame.ptr + head;
        for (size_t n = 0; n < len; n++)
            mask[4 + n] ^= mask[n % 4];
        memmove(mask, mask + 4, len);
        frame.len -= 4;
        frame.ptr[1] &= 0x7f;
        assert_true(
            websocket_parse(str_slice(strbuf_str(&frame), 0, frame.len - 1), 1 << 20, &got, &used, NULL));
        assert_int_equal(used, 0);
        assert_true(websocket_parse(strbuf_str(&frame), 1 << 20, &got, &used, NULL));
        assert_int_equal(used, frame.len);
        assert_true(got.is_final && got.opcode == WS_BINARY);
        assert_str_equal(got.payload, ((struct str){ payload.ptr, len }));
    }
}

static void frames_that_no_server_may_send_are_refused(void **state)
{
    static const char *const bad[] = { "\xf2\x00", "\x82\x80", "\x83\x00", "\x89\x7e", "\x09\x00" };
    struct websocket_frame frame;
    struct error *err = NULL;
    size_t used;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_fails(websocket_parse((struct str){ bad[i], 2 }, 100, &frame, &used, &err), err, ERROR_INVALID,
                     "WebSocket");
    assert_fails(websocket_parse((struct str){ "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10 }, 100, &frame,
                                 &used, &err),
                 err, ERROR_LIMIT, "at most 100");
}

static void the_accept_key_is_that_of_the_standard(void **state)
{
    char accept[29];
    (void)state;
    websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept); /* RFC 6455, section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void managers_of_a_field_are_found_through_lists(void **state)
{
    AUTO(arena) struct arena *arena = arena_new(4096);
    const char **names = NULL;
    (void)state;
    AUTO(k8s_object)
    struct k8s_object *o = k8s_object_parse(
        STR("{\"metadata\":{\"managedFields\":[{\"manager\":\"kubectl\",\"fieldsV1\":{\"f:spec\":{\"f:template\":{\"f:spec\":{"
            "\"f:containers\":{\"k:{\\\"name\\\":\\\"a\\\"}\":{\"f:resources\":{}}}}}}}},{\"manager\":\"kube-controller-manager\","
            "\"subresource\":\"scale\",\"fieldsV1\":{\"f:spec\":{\"f:replicas\":{}}}}]}}"),
        NULL);
    assert_int_equal(k8s_field_managers(arena, o->root, "/spec/replicas", &names), 1);
    assert_string_equal(names[0], "kube-controller-manager (scale)");
    assert_int_equal(k8s_field_managers(arena, o->root, "/spec/template/spec/containers/resources", &names),
                     1);
    assert_string_equal(names[0], "kubectl");
    struct k8s_owners owners = { 0 };
    k8s_owners_of_metadata(arena, o->root, "/spec/replicas", NULL, &owners);
    assert_int_equal(owners.count, 1);
    assert_int_equal(owners.items[0].kind, K8S_OWNER_HPA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_becomes_a_reason),
        cmocka_unit_test(of_secrets_nothing_is_repeated),
        cmocka_unit_test(a_message_is_one_line_without_whole_objects),
        cmocka_unit_test(parts_of_an_object_are_found),
        cmocka_unit_test(selectors_are_written_and_matched),
        cmocka_unit_test(names_that_are_no_dns_labels_are_refused),
        cmocka_unit_test(events_come_whole_from_pieces_of_any_size),
        cmocka_unit_test(a_broken_event_ends_the_stream),
        cmocka_unit_test(frames_of_every_length_are_read_back),
        cmocka_unit_test(frames_that_no_server_may_send_are_refused),
        cmocka_unit_test(the_accept_key_is_that_of_the_standard),
        cmocka_unit_test(managers_of_a_field_are_found_through_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
