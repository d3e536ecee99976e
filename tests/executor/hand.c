/* One executor in a process of its own, for tests that kill it or put a proxy before it. Built with the fault points.
 *
 *     hand FOLDER KUBECONFIG DEADLINE_MS run KEY ACTION PARAMETERS [KIND NAMESPACE NAME]
 *     hand FOLDER KUBECONFIG DEADLINE_MS dry KEY ACTION PARAMETERS [KIND NAMESPACE NAME]     with dryRun=All
 *     hand FOLDER KUBECONFIG DEADLINE_MS tend                                                one round of recovery
 *     hand FOLDER KUBECONFIG DEADLINE_MS tend-beside KEY ACTION PARAMETERS [KIND NAMESPACE NAME]
 *                                                   the same round while that action executes in another thread
 *
 * FOLDER holds store.db and policy.yaml. What the store then has is printed as `executions list` does. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "executor/executor.h"
#include "k8s/k8s.h"

struct hand {
    struct config *config;
    struct store *store;
    struct k8s *k8s;
    struct executor *executor;
};

static bool open_hand(struct hand *hand, const char *folder, const char *kubeconfig, long deadline_ms,
                      struct error **err)
{
    AUTO(text) char *policy = xasprintf("policy.file=%s/policy.yaml", folder);
    AUTO(text) char *url = xasprintf("sqlite:%s/store.db", folder);
    const char *const set[] = {
        policy,
        "actions.cooldown_period=0s",
        "actions.timeout=15s",
        "actions.max_unschedulable_percent=100",
        "actions.protected_allowed=restart_network",
        NULL,
    };
    struct k8s_options client = { .kubeconfig = kubeconfig, .rate = 1000, .deadline_ms = deadline_ms };
    hand->config = config_load(&(struct config_options){ "/dev/null", set, (char *[]){ NULL } }, err);
    if (!hand->config)
        return false;
    hand->store = store_open(&(struct store_options){ .url = url, .is_server = true }, err);
    hand->k8s = hand->store ? k8s_open(&client, err) : NULL;
    if (!hand->k8s)
        return false;
    struct executor_options options = { .store = hand->store, .fixed = hand->config, .k8s = hand->k8s };
    return (hand->executor = executor_open(&options, err)) != NULL;
}

static void close_hand(struct hand *hand)
{
    executor_close(hand->executor);
    k8s_close(hand->k8s);
    store_close(hand->store);
    config_free(hand->config);
}

/* As the processor asks: by a decision, which is asked for again with the same id after a restart. */
static bool run(struct hand *hand, char **words, enum executor_mode mode, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    struct execution row;
    struct execution_request request = {
        .decision_id = words[0], .parameters = words[2], .confidence = 1, .requested_by = "hand", .mode = mode
    };
    if (!action_parse(str_of(words[1]), &request.action))
        return error_set(err, ERROR_INVALID, "there is no action %s", words[1]);
    if (words[3]) {
        request.kind = words[3];
        request.namespace = words[4];
        request.name = words[5];
    }
    return executor_execute(hand->executor, arena, &request, &row, NULL, err);
}

struct beside {
    struct hand *hand;
    char **words;
    bool ok;
};

static void *run_beside(void *context)
{
    struct beside *beside = context;
    AUTO(error) struct error *err = NULL;
    beside->ok = run(beside->hand, beside->words, EXECUTOR_REAL, &err);
    return NULL;
}

static bool executes(struct hand *hand)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct execution_query query = { .state = "executing" };
    return executor_write_list(hand->executor, &query, &json, NULL) && strstr(json.ptr, "\"executing\"");
}

static bool tend_beside(struct hand *hand, char **words, struct error **err)
{
    struct beside beside = { hand, words, false };
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_beside, &beside) != 0)
        return error_set(err, ERROR_INTERNAL, "no thread");
    for (int i = 0; i < 1000 && !executes(hand); i++)
        clock_sleep_ms(10);
    bool busy = executes(hand), ok = executor_tend(hand->executor, err);
    pthread_join(thread, NULL);
    return ok && ((busy && beside.ok) || error_set(err, ERROR_INTERNAL, "nothing executed beside it"));
}

static bool work(struct hand *hand, char **words, struct error **err)
{
    if (!strcmp(words[0], "tend"))
        return executor_tend(hand->executor, err);
    if (!strcmp(words[0], "tend-beside"))
        return tend_beside(hand, words + 1, err);
    return run(hand, words + 1, !strcmp(words[0], "dry") ? EXECUTOR_SERVER : EXECUTOR_REAL, err);
}

int main(int argc, char **argv)
{
    AUTO(error) struct error *err = NULL;
    AUTO(strbuf) struct strbuf json = { 0 };
    struct hand hand = { 0 };
    if (argc < 5) {
        fputs("hand: read the head of hand.c\n", stderr);
        return 2;
    }
    bool ok = open_hand(&hand, argv[1], argv[2], atol(argv[3]), &err) && work(&hand, argv + 4, &err) &&
              executor_write_list(hand.executor, &(struct execution_query){ 0 }, &json, &err);
    if (ok)
        printf("%s\n", json.ptr);
    else
        fprintf(stderr, "hand: %s\n", error_message(err));
    close_hand(&hand);
    return !ok;
}
