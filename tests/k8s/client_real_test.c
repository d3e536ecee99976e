/* The client against a real API server: every verb, and the answers that a caller has to tell apart. */
#include "k8s/k8s.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/k8s/fixture.h"

static const struct k8s_ref web = { &k8s_deployments, "shop", "web", NULL };

static int open_client(void **state)
{
    *state = cluster_client();
    return 0;
}

static int close_client(void **state)
{
    k8s_close(*state);
    return 0;
}

static void an_object_is_read(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_object) struct k8s_object *object = k8s_get(*state, &web, NULL, &err);
    assert_ok(object, err);
    assert_string_equal(object->name, "web");
    assert_true(k8s_int_at(object->root, "/spec/replicas", -1) > 0);
    assert_string_equal(k8s_condition(object->root, "Available", NULL, NULL), "True");
}

static void a_missing_object_a_missing_group_and_a_missing_namespace_differ(void **state)
{
    static const struct k8s_resource nothing = { "example.com", "v1", "things", "Thing", true };
    struct k8s_answer answer;
    struct k8s_read read = { .answer = &answer };
    struct error *err = NULL;
    struct k8s_ref absent = { &k8s_deployments, "shop", "no-such", NULL },
                   thing = { &nothing, "shop", "x", NULL };
    assert_fails(k8s_get(*state, &absent, &read, &err), err, ERROR_NOT_FOUND, "no-such");
    assert_int_equal(answer.reason, K8S_NOT_FOUND);
    assert_fails(k8s_get(*state, &thing, &read, &err), err, ERROR_UNSUPPORTED, "404");
    assert_int_equal(answer.reason, K8S_NOT_SERVED);
    struct k8s_ref bad = { &k8s_deployments, "Shop_1", "web", NULL };
    assert_fails(k8s_get(*state, &bad, &read, &err), err, ERROR_INVALID, "lower-case");
    assert_int_equal(answer.reason, K8S_NOT_SENT);
}

static void a_list_comes_page_by_page_and_is_whole(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_list) struct k8s_list all = { 0 }, paged = { 0 }, chosen = { 0 };
    assert_ok(k8s_list(*state, &k8s_pods, NULL, NULL, &all, &err), err);
    assert_ok(k8s_list(*state, &k8s_pods, NULL, &(struct k8s_list_options){ .page_size = 3 }, &paged, &err),
              err);
    assert_true(all.count > 5);
    assert_int_equal(paged.count, all.count);
    assert_true(paged.pages_len > 1);
    struct k8s_list_options only = { .field_selector = "status.phase!=Succeeded,status.phase!=Failed" };
    assert_ok(k8s_list(*state, &k8s_pods, "shop", &only, &chosen, &err), err);
    assert_true(chosen.count > 0 && chosen.count < all.count);
    struct k8s_list_options few = { .max_items = 2, .page_size = 2 };
    k8s_list_free(&chosen);
    assert_fails(k8s_list(*state, &k8s_pods, "shop", &few, &chosen, &err), err, ERROR_LIMIT, "more than 2");
}

static void a_stale_patch_is_a_conflict_and_sent_once(void **state)
{
    struct k8s_answer answer;
    struct error *err = NULL;
    struct k8s_write write = { .answer = &answer };
    struct str body = STR("{\"metadata\":{\"resourceVersion\":\"1\",\"annotations\":{\"a\":\"b\"}}}");
    assert_fails(k8s_patch(*state, &web, K8S_PATCH_MERGE, body, &write, &err), err, ERROR_CONFLICT,
                 "409 Conflict");
    assert_int_equal(answer.reason, K8S_CONFLICT);
    assert_int_equal(answer.attempts, 1);
    assert_false(answer.outcome_unknown);
}

static char *version_of(struct k8s *k8s, const struct k8s_ref *ref)
{
    AUTO(k8s_object) struct k8s_object *object = k8s_get(k8s, ref, NULL, NULL);
    assert_non_null(object);
    return xstrdup(object->resource_version);
}

static void a_dry_run_session_changes_nothing(void **state)
{
    struct error *err = NULL;
    struct k8s_ref db = { &k8s_statefulsets, "shop", "db", NULL },
                   claim = { &k8s_pvcs, "shop", "uploads", NULL };
    AUTO(k8s)
    struct k8s *dry = k8s_session(*state, &(struct k8s_session_options){ .writes = K8S_WRITES_DRY_RUN });
    AUTO(text) char *before = version_of(*state, &db);
    int now = 0;
    assert_ok(k8s_scale(dry, &db, 4, NULL, NULL, &now, &err), err);
    assert_int_equal(now, 4);
    assert_ok(k8s_delete(dry, &claim, NULL, &err), err);
    AUTO(k8s_object) struct k8s_object *still = k8s_get(*state, &claim, NULL, &err);
    assert_ok(still, err);
    assert_null(k8s_at(still->root, "/metadata/deletionTimestamp"));
    size_t count = 0;
    assert_ok(k8s_delete_collection(dry, &k8s_pods, "shop", "app=no-such", NULL, NULL, &count, &err), err);
    assert_int_equal(count, 0);
    assert_ok(k8s_delete_collection(dry, &k8s_pods, "shop", "app=db", NULL, NULL, &count, &err), err);
    assert_in_range(count, 1, 4); /* the selector counts although there is a body, and nothing was deleted */
    AUTO(text) char *after = version_of(*state, &db);
    assert_string_equal(before, after);
}

