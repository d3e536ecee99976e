/* What the client makes of a server, a proxy or a network that misbehaves: fault_proxy.py stands before the real API server. */
#include "k8s/k8s.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/k8s/fixture.h"

static FILE *proxy;
static char *proxy_url;
static struct k8s *direct, *faulty;
static const struct k8s_ref web = { &k8s_deployments, "shop", "web", NULL };

static int start(void **state)
{
    struct error *err = NULL;
    char pattern[] = "/tmp/k8s-faulty-XXXXXX";
    (void)state;
    direct = cluster_client();
    assert_non_null(mkdtemp(pattern));
    AUTO(text) char *config = xasprintf("%s/kubeconfig", pattern);
    AUTO(text)
    char *command =
        xasprintf("python3 " TESTS_FOLDER "/k8s/fault_proxy.py --upstream %s --kubeconfig %s >%s/out",
                  cluster_kubeconfig(), config, pattern);
    proxy = popen(command, "w"); /* it ends when this pipe does */
    assert_non_null(proxy);
    for (int i = 0; i < 200 && !file_exists(config); i++)
        clock_sleep_ms(25);
    clock_sleep_ms(100);
    faulty = k8s_open(&(struct k8s_options){ .kubeconfig = config, .rate = 1000, .deadline_ms = 4000 }, &err);
    assert_ok(faulty, err);
    proxy_url = xstrdup(k8s_server(faulty));
    free(shell("rm -r %s", pattern));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    k8s_close(faulty);
    k8s_close(direct);
    pclose(proxy);
    free(proxy_url);
    return 0;
}

static void set_fault(const char *rule)
{
    free(shell("curl -sf --data '[%s]' %s/__fault", rule, proxy_url));
}

static int annotate(struct k8s *k8s, const char *value, struct k8s_answer *answer, struct error **err)
{
    AUTO(text) char *body = xasprintf("{\"metadata\":{\"annotations\":{\"test/value\":\"%s\"}}}", value);
    struct k8s_write write = { .answer = answer };
    AUTO(k8s_object)
    struct k8s_object *object = k8s_patch(k8s, &web, K8S_PATCH_MERGE, str_of(body), &write, err);
    return object != NULL;
}

static const char *value_now(void)
{
    static char value[64];
    AUTO(k8s_object) struct k8s_object *object = k8s_get(direct, &web, NULL, NULL);
    snprintf(value, sizeof value, "%s", k8s_annotation(object->root, "test/value"));
    return value;
}

/* A write, and what must come of it. */
static const struct {
    const char *fault; /* also the value that is written */
    const char *extra;
    bool ok, happened, unknown;
    enum k8s_reason reason;
    enum error_code code;
    unsigned attempts;
} writes[] = {
    { "409", "", false, false, false, K8S_CONFLICT, ERROR_CONFLICT, 1 },
    { "403", "", false, false, false, K8S_FORBIDDEN, ERROR_DENIED, 1 },
    { "404", "", false, false, false, K8S_NOT_FOUND, ERROR_NOT_FOUND, 1 },
    { "429", ",\"times\":1", true, true, false, K8S_OK, 0, 2 },
    { "500", "", false, false, true, K8S_INTERNAL, ERROR_INTERNAL, 1 },
    { "503", "", false, false, true, K8S_UNAVAILABLE, ERROR_UNAVAILABLE, 1 },
    { "reset-before", "", false, false, true, K8S_NO_ANSWER, ERROR_UNAVAILABLE, 1 },
    { "reset-after", "", false, true, true, K8S_NO_ANSWER, ERROR_UNAVAILABLE, 1 },
    { "hang-before", ",\"seconds\":6", false, false, true, K8S_NO_ANSWER, ERROR_TIMEOUT, 1 },
    { "hang-after", ",\"seconds\":6", false, true, true, K8S_NO_ANSWER, ERROR_TIMEOUT, 1 },
    { "slow", ",\"seconds\":1", true, true, false, K8S_OK, 0, 1 },
    { "invalid-json", "", false, true, true, K8S_BAD_ANSWER, ERROR_INTERNAL, 1 },
    { "half", "", false, true, true, K8S_NO_ANSWER, ERROR_UNAVAILABLE, 1 },
};

