/* The object graph and the owners of fields, on the objects of the test cluster. */
#include "k8s/k8s.h"

#include <stdio.h>

#include "tests/k8s/fixture.h"

struct fixture {
    struct k8s *k8s;
    struct arena *arena;
};

static int open_client(void **state)
{
    static struct fixture f;
    f.k8s = cluster_client();
    f.arena = arena_new(64 * 1024);
    *state = &f;
    return 0;
}

static int close_client(void **state)
{
    struct fixture *f = *state;
    k8s_close(f->k8s);
    arena_free(f->arena);
    return 0;
}

static const char *const workloads[] = { "Deployment", "StatefulSet", "DaemonSet", NULL };

static const char *pod_of(struct fixture *f, const char *namespace, const char *selector)
{
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    struct error *err = NULL;
    assert_ok(k8s_list(f->k8s, &k8s_pods, namespace, &(struct k8s_list_options){ .label_selector = selector },
                       &pods, &err),
              err);
    assert_true(pods.count > 0);
    return arena_strdup(f->arena, k8s_text_at(pods.items[0], "/metadata/name"));
}

/* "Pod/x -named> ReplicaSet/y -owner> …" without the names. */
static const char *path_of(struct fixture *f, const struct k8s_target *target)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    for (size_t i = 0; i < target->path_len; i++)
        strbuf_addf(&text, "%s%s:%s", i ? " " : "", target->path[i].by, target->path[i].kind);
    return arena_strdup(f->arena, text.ptr);
}

static void expect(struct fixture *f, const char *kind, const char *namespace, const char *name,
                   const char *const *kinds, const char *found_kind, const char *found, const char *path)
{
    struct error *err = NULL;
    AUTO(k8s_target) struct k8s_target target = { 0 };
    assert_ok(k8s_resolve(f->k8s, f->arena, kind, namespace, name, kinds, &target, &err), err);
    assert_string_equal(target.resource->kind, found_kind);
    assert_string_equal(target.name, found);
    assert_string_equal(path_of(f, &target), path);
    assert_string_equal(target.uid, target.object->uid);
}

static void a_pod_leads_to_its_workload(void **state)
{
    struct fixture *f = *state;
    expect(f, "Pod", "shop", pod_of(f, "shop", "app=web"), workloads, "Deployment", "web",
           "named:Pod owner:ReplicaSet owner:Deployment");
    expect(f, "Pod", "shop", "db-0", workloads, "StatefulSet", "db", "named:Pod owner:StatefulSet");
    expect(f, "pod", "shop", "db-0", (const char *[]){ "Pod", NULL }, "Pod", "db-0", "named:Pod");
}

static void claims_services_and_autoscalers_lead_to_workloads_and_back(void **state)
{
    struct fixture *f = *state;
    expect(f, "PersistentVolumeClaim", "shop", "uploads", workloads, "Deployment", "files",
           "named:PersistentVolumeClaim mounts:Pod owner:ReplicaSet owner:Deployment");
    expect(f, "PersistentVolumeClaim", "shop", "data-db-0", workloads, "StatefulSet", "db",
           "named:PersistentVolumeClaim mounts:Pod owner:StatefulSet");
    expect(f, "Service", "shop", "web", workloads, "Deployment", "web",
           "named:Service endpoints:Pod owner:ReplicaSet owner:Deployment");
    expect(f, "HorizontalPodAutoscaler", "shop", "cart", workloads, "Deployment", "cart",
           "named:HorizontalPodAutoscaler scaleTargetRef:Deployment");
    expect(f, "Deployment", "shop", "cart", (const char *[]){ "HorizontalPodAutoscaler", NULL },
           "HorizontalPodAutoscaler", "cart", "named:Deployment scaleTargetRef:HorizontalPodAutoscaler");
    expect(f, "Pod", "shop", "db-1", (const char *[]){ "PersistentVolumeClaim", NULL },
           "PersistentVolumeClaim", "data-db-1", "named:Pod mounts:PersistentVolumeClaim");
}

static void a_pod_leads_to_its_node(void **state)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    AUTO(k8s_target) struct k8s_target target = { 0 };
    assert_ok(
        k8s_resolve(f->k8s, f->arena, "Pod", "shop", "db-0", (const char *[]){ "Node", NULL }, &target, &err),
        err);
    assert_string_equal(target.path[1].by, "spec.nodeName");
}

