/* The watch cache and the facts about objects, against the objects of the test cluster. */
#include "k8s/k8s.h"

#include <malloc.h>
#include <stdio.h>

#include "tests/k8s/fixture.h"

static struct k8s *k8s;
static struct arena *arena;

static int open_client(void **state)
{
    (void)state;
    k8s = cluster_client();
    arena = arena_new(64 * 1024);
    return 0;
}

static int close_client(void **state)
{
    (void)state;
    k8s_close(k8s);
    arena_free(arena);
    return 0;
}

static void the_cache_knows_what_a_list_says_and_follows_changes(void **state)
{
    struct error *err = NULL;
    struct k8s_item item = { 0 };
    struct k8s_ref pod = { &k8s_pods, "shop", "db-0", NULL },
                   map = { &k8s_configmaps, "shop", "cached", NULL };
    const struct k8s_resource *const kinds[] = { &k8s_pods, &k8s_nodes, &k8s_configmaps, NULL };
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    (void)state;
    AUTO(k8s_cache)
    struct k8s_cache *cache = k8s_cache_start(k8s, &(struct k8s_cache_options){ .resources = kinds });
    assert_true(k8s_cache_synced(cache, 0, 10000));
    assert_ok(k8s_list(k8s, &k8s_pods, NULL, NULL, &pods, &err), err);
    assert_int_equal(k8s_cache_each(cache, &(struct k8s_filter){ .resource = &k8s_pods }, NULL, NULL),
                     pods.count);
    assert_true(k8s_cache_get(cache, &pod, arena, &item));
    assert_string_equal(item.owner_kind, "StatefulSet");
    assert_string_equal(item.claims, "data-db-0");
    assert_true(item.is_ready && *item.node && strstr(item.labels, "app=db"));
    assert_true(k8s_cache_each(cache, &(struct k8s_filter){ .owner_uid = item.owner_uid }, NULL, NULL) >= 2);
    struct str body =
        STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"cached\"}}");
    AUTO(k8s_object) struct k8s_object *made = k8s_create(k8s, &map, body, NULL, &err);
    assert_ok(made, err);
    for (int i = 0; i < 100 && !k8s_cache_get(cache, &map, arena, &item); i++)
        clock_sleep_ms(20);
    assert_true(k8s_cache_get(cache, &map, arena, &item));
    assert_true(k8s_delete(k8s, &map, NULL, NULL));
    for (int i = 0; i < 100 && k8s_cache_get(cache, &map, arena, &item); i++)
        clock_sleep_ms(20);
    assert_false(k8s_cache_get(cache, &map, arena, &item));
    struct k8s_cache_stats stats;
    k8s_cache_stats(cache, &stats);
    print_message("%zu items in %zu bytes, %zu each\n", stats.items, stats.bytes, stats.bytes / stats.items);
    assert_string_equal(stats.failed, "");
}

static void a_deployment_is_described(void **state)
{
    struct error *err = NULL;
    static struct k8s_facts facts;
    struct k8s_ref web = { &k8s_deployments, "shop", "web", NULL };
    AUTO(strbuf) struct strbuf json = { 0 };
    (void)state;
    assert_ok(k8s_describe(k8s, NULL, arena, &web, 0, &facts, &err), err);
    assert_string_equal(facts.missing, "");
    assert_true(facts.containers_len == 2 && facts.pods_len > 0 && facts.revisions_len > 0 &&
                facts.conditions_len > 0);
    assert_int_equal(facts.pods_total, facts.replicas);
    k8s_facts_write(&json, &facts);
    AUTO(k8s_object) struct k8s_object *read = k8s_object_parse(strbuf_str(&json), &err);
    assert_ok(read, err);
    assert_string_equal(k8s_text_at(read->root, "/name"), "web");
}

static void claims_nodes_pods_and_autoscalers_are_described(void **state)
{
    struct error *err = NULL;
    static struct k8s_facts facts;
    struct k8s_ref claim = { &k8s_pvcs, "shop", "uploads", NULL },
                   cart = { &k8s_deployments, "shop", "cart", NULL };
    struct k8s_ref pod = { &k8s_pods, "shop", "db-0", NULL };
    (void)state;
    assert_ok(k8s_describe(k8s, NULL, arena, &claim, 0, &facts, &err), err);
    assert_true(facts.claim.can_expand && *facts.claim.capacity);
    assert_ok(k8s_describe(k8s, NULL, arena, &cart, 0, &facts, &err), err);
    assert_string_equal(facts.hpa.name, "cart");
    assert_int_equal(facts.hpa.max, 5);
    assert_ok(k8s_describe(k8s, NULL, arena, &pod, 0, &facts, &err), err);
    assert_string_equal(facts.owner, "StatefulSet db");
    struct k8s_ref node = { &k8s_nodes, NULL, facts.node, NULL };
    assert_ok(k8s_describe(k8s, NULL, arena, &node, 0, &facts, &err), err);
    assert_string_equal(facts.phase, "Ready");
    assert_true(facts.node_state.pods > 0);
}

static void what_may_not_be_read_is_named(void **state)
{
    struct error *err = NULL;
    static struct k8s_facts facts;
    (void)state;
    AUTO(text) char *path = cluster_user("reader");
    struct k8s_ref role = { &k8s_roles, "shop", "reader", NULL },
                   binding = { &k8s_role_bindings, "shop", "reader", NULL };
    k8s_object_free(k8s_create(k8s, &role,
                               STR("{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"Role\","
                                   "\"metadata\":{\"name\":\"reader\"},\"rules\":[{\"apiGroups\":[\"apps\"],"
                                   "\"resources\":[\"deployments\"],\"verbs\":[\"get\"]}]}"),
                               NULL, NULL));
    k8s_object_free(k8s_create(
        k8s, &binding,
        STR("{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"RoleBinding\",\"metadata\":{\"name\":\"reader\"},"
            "\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\"name\":\"reader\"},"
            "\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":\"reader\"}]}"),
        NULL, NULL));
    AUTO(k8s) struct k8s *reader = k8s_open(&(struct k8s_options){ .kubeconfig = path }, &err);
    struct k8s_ref web = { &k8s_deployments, "shop", "web", NULL };
    clock_sleep_ms(500);
    assert_ok(k8s_describe(reader, NULL, arena, &web, 0, &facts, &err), err);
    assert_non_null(strstr(facts.missing, "events"));
    assert_non_null(strstr(facts.missing, "403"));
    assert_true(facts.containers_len == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_knows_what_a_list_says_and_follows_changes),
        cmocka_unit_test(a_deployment_is_described),
        cmocka_unit_test(claims_nodes_pods_and_autoscalers_are_described),
        cmocka_unit_test(what_may_not_be_read_is_named),
    };
    int failed = cmocka_run_group_tests(tests, open_client, close_client);
    cluster_stop();
    return failed;
}
