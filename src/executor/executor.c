/* Opening, the policy in force, and who we are ourselves. */
#include "executor/executor_internal.h"

#include <stdlib.h>
#include <unistd.h>

struct held_policy { /* freed when its last holder lets go and it is not in force any more */
    struct policy *policy;
    unsigned holders;
    struct held_policy *next;
};

const struct config *executor_hold_config(struct executor *executor)
{
    return executor->config ? config_live_hold(executor->config) : executor->fixed;
}

void executor_release_config(struct executor *executor, const struct config *config)
{
    if (executor->config)
        config_live_release(executor->config, config);
}

const struct policy *executor_hold_policy(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    const struct policy *policy = executor->policy->policy;
    executor->policy->holders++;
    pthread_mutex_unlock(&executor->lock);
    return policy;
}

/* Old ones behind the first that nobody holds. */
static void drop_unheld(struct executor *executor)
{
    for (struct held_policy **at = &executor->policy->next; *at;) {
        struct held_policy *old = *at;
        if (old->holders) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        policy_free(old->policy);
        free(old);
    }
}

void executor_release_policy(struct executor *executor, const struct policy *policy)
{
    pthread_mutex_lock(&executor->lock);
    for (struct held_policy *held = executor->policy; held; held = held->next)
        if (held->policy == policy) {
            held->holders--;
            break;
        }
    drop_unheld(executor);
    pthread_mutex_unlock(&executor->lock);
}

bool executor_reload(struct executor *executor, struct error **err)
{
    const struct config *config = executor_hold_config(executor);
    struct policy *policy = policy_open(config->policy.file, err);
    executor_release_config(executor, config);
    if (!policy)
        return false;
    struct held_policy *held = xcalloc(1, sizeof *held);
    held->policy = policy;
    pthread_mutex_lock(&executor->lock);
    held->next = executor->policy;
    executor->policy = held;
    drop_unheld(executor);
    pthread_mutex_unlock(&executor->lock);
    return true;
}

static char *own_namespace(const struct executor_options *options)
{
    const char *given = getenv("POD_NAMESPACE");
    if (given && given[0])
        return xstrdup(given);
    return xstrdup(options->k8s && k8s_in_cluster(options->k8s) ? k8s_namespace(options->k8s) : "");
}

static char *own_pod(const struct executor_options *options)
{
    char host[256] = "";
    const char *given = getenv("POD_NAME");
    if (given && given[0])
        return xstrdup(given);
    if (options->k8s && k8s_in_cluster(options->k8s))
        gethostname(host, sizeof host - 1);
    return xstrdup(host);
}

static char *identity_of(const struct executor_options *options)
{
    char host[256] = "localhost";
    if (options->identity)
        return xstrdup(options->identity);
    gethostname(host, sizeof host - 1);
    return xasprintf("%s/%ld", host, (long)getpid());
}

struct executor *executor_open(const struct executor_options *options, struct error **err)
{
    AUTO(executor) struct executor *executor = xcalloc(1, sizeof *executor);
    executor->store = options->store;
    executor->config = options->config;
    executor->fixed = options->fixed;
    executor->k8s = options->k8s;
    executor->no_cluster = xstrdup(options->no_cluster ? options->no_cluster : "none is configured");
    executor->identity = identity_of(options);
    executor->own_namespace = own_namespace(options);
    executor->own_pod = own_pod(options);
    pthread_mutex_init(&executor->lock, NULL);
    pthread_cond_init(&executor->wake, NULL);
    return executor_reload(executor, err) ? STEAL(executor) : NULL;
}

static void stop(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    executor->stopping = true;
    pthread_cond_broadcast(&executor->wake);
    pthread_mutex_unlock(&executor->lock);
    if (executor->started)
        pthread_join(executor->thread, NULL);
    pthread_mutex_lock(&executor->lock);
    while (executor->workers) /* they hear of it within seconds, and leave their rows as they are */
        pthread_cond_wait(&executor->wake, &executor->lock);
    pthread_mutex_unlock(&executor->lock);
}

void executor_close(struct executor *executor)
{
    if (!executor)
        return;
    stop(executor);
    for (struct held_policy *held = executor->policy; held;) {
        struct held_policy *next = held->next;
        policy_free(held->policy);
        free(held);
        held = next;
    }
    pthread_cond_destroy(&executor->wake);
    pthread_mutex_destroy(&executor->lock);
    free(executor->no_cluster);
    free(executor->identity);
    free(executor->own_namespace);
    free(executor->own_pod);
    free(executor);
}

bool executor_is_stopping(struct executor *executor)
{
    pthread_mutex_lock(&executor->lock);
    bool stopping = executor->stopping;
    pthread_mutex_unlock(&executor->lock);
    return stopping;
}

static bool is_stopping(struct executor *executor, int64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    pthread_mutex_lock(&executor->lock);
    while (!executor->stopping && pthread_cond_timedwait(&executor->wake, &executor->lock, &until) == 0)
        ;
    bool stopping = executor->stopping;
    pthread_mutex_unlock(&executor->lock);
    return stopping;
}

static void *tend(void *context)
{
    enum { EVERY_MS = 1000, AFTER_FAILURE_MS = 10 * 1000 };
    struct executor *executor = context;
    int64_t wait_ms = 0;
    while (!is_stopping(executor, wait_ms)) {
        AUTO(error) struct error *err = NULL;
        bool ok = tend_round(executor, false, &err);
        if (!ok)
            log_warn("executions cannot be tended", KV("error", error_message(err)));
        wait_ms = ok ? EVERY_MS : AFTER_FAILURE_MS;
    }
    return NULL;
}

void executor_start(struct executor *executor)
{
    executor->started = pthread_create(&executor->thread, NULL, tend, executor) == 0;
}
