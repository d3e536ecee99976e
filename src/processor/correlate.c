/* Which incident an alert belongs to. Alerts that share a target are one incident: a pod counts as its owner, and what
 * happens on a node in trouble belongs to the node. A group key of Alertmanager's joins nothing by itself, for 300
 * crashing Deployments in one group are 300 incidents; it only allows the guess that a volume claim named after a pod is
 * that pod's. Further rules are a table in the configuration. */
#include "processor/processor_internal.h"

#include <stdio.h>

enum { KEYS_MAX = 24 };

struct keys { /* names under which an open incident may know the alert */
    struct {
        const char *key, *rule;
        int64_t window_ms;
    } items[KEYS_MAX];
    size_t count;
};

/* An alert that names nothing is related to nothing; one that names a namespace, only to its like. */
static const char *target_key(struct arena *arena, const struct alert *alert,
                              const struct alert_target *owner)
{
    const char *key = alert_target_key(arena, owner);
    if (str_is_empty(owner->kind))
        return arena_printf(arena, "%s#%s", key, alert->fingerprint);
    if (str_eq(owner->kind, STR("Namespace")))
        return arena_printf(arena, "%s#" STR_FMT, key, STR_ARG(alert->name));
    return key;
}

static struct str node_of(const struct alert *alert)
{
    if (str_eq(alert->target.kind, STR("Node")))
        return alert->target.name;
    struct str node = label_get(&alert->labels, STR("node"));
    return str_is_empty(node) ? label_get(&alert->labels, STR("node_name")) : node;
}

static void add_key(struct keys *keys, const char *key, const char *rule, int64_t window_ms)
{
    if (keys->count == KEYS_MAX)
        return;
    keys->items[keys->count].key = key;
    keys->items[keys->count].rule = rule;
    keys->items[keys->count++].window_ms = window_ms;
}

/* A StatefulSet's claim is called TEMPLATE-POD, and either part may hold dashes: every tail might be the pod. */
static void add_volume_keys(struct arena *arena, const struct alert_record *record, int64_t window_ms,
                            struct keys *keys)
{
    const struct alert_target *target = &record->alert.target;
    bool is_claim = str_eq(target->kind, STR("PersistentVolumeClaim"));
    if (str_is_empty(record->group_key) || (!is_claim && !str_eq(target->kind, STR("Pod"))))
        return;
    for (size_t at = 0; at < target->name.len; at++) {
        if (is_claim ? target->name.ptr[at] != '-' : at > 0)
            continue;
        struct str pod = str_slice(target->name, is_claim ? at + 1 : 0, target->name.len);
        add_key(keys,
                arena_printf(arena, "volume:" STR_FMT ":" STR_FMT "/" STR_FMT, STR_ARG(record->group_key),
                             STR_ARG(target->namespace), STR_ARG(pod)),
                "volume", window_ms);
    }
}

static const char *rule_key(struct arena *arena, const struct config_correlation_rule *rule,
                            const struct alert *alert)
{
    AUTO(strbuf) struct strbuf key = { 0 };
    strbuf_addf(&key, "rule:%s", rule->name);
    for (size_t i = 0; i < rule->same.count; i++) {
        struct str value = label_get(&alert->labels, str_of(rule->same.items[i]));
        if (str_is_empty(value))
            return NULL;
        strbuf_addf(&key, ":" STR_FMT, STR_ARG(value));
    }
    return arena_strdup(arena, key.ptr);
}

static void find_keys(const struct incident_set *set, const struct alert_record *record, struct keys *keys)
{
    const struct config_correlation *config = &set->config->correlation;
    add_volume_keys(set->arena, record, config->window_ms, keys);
    for (size_t i = 0; i < config->rules.count; i++) {
        const struct config_correlation_rule *rule = &config->rules.items[i];
        const char *key = conditions_are_met(&rule->match, &record->alert)
                              ? rule_key(set->arena, rule, &record->alert)
                              : NULL;
        if (key)
            add_key(keys, key, rule->name, rule->window_ms);
    }
}

/* --- the incidents of this transaction */

static struct entry *add_entry(struct incident_set *set, const struct incident *incident)
{
    if (set->count == set->room) {
        struct entry **old = set->entries;
        set->room = set->room ? set->room * 2 : 64;
        set->entries = ARENA_ARRAY(set->arena, struct entry *, set->room);
        if (old)
            memcpy(set->entries, old, set->count * sizeof *old);
    }
    struct entry *entry = ARENA_NEW(set->arena, struct entry);
    entry->incident = *incident;
    set->entries[set->count++] = entry;
    return entry;
}

static struct entry *find_entry(struct incident_set *set, const char *id)
{
    for (size_t i = set->count; i-- > 0;)
        if (strcmp(set->entries[i]->incident.id, id) == 0)
            return set->entries[i];
    return NULL;
}

static struct entry *entry_of(struct incident_set *set, const struct incident *incident)
{
    struct entry *entry = find_entry(set, incident->id);
    return entry ? entry : add_entry(set, incident);
}

