#include "tests/test.h"

#include "alert/alert.h"

static struct alert_target target_of(struct arena *arena, const char *labels)
{
    struct label_list list;
    struct error *err = NULL;
    assert_ok(label_list_parse(arena, str_of(labels), &list, &err), err);
    return alert_target_of(&list);
}

static void the_label_that_says_most_is_the_target(void **state)
{
    (void)state;
    static const struct {
        const char *labels, *key;
    } cases[] = {
        { "{\"namespace\":\"a\",\"pod\":\"p\",\"node\":\"n\"}", "/a/Pod/p" },
        { "{\"namespace\":\"a\",\"pod\":\"p\",\"deployment\":\"d\",\"cluster\":\"c\"}", "c/a/Deployment/d" },
        { "{\"namespace\":\"a\",\"persistentvolumeclaim\":\"v\",\"node\":\"n\",\"job\":\"kubelet\"}",
          "/a/PersistentVolumeClaim/v" },
        { "{\"node\":\"n\",\"namespace\":\"monitoring\"}", "//Node/n" },
        { "{\"job_name\":\"j\",\"job\":\"kube-state-metrics\",\"namespace\":\"a\"}", "/a/Job/j" },
        { "{\"job\":\"node\",\"instance\":\"10.0.0.1:9100\"}", "///" },
        { "{\"namespace\":\"a\",\"workload\":\"w\",\"workload_type\":\"statefulset\",\"pod\":\"w-0\"}",
          "/a/StatefulSet/w" },
        { "{\"exported_namespace\":\"a\"}", "/a/Namespace/a" },
    };
    AUTO(arena) struct arena *arena = arena_new(4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct alert_target target = target_of(arena, cases[i].labels);
        assert_string_equal(alert_target_key(arena, &target), cases[i].key);
    }
}

static void owner_of_a_pod_follows_from_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *pod, *owner;
    } cases[] = {
        { "web-5d4f7c9b8d-x2x4z", "/s/Deployment/web" },
        { "my-app-api-7f6b5c-bcdfg", "/s/Deployment/my-app-api" },
        { "db-0", "/s/StatefulSet/db" },
        { "db-12", "/s/StatefulSet/db" },
        { "fluentd-zx8k2", "/s/DaemonSet/fluentd" },
        { "lonely", "/s/Pod/lonely" },
        { "web-canary", "/s/Pod/web-canary" },
        { "-", "/s/Pod/-" },
    };
    AUTO(arena) struct arena *arena = arena_new(4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct alert_target pod = { .namespace = STR("s"), .kind = STR("Pod"), .name = str_of(cases[i].pod) };
        struct alert_target owner = alert_target_owner(&pod);
        assert_string_equal(alert_target_key(arena, &owner), cases[i].owner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_label_that_says_most_is_the_target),
        cmocka_unit_test(owner_of_a_pod_follows_from_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
