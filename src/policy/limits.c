/* What holds whatever the rules say: how many at a time, how soon again, how many in a while, and the switch. */
#include "policy/policy_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "store/settings.h"

/* Without limits of their own, a storm of alerts is stopped here: a person can still run by hand what is left. */
enum { TEN_MINUTES_MS = 10 * 60 * 1000, HOUR_MS = 60 * 60 * 1000 };
struct limit policy_default_limits[] = {
    { { "cluster-rate", 12 }, ACTION_SET_ALL, 0, 60, -1, TEN_MINUTES_MS, &policy_default_limits[1] },
    { { "namespace-rate", 14 },
      ACTION_SET_ALL,
      PER_NAMESPACE,
      30,
      -1,
      TEN_MINUTES_MS,
      &policy_default_limits[2] },
    { { "action-rate", 11 }, ACTION_SET_ALL, PER_ACTION, 30, -1, TEN_MINUTES_MS, &policy_default_limits[3] },
    { { "resource-rate", 13 }, ACTION_SET_ALL, PER_RESOURCE, 10, -1, HOUR_MS, &policy_default_limits[4] },
    { { "replicas", 8 }, ACTION_SET_ALL, 0, -1, 1000, HOUR_MS, NULL },
};

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static char *cooldown_subject(struct arena *arena, const struct execution *e)
{
    return arena_printf(arena, "%s/%s/%s/%s/%s", text_or_empty(e->cluster), text_or_empty(e->namespace),
                        text_or_empty(e->kind), text_or_empty(e->name), e->action);
}

static bool check_concurrency(struct tx *tx, struct arena *arena, const struct policy_limits *limits,
                              const struct execution *e, const char **why, struct error **err)
{
    int64_t running;
    const char *other;
    if (!execution_running(tx, e->id, &running, err) || !execution_busy(tx, arena, e, &other, err))
        return false;
    if (other)
        *why = arena_printf(arena, "execution %s works on this resource now", other);
    else if (limits->max_concurrent && running >= limits->max_concurrent)
        *why = arena_printf(arena, "%lld executions are running, and actions.max_concurrent is %lld",
                            (long long)running, (long long)limits->max_concurrent);
    return true;
}

static bool check_cooldown(struct tx *tx, struct arena *arena, const struct execution *e, const char **why,
                           struct error **err)
{
    int64_t until;
    char text[DURATION_TEXT_MAX];
    if (!cooldown_get(tx, cooldown_subject(arena, e), &until, err))
        return false;
    if (until)
        *why = arena_printf(arena, "cooldown: %s of this resource again in %s", e->action,
                            duration_format((until - clock_utc_ms() + 999) / 1000 * 1000, text));
    return true;
}

static bool check_limit(struct tx *tx, struct arena *arena, const struct limit *limit,
                        const struct execution *e, const char **why, struct error **err)
{
    bool resource = limit->per & PER_RESOURCE;
    if (resource && !text_or_empty(e->name)[0])
        return true; /* there is none to count by */
    if (limit->per == PER_NAMESPACE && !text_or_empty(e->namespace)[0])
        return true; /* nodes have none */
    struct execution_count what = {
        .since = clock_utc_ms() - limit->within_ms,
        .action = limit->per & PER_ACTION || limit->actions != ACTION_SET_ALL ? e->action : "",
        .namespace = limit->per & PER_NAMESPACE || resource ? text_or_empty(e->namespace) : "",
        .kind = resource ? e->kind : "",
        .name = resource ? e->name : "",
        .except_id = e->id,
    };
    int64_t executions, replicas;
    char text[DURATION_TEXT_MAX];
    if (!execution_counted(tx, &what, &executions, &replicas, err))
        return false;
    if (limit->executions >= 0 && executions >= limit->executions)
        *why = arena_printf(arena, "limit " STR_FMT ": %lld executions within %s, at most %lld are allowed",
                            STR_ARG(limit->name), (long long)executions,
                            duration_format(limit->within_ms, text), (long long)limit->executions);
    else if (limit->replicas >= 0 && e->affected && replicas + e->affected > limit->replicas)
        *why = arena_printf(
            arena,
            "limit " STR_FMT ": %lld replicas touched within %s, %lld more would be over the budget of %lld",
            STR_ARG(limit->name), (long long)replicas, duration_format(limit->within_ms, text),
            (long long)e->affected, (long long)limit->replicas);
    return true;
}