static void a_write_is_sent_once_and_its_outcome_is_told_honestly(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
        struct k8s_answer answer;
        struct error *err = NULL;
        char rule[200];
        snprintf(rule, sizeof rule, "{\"fault\":\"%s\",\"method\":\"PATCH\"%s}", writes[i].fault,
                 writes[i].extra);
        set_fault(rule);
        /* Once over a connection that is kept: libcurl itself would send a request again on a new one. */
        k8s_object_free(k8s_get(faulty, &web, NULL, NULL));
        bool ok = annotate(faulty, writes[i].fault, &answer, &err);
        print_message("%-13s %s\n", writes[i].fault, ok ? "done" : error_message(err));
        assert_int_equal(ok, writes[i].ok);
        assert_int_equal(answer.reason, writes[i].reason);
        assert_int_equal(answer.attempts, writes[i].attempts);
        assert_int_equal(answer.outcome_unknown, writes[i].unknown);
        assert_true(ok || error_code(err) == writes[i].code);
        assert_int_equal(!strcmp(value_now(), writes[i].fault), writes[i].happened);
        error_free(err);
    }
}

static const struct {
    const char *rule;
    bool ok;
    unsigned attempts;
    enum error_code code;
} reads[] = {
    { "{\"fault\":\"429\",\"times\":1}", true, 2, 0 },
    { "{\"fault\":\"503\",\"times\":1}", true, 2, 0 },
    { "{\"fault\":\"500\",\"times\":1}", true, 2, 0 },
    { "{\"fault\":\"500\"}", false, 2, ERROR_INTERNAL },
    { "{\"fault\":\"reset-before\",\"times\":2}", true, 3, 0 },
    { "{\"fault\":\"reset-after\",\"times\":1}", true, 2, 0 },
    { "{\"fault\":\"half\",\"times\":1}", true, 2, 0 },
    { "{\"fault\":\"invalid-json\"}", false, 1, ERROR_INTERNAL },
    { "{\"fault\":\"hang-before\",\"seconds\":6}", false, 1, ERROR_TIMEOUT },
    { "{\"fault\":\"429\",\"retry_after\":60}", false, 1, ERROR_UNAVAILABLE },
};

static void a_read_is_asked_again_where_that_can_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        struct k8s_answer answer;
        struct error *err = NULL;
        set_fault(reads[i].rule);
        AUTO(k8s_object)
        struct k8s_object *object = k8s_get(faulty, &web, &(struct k8s_read){ .answer = &answer }, &err);
        print_message("%-45s %s\n", reads[i].rule, object ? "read" : error_message(err));
        assert_int_equal(object != NULL, reads[i].ok);
        assert_true(object || error_code(err) == reads[i].code);
        assert_in_range(answer.attempts, 1,
                        reads[i].attempts + 1); /* libcurl may have repeated a reset one itself */
        error_free(err);
    }
}

struct seen {
    unsigned count[K8S_CHANGE_COUNT];
    atomic_bool stop;
};

static bool count_changes(enum k8s_change change, yyjson_val *object, void *context)
{
    struct seen *seen = context;
    (void)object;
    seen->count[change]++;
    return seen->count[K8S_SYNCED] < 2; /* the second list is what is waited for */
}

static void a_watch_lists_again_after_a_410(void **state)
{
    struct error *err = NULL;
    struct seen seen = { 0 };
    (void)state;
    set_fault("{\"fault\":\"watch-410\",\"path\":\"configmaps\"}");
    assert_ok(k8s_watch(faulty, &k8s_configmaps, "shop", &(struct k8s_watch_options){ .deadline_ms = 10000 },
                        count_changes, &seen, &err),
              err);
    assert_int_equal(seen.count[K8S_LISTING], 2);
    assert_int_equal(seen.count[K8S_SYNCED], 2);
}

static void a_watch_that_is_denied_ends_with_the_reason(void **state)
{
    struct error *err = NULL;
    struct seen seen = { 0 };
    (void)state;
    set_fault("{\"fault\":\"403\",\"path\":\"configmaps\"}");
    assert_fails(k8s_watch(faulty, &k8s_configmaps, "shop",
                           &(struct k8s_watch_options){ .deadline_ms = 10000 }, count_changes, &seen, &err),
                 err, ERROR_DENIED, "403");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_sent_once_and_its_outcome_is_told_honestly),
        cmocka_unit_test(a_read_is_asked_again_where_that_can_help),
        cmocka_unit_test(a_watch_lists_again_after_a_410),
        cmocka_unit_test(a_watch_that_is_denied_ends_with_the_reason),
    };
    int failed = cmocka_run_group_tests(tests, start, stop);
    cluster_stop();
    return failed;
}
