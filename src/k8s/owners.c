/* Who owns a field: autoscalers that point at an object, GitOps tools and operators that put back what others write, and
 * field managers. Where somebody owns it, an action goes through him or is refused. */
#include "k8s/k8s.h"

#include <stdio.h>

#include "k8s/k8s_internal.h"

enum { OWNERS_MAX = 32, PATH_MAX_PARTS = 16 };

const char *const k8s_owner_names[K8S_OWNER_COUNT] = {
    [K8S_OWNER_HPA] = "HorizontalPodAutoscaler",
    [K8S_OWNER_KEDA] = "KEDA",
    [K8S_OWNER_VPA] = "VerticalPodAutoscaler",
    [K8S_OWNER_ARGO_CD] = "Argo CD",
    [K8S_OWNER_FLUX] = "Flux",
    [K8S_OWNER_HELM] = "Helm",
    [K8S_OWNER_OPERATOR] = "operator",
    [K8S_OWNER_OLM] = "Operator Lifecycle Manager",
    [K8S_OWNER_MANAGER] = "field manager",
};

/* Field managers by what their names begin with. */
static const struct {
    const char *prefix;
    enum k8s_owner_kind kind;
    bool reverts;
} managers[] = {
    { "argocd", K8S_OWNER_ARGO_CD, true },
    { "argo-cd", K8S_OWNER_ARGO_CD, true },
    { "kustomize-controller", K8S_OWNER_FLUX, true },
    { "helm-controller", K8S_OWNER_FLUX, true },
    { "flux", K8S_OWNER_FLUX, true },
    { "helm", K8S_OWNER_HELM, false },
    { "Helm", K8S_OWNER_HELM, false },
    { "keda", K8S_OWNER_KEDA, true },
    { "vpa-", K8S_OWNER_VPA, true },
};

/* Labels and annotations by which tools mark what is theirs. */
static const struct mark {
    const char *key, *value; /* value NULL: any */
    bool is_annotation;
    enum k8s_owner_kind kind;
    bool reverts;
    const char *object_kind, *name_key, *namespace_key; /* where the owner's own name stands */
} marks[] = {
    { "argocd.argoproj.io/tracking-id", NULL, true, K8S_OWNER_ARGO_CD, true, "Application", NULL, NULL },
    { "argocd.argoproj.io/instance", NULL, false, K8S_OWNER_ARGO_CD, true, "Application",
      "argocd.argoproj.io/instance", NULL },
    { "kustomize.toolkit.fluxcd.io/name", NULL, false, K8S_OWNER_FLUX, true, "Kustomization",
      "kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace" },
    { "helm.toolkit.fluxcd.io/name", NULL, false, K8S_OWNER_FLUX, true, "HelmRelease",
      "helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace" },
    { "app.kubernetes.io/managed-by", "Helm", false, K8S_OWNER_HELM, false, "release",
      "meta.helm.sh/release-name", "meta.helm.sh/release-namespace" },
    { "olm.owner", NULL, false, K8S_OWNER_OLM, true, "ClusterServiceVersion", "olm.owner",
      "olm.owner.namespace" },
};

/* ---- managedFields ---- */

/* Whether fieldsV1 holds the path from `part` on. Keys of list items ("k:{…}") and of sets ("v:…") are passed through. */
static bool holds(yyjson_val *fields, char *const *parts, size_t count)
{
    char key[256];
    size_t i, len;
    yyjson_val *name, *value;
    if (!count)
        return true;
    snprintf(key, sizeof key, "f:%s", parts[0]);
    yyjson_val *next = yyjson_obj_get(fields, key);
    if (next && holds(next, parts + 1, count - 1))
        return true;
    yyjson_obj_foreach(fields, i, len, name, value) if (!strncmp(yyjson_get_str(name), "k:", 2) &&
                                                        holds(value, parts, count)) return true;
    return false;
}