static void a_plan_session_sends_no_write(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    struct k8s_write write = { .answer = &answer };
    AUTO(k8s)
    struct k8s *plan = k8s_session(*state, &(struct k8s_session_options){ .writes = K8S_WRITES_NONE });
    assert_fails(k8s_scale(plan, &web, 1, NULL, &write, NULL, &err), err, ERROR_DENIED, "no write");
    assert_int_equal(answer.reason, K8S_NOT_SENT);
    bool allowed = false;
    assert_ok(k8s_may(plan, "patch", &web, &allowed, &err), err);
    assert_true(allowed);
}

static void scaling_with_a_lock_works_once(void **state)
{
    struct error *err = NULL;
    AUTO(text) char *version = version_of(*state, &web);
    int now = 0;
    assert_ok(k8s_scale(*state, &web, 4, version, NULL, &now, &err), err);
    assert_int_equal(now, 4);
    assert_fails(k8s_scale(*state, &web, 5, version, NULL, &now, &err), err, ERROR_CONFLICT, "409");
    assert_fails(k8s_scale(*state, &web, -1, NULL, NULL, &now, &err), err, ERROR_INVALID, "give 0 or more");
    struct k8s_object *last = NULL;
    assert_ok(k8s_wait(*state, &web, 20000, k8s_wait_rolled_out, NULL, &last, &err), err);
    assert_int_equal(k8s_int_at(last->root, "/status/readyReplicas", 0), 4);
    k8s_object_free(last);
    assert_ok(k8s_scale(*state, &web, 3, NULL, NULL, NULL, &err), err);
}

static void objects_are_created_applied_and_deleted_by_uid(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    struct k8s_ref ref = { &k8s_configmaps, "shop", "made-by-test", NULL };
    struct str body =
        STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"made-by-test\"},"
            "\"data\":{\"a\":\"1\"}}");
    AUTO(k8s_object) struct k8s_object *made = k8s_create(*state, &ref, body, NULL, &err);
    assert_ok(made, err);
    assert_fails(k8s_create(*state, &ref, body, &(struct k8s_write){ .answer = &answer }, &err), err,
                 ERROR_EXISTS, "409");
    assert_int_equal(answer.reason, K8S_ALREADY_EXISTS);
    struct str other =
        STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"made-by-test\"},"
            "\"data\":{\"a\":\"2\"}}");
    struct k8s_write stranger = { .field_manager = "stranger", .answer = &answer };
    assert_fails(k8s_apply(*state, &ref, other, &stranger, &err), err, ERROR_CONFLICT, "409");
    assert_true(k8s_answer_has_cause(&answer, "FieldManagerConflict"));
    stranger.force = true;
    AUTO(k8s_object) struct k8s_object *applied = k8s_apply(*state, &ref, other, &stranger, &err);
    assert_ok(applied, err);
    assert_string_equal(k8s_text_at(applied->root, "/data/a"), "2");
    struct k8s_delete wrong = { .uid = "00000000-0000-0000-0000-000000000000" }, right = { .uid = made->uid };
    assert_fails(k8s_delete(*state, &ref, &wrong, &err), err, ERROR_CONFLICT, "409");
    assert_ok(k8s_delete(*state, &ref, &right, &err), err);
    assert_ok(k8s_wait(*state, &ref, 5000, k8s_wait_gone, (void *)made->uid, NULL, &err), err);
}

static void a_misspelt_field_is_refused(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    struct str body = STR("{\"spec\":{\"replicsa\":3}}");
    assert_fails(
        k8s_patch(*state, &web, K8S_PATCH_MERGE, body, &(struct k8s_write){ .answer = &answer }, &err), err,
        ERROR_INVALID, "replicsa");
    assert_int_equal(answer.reason, K8S_INVALID);
}

static void find_pod(struct k8s *k8s, const char *selector, char name[256], char uid[64])
{
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    struct error *err = NULL;
    assert_ok(k8s_list(k8s, &k8s_pods, "shop", &(struct k8s_list_options){ .label_selector = selector },
                       &pods, &err),
              err);
    assert_true(pods.count > 0);
    snprintf(name, 256, "%s", k8s_text_at(pods.items[0], "/metadata/name"));
    snprintf(uid, 64, "%s", k8s_text_at(pods.items[0], "/metadata/uid"));
}

