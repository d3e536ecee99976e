#include "processor/gather.h"

#include "k8s/k8s.h"

enum { CLUSTER_DEADLINE_MS = 3000 };

static const char *text_in(struct arena *arena, struct str text)
{
    return text.len ? arena_text(arena, text) : NULL;
}

static void add_line(struct strbuf *out, const char *name, const char *value)
{
    if (value && value[0])
        strbuf_addf(out, "%s: %s\n", name, value);
}

static struct str state_text(struct arena *arena, const struct k8s_facts *facts)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_addf(&out, "%s %s: %s\n", facts->kind, facts->name, facts->summary);
    add_line(&out, "phase", facts->phase);
    add_line(&out, "last termination", facts->last_termination);
    if (facts->hpa.name && facts->hpa.name[0])
        strbuf_addf(&out, "autoscaler %s: %d to %d, now %d%s\n", facts->hpa.name, facts->hpa.min,
                    facts->hpa.max, facts->hpa.current, facts->hpa.at_max ? ", at its maximum" : "");
    for (size_t i = 0; i < facts->containers_len; i++)
        strbuf_addf(&out, "container %s: %s, memory limit %s, cpu limit %s, %d restarts\n",
                    facts->containers[i].name, facts->containers[i].state, facts->containers[i].memory_limit,
                    facts->containers[i].cpu_limit, facts->containers[i].restarts);
    for (size_t i = 0; i < facts->pods_len; i++)
        if (!facts->pods[i].ready)
            strbuf_addf(&out, "pod %s: %s %s on %s\n", facts->pods[i].name, facts->pods[i].phase,
                        facts->pods[i].reason, facts->pods[i].node);
    for (size_t i = 0; i < facts->conditions_len; i++)
        strbuf_addf(&out, "condition %s=%s %s\n", facts->conditions[i].type, facts->conditions[i].status,
                    facts->conditions[i].reason);
    if (facts->revisions_len > 1)
        strbuf_addf(&out, "released %lld minutes ago\n",
                    (long long)((clock_utc_ms() - facts->revisions[0].created) / 60000));
    if (facts->claim.capacity && facts->claim.capacity[0])
        strbuf_addf(&out, "capacity %s, %s\n", facts->claim.capacity,
                    facts->claim.can_expand ? "can be expanded" : "cannot be expanded");
    return arena_str(arena, strbuf_str(&out));
}

static struct str events_text(struct arena *arena, const struct k8s_facts *facts)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    for (size_t i = 0; i < facts->events_len; i++)
        strbuf_addf(&out, "%s %s: %s\n", facts->events[i].reason, facts->events[i].object,
                    facts->events[i].message);
    return arena_str(arena, strbuf_str(&out));
}

static void narrow(struct action_bounds *bounds, const char *parameter, int64_t minimum, int64_t maximum)
{
    if (bounds->count < ACTION_PARAMETERS_MAX && minimum <= maximum)
        bounds->bounds[bounds->count++] = (struct parameter_bounds){ parameter, minimum, maximum };
}

/* From just above what is there to some multiple of it: an increase increases, and in steps. */
static void narrow_quantity(struct action_bounds *bounds, const char *parameter, const char *present,
                            int64_t times)
{
    int64_t now;
    if (present && quantity_parse(str_of(present), &now) && now > 0)
        narrow(bounds, parameter, now + now / 4, now * times);
}

/* What the present state leaves of each parameter's bounds. */
static const struct action_bounds *bounds_of(struct arena *arena, const struct k8s_facts *facts)
{
    struct action_bounds *bounds = ARENA_ARRAY(arena, struct action_bounds, ACTION_COUNT);
    if (facts->replicas > 0) {
        int64_t most = (int64_t)facts->replicas * 2 + 1;
        narrow(&bounds[ACTION_SCALE_DEPLOYMENT], "replicas", facts->replicas + 1, most);
        narrow(&bounds[ACTION_SCALE_STATEFULSET], "replicas", facts->replicas + 1, most);
    }
    if (facts->hpa.name && facts->hpa.name[0])
        narrow(&bounds[ACTION_UPDATE_HPA], "max_replicas", facts->hpa.max + 1, (int64_t)facts->hpa.max * 2);
    if (facts->containers_len) {
        narrow_quantity(&bounds[ACTION_INCREASE_RESOURCES], "memory_limit", facts->containers[0].memory_limit,
                        4);
        narrow_quantity(&bounds[ACTION_INCREASE_RESOURCES], "cpu_limit", facts->containers[0].cpu_limit, 4);
    }
    narrow_quantity(&bounds[ACTION_EXPAND_PVC], "new_size", facts->claim.capacity, 3);
    return bounds;
}

bool gather_cluster(const struct processor_work *work, struct k8s *k8s, struct pipeline_cluster_state *state,
                    struct error **err)
{
    struct arena *arena = work->arena;
    const struct alert_target *target = &work->incident.target;
    const char *kind = text_in(arena, target->kind), *name = text_in(arena, target->name);
    const struct k8s_resource *resource = kind ? k8s_resource_of_kind(kind) : NULL;
    if (!k8s || !resource || !name)
        return true;
    struct k8s_ref ref = { resource, text_in(arena, target->namespace), name };
    struct k8s_facts facts = { 0 };
    if (!k8s_describe(k8s, NULL, arena, &ref, CLUSTER_DEADLINE_MS, &facts, err))
        return false;
    kind_parse(str_of(facts.kind), &state->kind);
    state->state = state_text(arena, &facts);
    state->events = events_text(arena, &facts);
    state->bounds = bounds_of(arena, &facts);
    return true;
}