static bool find_by_target(struct incident_set *set, const char *key, struct entry **entry,
                           struct error **err)
{
    for (size_t i = set->count; i-- > 0;) {
        const struct incident *incident = &set->entries[i]->incident;
        if (incident->status == INCIDENT_OPEN && strcmp(incident->target_key, key) == 0) {
            *entry = set->entries[i];
            return true;
        }
    }
    struct incident incident;
    bool found = false;
    if (!incident_find_open(set->tx, set->arena, key, &incident, &found, err))
        return false;
    struct entry *known = found ? entry_of(set, &incident) : NULL;
    if (known && known->incident.status == INCIDENT_OPEN) /* it may have ended earlier in this transaction */
        *entry = known;
    return true;
}

static bool find_on_node(struct incident_set *set, const struct alert_record *record, struct entry **entry,
                         struct error **err)
{
    struct str node = node_of(&record->alert);
    if (str_is_empty(node) || str_eq(record->alert.target.kind, STR("Node")))
        return true;
    struct alert_target target = { .cluster = record->alert.target.cluster,
                                   .kind = STR("Node"),
                                   .name = node };
    return find_by_target(set, alert_target_key(set->arena, &target), entry, err);
}

static bool find_by_keys(struct incident_set *set, const struct keys *keys, int64_t now, struct entry **entry,
                         const char **rule, struct error **err)
{
    for (size_t i = 0; i < keys->count && !*entry; i++) {
        struct incident incident;
        bool found = false;
        if (!incident_find_by_key(set->tx, set->arena, keys->items[i].key, now - keys->items[i].window_ms,
                                  &incident, &found, err))
            return false;
        struct entry *known = found ? entry_of(set, &incident) : NULL;
        if (!known || known->incident.status != INCIDENT_OPEN)
            continue;
        *entry = known;
        *rule = keys->items[i].rule;
    }
    return true;
}

static struct entry *open_incident(struct incident_set *set, const struct alert_record *record,
                                   const char *key, const struct alert_target *owner)
{
    struct incident incident = {
        .status = INCIDENT_OPEN,
        .target_key = key,
        .target = *owner,
        .node = node_of(&record->alert),
        .rule = "target",
        .title = record->alert.name,
        .severity = record->alert.severity_text,
        .severity_rank = SEVERITY_OTHER + 1, /* so that the first alert becomes the root */
        .work = STR("none"),
        .opened_at = record->last_seen_at,
        .trace_id = record->trace_id,
    };
    ulid_new(incident.id);
    struct entry *entry = add_entry(set, &incident);
    entry->is_new = true;
    return entry;
}

/* --- the root candidate */

/* Trouble of a node or a volume explains that of a pod, rarely the other way round. */
static int depth_of(const struct alert_target *target)
{
    static const char *const causes[] = { "Node", "PersistentVolumeClaim" };
    for (int i = 0; i < (int)ARRAY_LEN(causes); i++)
        if (str_eq(target->kind, str_of(causes[i])))
            return i;
    return ARRAY_LEN(causes);
}

static bool explains(const struct alert_record *new, const struct alert_record *old)
{
    int depth = depth_of(&new->alert.target) - depth_of(&old->alert.target);
    if (depth != 0)
        return depth < 0;
    if (new->alert.severity != old->alert.severity)
        return new->alert.severity < old->alert.severity;
    return new->alert.starts_at < old->alert.starts_at;
}

static bool choose_root(struct incident_set *set, struct entry *entry, const struct alert_record *record,
                        struct error **err)
{
    struct incident *incident = &entry->incident;
    struct alert_record root;
    if (incident->root_alert_id[0]) {
        AUTO(error) struct error *gone = NULL; /* retention may have taken it */
        if (!alert_record_get(set->tx, set->arena, incident->root_alert_id, &root, &gone)) {
            if (error_code(gone) != ERROR_NOT_FOUND) {
                error_move(err, &gone);
                return false;
            }
        } else if (root.alert.status == ALERT_FIRING && !explains(record, &root)) {
            return true;
        }
    }
    snprintf(incident->root_alert_id, sizeof incident->root_alert_id, "%s", record->id);
    incident->title = record->alert.name;
    return true;
}

/* --- joining and leaving */

static bool count_in(struct incident_set *set, struct entry *entry, struct alert_record *record,
                     struct error **err)
{
    struct incident *incident = &entry->incident;
    entry->is_changed = true;
    incident->firing++;
    incident->updated_at = record->last_seen_at;
    incident->flapping = record->flapping;
    snprintf(record->incident_id, sizeof record->incident_id, "%s", incident->id);
    if (record->alert.severity < incident->severity_rank) {
        incident->severity_rank = record->alert.severity;
        incident->severity = record->alert.severity_text;
    }
    if (!str_is_empty(incident->node) && !str_eq(incident->node, node_of(&record->alert)))
        incident->node = (struct str){ 0 };
    return choose_root(set, entry, record, err);
}