static void an_eviction_is_done_is_blocked_or_has_nothing_left_to_do(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    struct k8s_delete options = { .answer = &answer };
    enum k8s_eviction outcome;
    char name[256], uid[64];
    struct k8s_ref pod = { &k8s_pods, "shop", name, NULL };
    find_pod(*state, "app=checkout", name, uid);
    assert_ok(k8s_evict(*state, &pod, uid, &options, &outcome, &err), err);
    assert_int_equal(outcome, K8S_EVICT_BLOCKED);
    assert_int_equal(answer.attempts, 1);
    assert_true(answer.retry_after_ms >= 5000);
    find_pod(*state, "app=web", name, uid);
    assert_ok(k8s_evict(*state, &pod, "00000000-0000-0000-0000-000000000000", &options, &outcome, &err), err);
    assert_int_equal(outcome, K8S_EVICT_GONE);
    assert_ok(k8s_evict(*state, &pod, uid, &options, &outcome, &err), err);
    assert_int_equal(outcome, K8S_EVICTED);
    assert_ok(k8s_wait(*state, &pod, 20000, k8s_wait_gone, uid, NULL, &err), err);
    assert_ok(k8s_evict(*state, &pod, uid, &options, &outcome, &err), err);
    assert_int_equal(outcome, K8S_EVICT_GONE);
}

static void values_of_secrets_stay_on_the_server(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    struct k8s_ref sealed = { &k8s_secrets, "shop", "sealed", NULL };
    AUTO(k8s_object) struct k8s_object *meta = k8s_get(*state, &sealed, NULL, &err);
    assert_ok(meta, err);
    assert_null(k8s_at(meta->root, "/data"));
    AUTO(k8s_object)
    struct k8s_object *whole = k8s_get(*state, &sealed, &(struct k8s_read){ .secret_values = true }, &err);
    assert_non_null(k8s_at(whole->root, "/data"));
    struct str body = STR("{\"data\":{\"other\":\"c2VjcmV0\"}}");
    assert_fails(
        k8s_patch(*state, &sealed, K8S_PATCH_MERGE, body, &(struct k8s_write){ .answer = &answer }, &err),
        err, ERROR_INVALID, "not shown");
    assert_int_equal(answer.status, 422);
    assert_string_equal(answer.causes[0].message, "");
}

static void who_has_no_rights_is_told_by_whom(void **state)
{
    struct error *err = NULL;
    struct k8s_answer answer;
    (void)state;
    AUTO(text) char *path = cluster_user("nobody");
    AUTO(k8s) struct k8s *nobody = k8s_open(&(struct k8s_options){ .kubeconfig = path }, &err);
    assert_ok(nobody, err);
    assert_fails(k8s_get(nobody, &web, &(struct k8s_read){ .answer = &answer }, &err), err, ERROR_DENIED,
                 "nobody");
    assert_true(answer.forbidden_by_rbac);
    bool allowed = true;
    assert_ok(k8s_may(nobody, "patch", &web, &allowed, &err), err);
    assert_false(allowed);
}

static void discovery_finds_what_is_served(void **state)
{
    struct error *err = NULL;
    const struct k8s_resource *snapshots = k8s_served(*state, &k8s_volume_snapshots, &err);
    assert_ok(snapshots, err);
    assert_string_equal(snapshots->plural, "volumesnapshots");
    assert_fails(k8s_discover(*state, "mesh.example.com", "Mesh", &err), err, ERROR_UNSUPPORTED,
                 "no Mesh CRD");
    int major = 0, minor = 0;
    assert_ok(k8s_version(*state, &major, &minor, &err), err);
    assert_true(major == 1 && minor >= 30);
}

static void a_lease_has_one_holder(void **state)
{
    struct error *err = NULL;
    struct k8s_lease a = { .namespace = "shop", .name = "test", .identity = "a", .duration_s = 1 }, b = a;
    b.identity = "b";
    assert_ok(k8s_lease_try(*state, &a, &err), err);
    assert_ok(k8s_lease_try(*state, &b, &err), err);
    assert_true(k8s_lease_held(&a));
    assert_false(k8s_lease_held(&b));
    assert_string_equal(b.holder, "a");
    clock_sleep_ms(1100);
    assert_false(k8s_lease_held(&a));
    assert_ok(k8s_lease_try(*state, &b, &err), err);
    assert_true(k8s_lease_held(&b));
    k8s_lease_release(*state, &b);
    assert_ok(k8s_lease_try(*state, &a, &err), err);
    assert_true(k8s_lease_held(&a));
}

