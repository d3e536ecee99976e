/* Commands in containers, through the real API server to a stand-in of the kubelet's exec with canned programs. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/k8s/fixture.h"

static struct k8s *k8s;
static char folder[] = "/tmp/k8s-exec-XXXXXX";
static char *kubelet_pid;
static const struct k8s_ref pod = { &k8s_pods, "shop", "exec-target", NULL };

static void program(const char *name, const char *text)
{
    AUTO(text) char *path = xasprintf("%s/%s", folder, name);
    assert_true(file_replace(path, str_of(text), 0700, NULL));
}

static bool is_running(yyjson_val *object)
{
    return object && !strcmp(k8s_text_at(object, "/status/phase"), "Running");
}

static enum k8s_wait until_running(yyjson_val *object, void *context, struct error **err)
{
    (void)context, (void)err;
    return is_running(object) ? K8S_WAIT_DONE : K8S_WAIT_MORE;
}

static int start(void **state)
{
    struct error *err = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    program("echo", "#!/bin/sh\necho \"$@\"\n");
    program("cat", "#!/bin/sh\nexec cat\n");
    program("fail", "#!/bin/sh\necho wrong >&2\nexit \"$1\"\n");
    program("nap", "#!/bin/sh\nexec sleep \"$1\"\n");
    program("much", "#!/bin/sh\nhead -c \"$1\" /dev/zero | tr '\\0' x\n");
    k8s = cluster_client();
    AUTO(text)
    char *port = shell("python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0)); "
                       "print(s.getsockname()[1])'");
    kubelet_pid = shell(". %s/env; \"$CLUSTER_BIN/kubelet-exec\" %s %s/pki/kubelet.crt %s/pki/kubelet.key %s "
                        ">%s.log 2>&1 </dev/null & echo $!",
                        cluster_folder(), port, cluster_folder(), cluster_folder(), folder, folder);
    struct k8s_ref node = { &k8s_nodes, NULL, "exec-node", NULL };
    AUTO(text)
    char *node_body = xasprintf(
        "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"exec-node\",\"annotations\":{"
        "\"test.prometheus-alerts-slm.io/kubelet-port\":\"%s\"}},\"status\":{\"capacity\":{\"cpu\":\"4\","
        "\"memory\":\"8Gi\",\"pods\":\"10\"}}}",
        port);
    k8s_object_free(k8s_create(k8s, &node, str_of(node_body), NULL, &err));
    error_clear(&err);
    struct str body =
        STR("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"exec-target\"},\"spec\":{"
            "\"nodeName\":\"exec-node\",\"containers\":[{\"name\":\"main\",\"image\":\"main\"}]}}");
    k8s_object_free(k8s_create(k8s, &pod, body, NULL, &err));
    error_clear(&err);
    assert_ok(k8s_wait(k8s, &pod, 20000, until_running, NULL, NULL, &err), err);
    clock_sleep_ms(500);
    return 0;
}

static int stop(void **state)
{
    struct k8s_ref node = { &k8s_nodes, NULL, "exec-node", NULL };
    (void)state;
    k8s_delete(k8s, &pod, &(struct k8s_delete){ .force_now = true }, NULL);
    k8s_delete(k8s, &node, NULL, NULL);
    k8s_close(k8s);
    free(shell("kill %s; rm -r %s %s.log", kubelet_pid, folder, folder));
    free(kubelet_pid);
    return 0;
}

static bool run(const char *const *command, struct str input, struct k8s_exec_result *result,
                struct error **err)
{
    struct k8s_exec options = {
        .command = command, .input = input, .container = "main", .max_output = 100000, .deadline_ms = 3000
    };
    return k8s_exec(k8s, &pod, &options, result, err);
}

static void a_command_gives_its_output_and_exit_code(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_exec_result) struct k8s_exec_result echo = { 0 }, fail = { 0 };
    (void)state;
    assert_ok(run((const char *[]){ "echo", "a b", "c&d=e", NULL }, (struct str){ 0 }, &echo, &err), err);
    assert_true(echo.started && echo.ended);
    assert_int_equal(echo.exit_code, 0);
    assert_string_equal(echo.out.ptr, "a b c&d=e\n");
    assert_ok(run((const char *[]){ "fail", "7", NULL }, (struct str){ 0 }, &fail, &err), err);
    assert_int_equal(fail.exit_code, 7);
    assert_string_equal(fail.err.ptr, "wrong\n");
}

static void input_is_sent_and_closed(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_exec_result) struct k8s_exec_result result = { 0 };
    AUTO(strbuf) struct strbuf input = { 0 };
    (void)state;
    for (int i = 0; i < 90000; i++)
        strbuf_add_char(&input, (char)('a' + i % 26));
    assert_ok(run((const char *[]){ "cat", NULL }, strbuf_str(&input), &result, &err), err);
    assert_str_equal(strbuf_str(&result.out), strbuf_str(&input));
}

static void output_is_bounded(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_exec_result) struct k8s_exec_result result = { 0 };
    (void)state;
    assert_ok(run((const char *[]){ "much", "3000000", NULL }, (struct str){ 0 }, &result, &err), err);
    assert_int_equal(result.out.len, 100000);
    assert_true(result.truncated && result.ended);
}

static void what_cannot_run_has_not_started_and_what_is_cut_is_unknown(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_exec_result) struct k8s_exec_result none = { 0 }, cut = { 0 }, dry = { 0 };
    (void)state;
    assert_fails(run((const char *[]){ "no-such", NULL }, (struct str){ 0 }, &none, &err), err,
                 ERROR_NOT_FOUND, "executable file not found");
    assert_false(none.started);
    assert_fails(run((const char *[]){ "nap", "20", NULL }, (struct str){ 0 }, &cut, &err), err,
                 ERROR_TIMEOUT, "deadline");
    assert_true(cut.started && !cut.ended);
    AUTO(k8s)
    struct k8s *session = k8s_session(k8s, &(struct k8s_session_options){ .writes = K8S_WRITES_DRY_RUN });
    struct k8s_exec options = { .command = (const char *[]){ "echo", NULL } };
    assert_fails(k8s_exec(session, &pod, &options, &dry, &err), err, ERROR_DENIED, "no dry run");
}

static void a_pod_that_is_not_there_is_a_refusal(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    struct k8s_ref absent = { &k8s_pods, "shop", "no-such", NULL };
    AUTO(k8s_exec_result) struct k8s_exec_result result = { 0 };
    (void)state;
    struct k8s_exec options = { .command = (const char *[]){ "echo", NULL }, .answer = &answer };
    assert_fails(k8s_exec(k8s, &absent, &options, &result, &err), err, ERROR_NOT_FOUND, "404");
    assert_int_equal(answer.reason, K8S_NOT_FOUND);
    assert_false(result.started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_gives_its_output_and_exit_code),
        cmocka_unit_test(input_is_sent_and_closed),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(what_cannot_run_has_not_started_and_what_is_cut_is_unknown),
        cmocka_unit_test(a_pod_that_is_not_there_is_a_refusal),
    };
    int failed = cmocka_run_group_tests(tests, start, stop);
    cluster_stop();
    return failed;
}