bool policy_would_reserve(const struct policy *policy, struct tx *tx, struct arena *arena,
                          const struct policy_limits *limits, const struct execution *execution,
                          enum action action, const char **why, struct error **err)
{
    struct policy_stop stop;
    *why = NULL;
    if (!policy_stop_state(tx, arena, limits->stop_file, &stop, err))
        return false;
    if (stop.stopped && policy_action_writes(action)) {
        *why =
            arena_printf(arena, "executions are stopped by %s: %s (`executions resume`)", stop.by, stop.why);
        return true;
    }
    if (!policy_action_writes(action))
        return true;
    if (!check_concurrency(tx, arena, limits, execution, why, err))
        return false;
    if (!*why && !execution->undo_of && !check_cooldown(tx, arena, execution, why, err))
        return false;
    for (const struct limit *limit = policy->limits; limit && !*why && !execution->undo_of;
         limit = limit->next)
        if (limit->actions & BIT(action) && !check_limit(tx, arena, limit, execution, why, err))
            return false;
    return true;
}

bool policy_reserve(const struct policy *policy, struct tx *tx, struct arena *arena,
                    const struct policy_limits *limits, const struct execution *execution, enum action action,
                    const char **why, struct error **err)
{
    if (!execution_gate(tx, err) ||
        !policy_would_reserve(policy, tx, arena, limits, execution, action, why, err))
        return false;
    if (*why || !policy_action_writes(action) || limits->cooldown_ms <= 0)
        return true;
    return cooldown_set(tx, cooldown_subject(arena, execution), clock_utc_ms() + limits->cooldown_ms,
                        execution->id, execution->action, err);
}

bool policy_opts_out(yyjson_val *annotations, enum action action)
{
    const char *text = yyjson_get_str(yyjson_obj_get(annotations, POLICY_OPT_OUT));
    if (!text)
        return false;
    struct str rest = str_of(text), part;
    if (str_eq(str_trim(rest), STR("true")))
        return true;
    while (str_split(&rest, ',', &part))
        if (str_eq(str_trim(part), str_of(action_name(action))))
            return true;
    return false;
}

/* ---- the switch */

#define STOP_SETTING "executions.stopped"

bool policy_stop_state(struct tx *tx, struct arena *arena, const char *stop_file, struct policy_stop *stop,
                       struct error **err)
{
    struct str value;
    bool found = false;
    *stop = (struct policy_stop){ .by = "", .why = "" };
    if (stop_file && stop_file[0] && access(stop_file, F_OK) == 0) {
        *stop = (struct policy_stop){ true, "file", arena_printf(arena, "%s exists", stop_file), 0 };
        return true;
    }
    if (!setting_get(tx, arena, STOP_SETTING, &value, &found, err))
        return false;
    if (!found)
        return true;
    struct str at, by;
    int64_t ms = 0;
    stop->stopped = true;
    if (str_split(&value, '\n', &at) && str_split(&value, '\n', &by)) {
        str_to_i64(at, &ms);
        stop->at = ms;
        stop->by = arena_text(arena, by);
        stop->why = arena_text(arena, value);
    }
    return true;
}

bool policy_stop(struct tx *tx, const char *by, const char *why, struct error **err)
{
    AUTO(strbuf) struct strbuf value = { 0 };
    strbuf_addf(&value, "%lld\n%s\n%s", (long long)clock_utc_ms(), by,
                why && why[0] ? why : "no reason given");
    log_warn("executions are stopped", KV("by", by), KV("why", why));
    return setting_set(tx, STOP_SETTING, strbuf_str(&value), err);
}

bool policy_resume(struct tx *tx, const char *by, struct error **err)
{
    log_warn("executions are resumed", KV("by", by));
    return setting_delete(tx, STOP_SETTING, err);
}