static void several_are_no_answer(void **state)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    AUTO(k8s_target) struct k8s_target target = { 0 };
    const char *const pod[] = { "Pod", NULL }, *const secret[] = { "Secret", NULL };
    assert_fails(k8s_resolve(f->k8s, f->arena, "StatefulSet", "shop", "db", pod, &target, &err), err,
                 ERROR_CONFLICT, "2 objects of kind Pod");
    assert_fails(k8s_resolve(f->k8s, f->arena, "Deployment", "shop", "web", secret, &target, &err), err,
                 ERROR_NOT_FOUND, "nothing of kind Secret");
    assert_fails(k8s_resolve(f->k8s, f->arena, "Pod", "shop", "web-0-gone", workloads, &target, &err), err,
                 ERROR_NOT_FOUND, "web-0-gone");
    assert_fails(k8s_resolve(f->k8s, f->arena, "Pod", "shop", "No_Name", workloads, &target, &err), err,
                 ERROR_INVALID, "No_Name");
    assert_fails(k8s_resolve(f->k8s, f->arena, "Gizmo", "shop", "x", workloads, &target, &err), err,
                 ERROR_INVALID, "Gizmo");
}

static void owners_of_fields_are_named(void **state)
{
    static const struct {
        const char *name, *field;
        enum k8s_owner_kind kind;
        bool owned;
    } cases[] = {
        { "cart", "/spec/replicas", K8S_OWNER_HPA, true },
        { "worker", "/spec/replicas", K8S_OWNER_KEDA, true },
        { "search", "/spec/template/spec/containers/resources", K8S_OWNER_VPA,
          false }, /* it only recommends */
        { "catalog", "/spec/replicas", K8S_OWNER_ARGO_CD, true },
        { "stock", "/spec/replicas", K8S_OWNER_FLUX, true },
        { "web", "/spec/replicas", K8S_OWNER_HPA, false },
        { "web", NULL, K8S_OWNER_ARGO_CD, false },
        { "search", "/spec/replicas", K8S_OWNER_VPA, false },
    };
    struct fixture *f = *state;
    struct error *err = NULL;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct k8s_owners owners;
        struct k8s_ref ref = { &k8s_deployments, "shop", cases[i].name, NULL };
        AUTO(k8s_object) struct k8s_object *object = k8s_get(f->k8s, &ref, NULL, &err);
        assert_ok(k8s_owners(f->k8s, f->arena, object, &k8s_deployments, cases[i].field, &owners, &err), err);
        const struct k8s_owner *owner = k8s_owners_find(&owners, cases[i].kind);
        if (!!owner != cases[i].owned)
            fail_msg("%s: %s", cases[i].name, k8s_owner_names[cases[i].kind]);
        assert_true(!owner || (owner->reverts && *owner->evidence));
    }
}

static void a_vpa_that_acts_owns_resources(void **state)
{
    struct fixture *f = *state;
    struct error *err = NULL;
    struct k8s_owners owners;
    struct k8s_ref vpa = { &k8s_vpas, "shop", "search", NULL },
                   search = { &k8s_deployments, "shop", "search", NULL };
    const char *modes[] = { "Recreate", "Off" };
    for (size_t i = 0; i < 2; i++) {
        const char *body =
            arena_printf(f->arena, "{\"spec\":{\"updatePolicy\":{\"updateMode\":\"%s\"}}}", modes[i]);
        AUTO(k8s_object)
        struct k8s_object *now = k8s_patch(f->k8s, &vpa, K8S_PATCH_MERGE, str_of(body), NULL, &err);
        assert_ok(now, err);
        AUTO(k8s_object) struct k8s_object *object = k8s_get(f->k8s, &search, NULL, &err);
        assert_ok(k8s_owners(f->k8s, f->arena, object, &k8s_deployments, NULL, &owners, &err), err);
        assert_int_equal(k8s_owners_find(&owners, K8S_OWNER_VPA) != NULL, i == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_leads_to_its_workload),
        cmocka_unit_test(claims_services_and_autoscalers_lead_to_workloads_and_back),
        cmocka_unit_test(a_pod_leads_to_its_node),
        cmocka_unit_test(several_are_no_answer),
        cmocka_unit_test(owners_of_fields_are_named),
        cmocka_unit_test(a_vpa_that_acts_owns_resources),
    };
    int failed = cmocka_run_group_tests(tests, open_client, close_client);
    cluster_stop();
    return failed;
}