static size_t split_field(struct arena *arena, const char *field, char *parts[PATH_MAX_PARTS])
{
    struct str rest = str_of(field), part;
    size_t count = 0;
    while (count < PATH_MAX_PARTS && str_split(&rest, '/', &part))
        if (part.len)
            parts[count++] = arena_text(arena, part);
    return count;
}

static bool manages(struct arena *arena, yyjson_val *entry, const char *field)
{
    char *parts[PATH_MAX_PARTS];
    if (!field)
        return true;
    size_t count = split_field(arena, field, parts);
    return holds(yyjson_obj_get(entry, "fieldsV1"), parts, count);
}

size_t k8s_field_managers(struct arena *arena, yyjson_val *object, const char *field, const char ***names)
{
    yyjson_val *list = k8s_at(object, "/metadata/managedFields"), *entry;
    size_t i, len, count = 0;
    *names = ARENA_ARRAY(arena, const char *, yyjson_arr_size(list) + 1);
    yyjson_arr_foreach(list, i, len, entry)
    {
        const char *sub = k8s_text_at(entry, "/subresource");
        if (manages(arena, entry, field))
            (*names)[count++] =
                arena_printf(arena, *sub ? "%s (%s)" : "%s", k8s_text_at(entry, "/manager"), sub);
    }
    return count;
}

/* ---- collecting ---- */

static struct k8s_owner *add_owner(struct arena *arena, struct k8s_owners *owners, struct k8s_owner owner)
{
    if (!owners->items)
        owners->items = ARENA_ARRAY(arena, struct k8s_owner, OWNERS_MAX);
    for (size_t i = 0; i < owners->count; i++)
        if (owners->items[i].kind == owner.kind && owner.kind != K8S_OWNER_MANAGER)
            return &owners->items[i]; /* named already, by better evidence */
    if (owners->count == OWNERS_MAX)
        return &owners->items[OWNERS_MAX - 1];
    const char **texts[] = { &owner.namespace, &owner.name, &owner.object_kind, &owner.manager,
                             &owner.evidence };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = *texts[i] ? arena_strdup(arena, *texts[i]) : "";
    owners->items[owners->count] = owner;
    return &owners->items[owners->count++];
}

const struct k8s_owner *k8s_owners_find(const struct k8s_owners *owners, enum k8s_owner_kind kind)
{
    for (size_t i = 0; i < owners->count; i++)
        if (owners->items[i].kind == kind)
            return &owners->items[i];
    return NULL;
}

/* Kubernetes' own managers are not owners, but that an autoscaler wrote replicas through /scale. */
static bool is_builtin(const char *manager)
{
    return str_starts_with(str_of(manager), STR("kube-")) || !strcmp(manager, "kubelet") ||
           !strcmp(manager, "cluster-autoscaler");
}

static void add_manager(struct arena *arena, yyjson_val *entry, const char *field, struct k8s_owners *owners)
{
    const char *manager = k8s_text_at(entry, "/manager"), *sub = k8s_text_at(entry, "/subresource");
    struct k8s_owner owner = { .kind = K8S_OWNER_MANAGER, .manager = manager };
    owner.evidence = arena_printf(arena, "managedFields: \"%s\"%s%s holds %s", manager,
                                  *sub ? " through /" : "", sub, field ? field : "fields of it");
    if (is_builtin(manager)) {
        bool scaled = !strcmp(manager, "kube-controller-manager") && !strcmp(sub, "scale");
        owner.kind = K8S_OWNER_HPA;
        owner.reverts = true;
        owner.object_kind = "HorizontalPodAutoscaler";
        if (scaled)
            add_owner(arena, owners, owner);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(managers); i++)
        if (str_starts_with(str_of(manager), str_of(managers[i].prefix))) {
            owner.kind = managers[i].kind;
            owner.reverts = managers[i].reverts;
            break;
        }
    add_owner(arena, owners, owner);
}

static const char *mark_of(yyjson_val *object, const struct mark *mark, const char *key)
{
    const char *label = key ? k8s_label(object, key) : "";
    (void)mark;
    return *label || !key ? label : k8s_annotation(object, key);
}