static bool remember_keys(struct incident_set *set, const struct incident *incident, const struct keys *keys,
                          int64_t now, struct error **err)
{
    for (size_t i = 0; i < keys->count; i++)
        if (!incident_add_key(set->tx, incident->id, keys->items[i].key, now, err))
            return false;
    return true;
}

static bool adopt_from_node(struct incident_set *set, const struct entry *entry,
                            const struct alert_record *record, struct error **err)
{
    if (!entry->is_new || !str_eq(record->alert.target.kind, STR("Node")))
        return true;
    int64_t since = record->last_seen_at - set->config->correlation.window_ms;
    for (size_t i = 0; i < set->count; i++) { /* those of this transaction are not yet written */
        struct incident *other = &set->entries[i]->incident;
        if (set->entries[i] == entry || !str_eq(other->node, record->alert.target.name) ||
            other->parent_id[0])
            continue;
        snprintf(other->parent_id, sizeof other->parent_id, "%s", entry->incident.id);
        set->entries[i]->is_changed = true;
    }
    return incident_adopt(set->tx, record->alert.target.name, entry->incident.id, since, err);
}

bool correlate_join(struct incident_set *set, struct alert_record *record, struct entry **joined,
                    struct error **err)
{
    struct keys keys = { 0 };
    struct alert_target owner = alert_target_owner(&record->alert.target);
    const char *key = target_key(set->arena, &record->alert, &owner), *rule = "node";
    struct entry *entry = NULL;
    find_keys(set, record, &keys);
    if (!find_by_target(set, key, &entry, err) || (!entry && !find_on_node(set, record, &entry, err)) ||
        (!entry && !find_by_keys(set, &keys, record->last_seen_at, &entry, &rule, err)))
        return false;
    if (entry && strcmp(entry->incident.target_key, key) != 0)
        entry->incident.rule = rule;
    if (!entry)
        entry = open_incident(set, record, key, &owner);
    entry->incident.alerts++;
    *joined = entry;
    return count_in(set, entry, record, err) &&
           remember_keys(set, &entry->incident, &keys, record->last_seen_at, err) &&
           adopt_from_node(set, entry, record, err);
}

static bool load(struct incident_set *set, const char *id, struct entry **entry, struct error **err)
{
    struct incident incident;
    *entry = find_entry(set, id);
    if (*entry)
        return true;
    if (!incident_get(set->tx, set->arena, id, &incident, err))
        return false;
    *entry = add_entry(set, &incident);
    return true;
}

/* What was thought to come from this one, and still fires, gets work of its own after a while. */
static bool wake_children(struct incident_set *set, const struct incident *parent, int64_t now,
                          struct error **err)
{
    struct incidents children;
    const struct incident_query query = { .status = "open", .parent_id = parent->id };
    if (!incident_list(set->tx, set->arena, &query, &children, err))
        return false;
    for (size_t i = 0; i < children.count; i++) {
        struct job_request request;
        work_request(&children.items[i], now + set->config->intake.reopen_grace_ms, &request);
        if (!job_request(set->tx, &request, err))
            return false;
    }
    return true;
}

bool correlate_leave(struct incident_set *set, const struct alert_record *record, int64_t now,
                     struct error **err)
{
    struct entry *entry;
    if (!record->incident_id[0])
        return true;
    if (!load(set, record->incident_id, &entry, err))
        return false;
    struct incident *incident = &entry->incident;
    entry->is_changed = true;
    incident->updated_at = now;
    incident->flapping = record->flapping;
    if (incident->firing > 0)
        incident->firing--;
    if (incident->firing > 0 || incident->status != INCIDENT_OPEN)
        return true;
    incident->status = INCIDENT_RESOLVED;
    incident->resolved_at = now;
    return wake_children(set, incident, now, err);
}

/* Back to its own incident; if that has ended and its target has another by now, to that one. */
bool correlate_rejoin(struct incident_set *set, struct alert_record *record, struct entry **joined,
                      struct error **err)
{
    struct entry *entry = NULL, *other = NULL;
    if (!record->incident_id[0])
        return correlate_join(set, record, joined, err);
    if (!load(set, record->incident_id, &entry, err))
        return false;
    if (entry->incident.status != INCIDENT_OPEN) {
        if (!find_by_target(set, entry->incident.target_key, &other, err))
            return false;
        if (other)
            return correlate_join(set, record, joined, err);
        entry->incident.status = INCIDENT_OPEN;
        entry->incident.resolved_at = 0;
    }
    *joined = entry;
    return count_in(set, entry, record, err);
}

bool correlate_write(struct incident_set *set, struct error **err)
{
    for (size_t i = 0; i < set->count; i++) {
        struct entry *entry = set->entries[i];
        if (entry->is_new ? !incident_insert(set->tx, &entry->incident, err)
                          : entry->is_changed && !incident_update(set->tx, &entry->incident, err))
            return false;
    }
    return true;
}