static void logs_are_read(void **state)
{
    struct error *err = NULL;
    char name[256], uid[64];
    AUTO(strbuf) struct strbuf text = { 0 };
    struct k8s_ref pod = { &k8s_pods, "shop", name, NULL };
    find_pod(*state, "app=api", name, uid);
    AUTO(k8s_object) struct k8s_object *object = k8s_get(*state, &pod, NULL, &err);
    struct k8s_log_options options = { .container = k8s_text_at(object->root, "/spec/containers/0/name"),
                                       .tail_lines = 5 };
    assert_ok(k8s_log(*state, &pod, &options, &text, &err), err);
    assert_true(text.len > 0);
}

static void an_event_is_written_once(void **state)
{
    struct error *err = NULL;
    AUTO(k8s_object) struct k8s_object *about = k8s_get(*state, &web, NULL, &err);
    for (int i = 0; i < 2; i++)
        assert_ok(k8s_event(*state, about, &k8s_deployments, "web.test-1", true, "Tested", "a \"message\"",
                            NULL, &err),
                  err);
}

struct seen {
    unsigned count[K8S_CHANGE_COUNT];
    struct k8s *k8s;
};

static bool count_changes(enum k8s_change change, yyjson_val *object, void *context)
{
    struct seen *seen = context;
    struct k8s_ref ref = { &k8s_configmaps, "shop", "watched", NULL };
    (void)object;
    seen->count[change]++;
    struct str body =
        STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"watched\"}}");
    if (change == K8S_SYNCED)
        k8s_object_free(k8s_create(seen->k8s, &ref, body, NULL, NULL));
    if (change == K8S_ADDED && seen->count[K8S_SYNCED])
        k8s_delete(seen->k8s, &ref, NULL, NULL);
    return change != K8S_DELETED;
}

static void a_watch_lists_and_follows(void **state)
{
    struct error *err = NULL;
    struct seen seen = { .k8s = *state };
    assert_ok(k8s_watch(*state, &k8s_configmaps, "shop", &(struct k8s_watch_options){ .deadline_ms = 15000 },
                        count_changes, &seen, &err),
              err);
    assert_int_equal(seen.count[K8S_LISTING], 1);
    assert_int_equal(seen.count[K8S_SYNCED], 1);
    assert_true(seen.count[K8S_ADDED] >= 2);
    assert_int_equal(seen.count[K8S_DELETED], 1);
}

struct told {
    unsigned before, after, writes;
    char last[256];
};

static void hear_before(const struct k8s_call *call, void *context)
{
    struct told *told = context;
    told->before++;
    told->writes += call->is_write;
    snprintf(told->last, sizeof told->last, "%s %s", call->verb, call->path);
}

static void hear_after(const struct k8s_call *call, void *context)
{
    struct told *told = context;
    told->after += call->status == 200;
}

static void an_observer_hears_every_call(void **state)
{
    struct told told = { 0 };
    struct k8s_session_options options = { .observer = { hear_before, hear_after, &told },
                                           .writes = K8S_WRITES_DRY_RUN };
    AUTO(k8s) struct k8s *session = k8s_session(*state, &options);
    k8s_object_free(k8s_get(session, &web, NULL, NULL));
    assert_true(k8s_scale(session, &web, 2, NULL, NULL, NULL, NULL));
    assert_int_equal(told.before, 2);
    assert_int_equal(told.after, 2);
    assert_int_equal(told.writes, 1);
    assert_string_equal(told.last, "patch /apis/apps/v1/namespaces/shop/deployments/web/scale"
                                   "?fieldManager=prometheus-alerts-slm&fieldValidation=Strict&dryRun=All");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_read),
        cmocka_unit_test(a_missing_object_a_missing_group_and_a_missing_namespace_differ),
        cmocka_unit_test(a_list_comes_page_by_page_and_is_whole),
        cmocka_unit_test(a_stale_patch_is_a_conflict_and_sent_once),
        cmocka_unit_test(a_dry_run_session_changes_nothing),
        cmocka_unit_test(a_plan_session_sends_no_write),
        cmocka_unit_test(scaling_with_a_lock_works_once),
        cmocka_unit_test(objects_are_created_applied_and_deleted_by_uid),
        cmocka_unit_test(a_misspelt_field_is_refused),
        cmocka_unit_test(an_eviction_is_done_is_blocked_or_has_nothing_left_to_do),
        cmocka_unit_test(values_of_secrets_stay_on_the_server),
        cmocka_unit_test(who_has_no_rights_is_told_by_whom),
        cmocka_unit_test(discovery_finds_what_is_served),
        cmocka_unit_test(a_lease_has_one_holder),
        cmocka_unit_test(logs_are_read),
        cmocka_unit_test(an_event_is_written_once),
        cmocka_unit_test(a_watch_lists_and_follows),
        cmocka_unit_test(an_observer_hears_every_call),
    };
    int failed = cmocka_run_group_tests(tests, open_client, close_client);
    cluster_stop();
    return failed;
}