/* "app:group/Kind:namespace/name" → "app" */
static const char *tracked_application(struct arena *arena, const char *id)
{
    const char *colon = strchr(id, ':');
    return colon ? arena_text(arena, (struct str){ id, (size_t)(colon - id) }) : id;
}

/* A tool that keeps managedFields says itself which fields are its own: replicas left to an HPA are not. */
static bool leaves_field_alone(struct arena *arena, yyjson_val *object, const char *field,
                               enum k8s_owner_kind kind)
{
    size_t i, len;
    yyjson_val *entry;
    bool present = false;
    yyjson_arr_foreach(k8s_at(object, "/metadata/managedFields"), i, len,
                       entry) for (size_t m = 0; field && m < ARRAY_LEN(managers); m++)
    {
        if (managers[m].kind != kind ||
            !str_starts_with(str_of(k8s_text_at(entry, "/manager")), str_of(managers[m].prefix)))
            continue;
        present = true;
        if (manages(arena, entry, field))
            return false;
    }
    return present;
}

static void add_marks(struct arena *arena, yyjson_val *object, const char *field, struct k8s_owners *owners)
{
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        const struct mark *mark = &marks[i];
        const char *value =
            mark->is_annotation ? k8s_annotation(object, mark->key) : k8s_label(object, mark->key);
        if (!*value || (mark->value && strcmp(value, mark->value)) ||
            leaves_field_alone(arena, object, field, mark->kind))
            continue;
        struct k8s_owner *owner = add_owner(
            arena, owners,
            (struct k8s_owner){ .kind = mark->kind,
                                .reverts = mark->reverts,
                                .object_kind = mark->object_kind,
                                .evidence = arena_printf(arena, "%s %s=%.200s",
                                                         mark->is_annotation ? "annotation" : "label",
                                                         mark->key, value) });
        if (*owner->name)
            continue;
        owner->object_kind = mark->object_kind;
        owner->name = mark->name_key ? arena_strdup(arena, mark_of(object, mark, mark->name_key))
                                     : tracked_application(arena, value);
        owner->namespace = arena_strdup(arena, mark_of(object, mark, mark->namespace_key));
    }
}

static bool is_builtin_group(const char *api_version)
{
    static const char *const groups[] = { "v1", "apps/", "batch/", "apps.openshift.io/" };
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (i ? str_starts_with(str_of(api_version), str_of(groups[i])) : !strcmp(api_version, groups[i]))
            return true;
    return false;
}

static void add_operator(struct arena *arena, yyjson_val *object, struct k8s_owners *owners)
{
    yyjson_val *owner = k8s_controller_of(object);
    const char *version = k8s_text_at(owner, "/apiVersion");
    if (!owner || is_builtin_group(version))
        return;
    add_owner(arena, owners,
              (struct k8s_owner){ .kind = K8S_OWNER_OPERATOR,
                                  .reverts = true,
                                  .name = k8s_text_at(owner, "/name"),
                                  .namespace = k8s_text_at(object, "/metadata/namespace"),
                                  .object_kind = k8s_text_at(owner, "/kind"),
                                  .evidence = arena_printf(arena, "ownerReferences: %s of %s",
                                                           k8s_text_at(owner, "/kind"), version) });
}

void k8s_owners_of_metadata(struct arena *arena, yyjson_val *object, const char *field,
                            const char *own_manager, struct k8s_owners *owners)
{
    size_t i, len;
    yyjson_val *entry;
    add_operator(arena, object, owners);
    yyjson_arr_foreach(k8s_at(object, "/metadata/managedFields"), i, len,
                       entry) if (manages(arena, entry, field) &&
                                  (!own_manager || strcmp(k8s_text_at(entry, "/manager"), own_manager)))
        add_manager(arena, entry, field, owners);
    add_marks(arena, object, field, owners);
}

/* ---- autoscalers that point at it ---- */

struct pointer { /* kinds that name their target, and the field of it they write */
    const struct k8s_resource *resource;
    enum k8s_owner_kind kind;
    const char *target, *field;
    bool optional; /* a CRD */
};

static bool concerns(const char *field, const char *part)
{
    return !field || strstr(field, part);
}

static bool points_at(yyjson_val *item, const struct pointer *pointer, const struct k8s_object *object,
                      const struct k8s_resource *resource)
{
    yyjson_val *target = k8s_at(item, pointer->target);
    const char *kind = k8s_text_at(target, "/kind");
    if (pointer->kind == K8S_OWNER_VPA && !strcmp(k8s_text_at(item, "/spec/updatePolicy/updateMode"), "Off"))
        return false; /* it only recommends */
    if (pointer->kind == K8S_OWNER_HPA &&
        !strcmp(k8s_text_at(k8s_controller_of(item), "/kind"), "ScaledObject"))
        return false; /* KEDA's: its ScaledObject is what has to be changed */
    return !strcmp(*kind ? kind : "Deployment", resource->kind) &&
           !strcmp(k8s_text_at(target, "/name"), object->name);
}

static bool add_pointers(struct k8s *k8s, struct arena *arena, const struct pointer *pointer,
                         const struct k8s_object *object, const struct k8s_resource *resource,
                         struct k8s_owners *owners, struct error **err)
{
    AUTO(k8s_list) struct k8s_list list = { 0 };
    struct error *why = NULL;
    const struct k8s_resource *served =
        pointer->optional ? k8s_served(k8s, pointer->resource, &why) : pointer->resource;
    if (!served && error_code(why) == ERROR_UNSUPPORTED) {
        error_free(why);
        return true;
    }
    if (!served || !k8s_list(k8s, served, object->namespace, NULL, &list, &why)) {
        error_move(err, &why);
        return error_wrap(err, "who owns %s %s", resource->kind, object->name);
    }
    for (size_t i = 0; i < list.count; i++)
        if (points_at(list.items[i], pointer, object, resource))
            add_owner(
                arena, owners,
                (struct k8s_owner){ .kind = pointer->kind,
                                    .reverts = true,
                                    .namespace = object->namespace,
                                    .name = k8s_text_at(list.items[i], "/metadata/name"),
                                    .object_kind = served->kind,
                                    .evidence = arena_printf(arena, "%s %s points at it", served->kind,
                                                             k8s_text_at(list.items[i], "/metadata/name")) });
    return true;
}

/* managedFields remember an HPA that is gone; the list has told that none points at the object now. */
static void drop_past_hpa(struct k8s_owners *owners)
{
    size_t kept = 0;
    for (size_t i = 0; i < owners->count; i++)
        if (owners->items[i].kind != K8S_OWNER_HPA || *owners->items[i].name)
            owners->items[kept++] = owners->items[i];
    owners->count = kept;
}

bool k8s_owners(struct k8s *k8s, struct arena *arena, const struct k8s_object *object,
                const struct k8s_resource *resource, const char *field, struct k8s_owners *owners,
                struct error **err)
{
    const struct pointer pointers[] = {
        { &k8s_scaled_objects, K8S_OWNER_KEDA, "/spec/scaleTargetRef", "replicas", true },
        { &k8s_hpas, K8S_OWNER_HPA, "/spec/scaleTargetRef", "replicas", false },
        { &k8s_vpas, K8S_OWNER_VPA, "/spec/targetRef", "resources", true },
    };
    *owners = (struct k8s_owners){ 0 };
    for (size_t i = 0; i < ARRAY_LEN(pointers); i++)
        if (concerns(field, pointers[i].field) &&
            !add_pointers(k8s, arena, &pointers[i], object, resource, owners, err))
            return false;
    k8s_owners_of_metadata(arena, object->root, field, k8s->client->field_manager, owners);
    if (concerns(field, "replicas"))
        drop_past_hpa(owners);
    return true;
}
