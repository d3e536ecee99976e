/* Volumes, their cleaning, backups, compaction. */
#include "executor/executor_internal.h"

/* ---- expand_pvc */

static bool check_claim(struct run *run, yyjson_val *claim, int64_t wanted, struct error **err)
{
    int64_t capacity = 0;
    const char *class_name = k8s_text_at(claim, "/spec/storageClassName");
    if (strcmp(k8s_text_at(claim, "/status/phase"), "Bound") != 0)
        return run_refuse(run, err, "claim %s is %s, not Bound", run->row.name,
                          k8s_text_at(claim, "/status/phase"));
    k8s_quantity_at(claim, "/status/capacity/storage", &capacity);
    if (wanted < capacity)
        return run_refuse(run, err, "claim %s has %s already, and volumes cannot shrink", run->row.name,
                          k8s_text_at(claim, "/status/capacity/storage"));
    struct k8s_object *class =
        class_name[0] ? run_get(run, &k8s_storage_classes, NULL, class_name, err) : NULL;
    if (!class)
        return class_name[0]
                   ? false
                   : run_refuse(run, err, "claim %s has no StorageClass that could expand it", run->row.name);
    return k8s_bool_at(class->root, "/allowVolumeExpansion") ||
           run_refuse(run, err, "StorageClass %s does not allow expansion", class_name);
}

bool plan_expand_pvc(struct run *run, struct error **err)
{
    yyjson_val *claim = run->target.object->root;
    int64_t request = 0, wanted;
    char text[QUANTITY_TEXT_MAX];
    k8s_quantity_at(claim, "/spec/resources/requests/storage", &request);
    if (!run_number(run, "new_size", &wanted)) {
        int64_t gibibyte = INT64_C(1) << 30;
        wanted = (request / 1000 * 3 / 2 + gibibyte - 1) / gibibyte * gibibyte * 1000;
    }
    if (!check_claim(run, claim, wanted, err))
        return false;
    if (wanted < request)
        return run_refuse(run, err, "claim %s asks for %s already", run->row.name,
                          k8s_text_at(claim, "/spec/resources/requests/storage"));
    quantity_format(wanted, QUANTITY_BYTES, text);
    run->row.parameters =
        json_with(run->arena, run->row.parameters, "/new_size", json_quote(run->arena, text));
    struct step *step = step_add(
        run, STEP_PATCH, &k8s_pvcs, claim,
        run_printf(run, "size %s → %s", k8s_text_at(claim, "/spec/resources/requests/storage"), text));
    step_field(run, step, claim, "/spec/resources/requests/storage", json_quote(run->arena, text));
    step_body_of_fields(run, step);
    step->annotate = ANNOTATE_OURS;
    step->wait = WAIT_CAPACITY;
    step_look(run, step, claim);
    return true;
}

/* ---- cleanup_storage */

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 &&
           (path[len] == '\0' || path[len] == '/' || folder[len - 1] == '/');
}

static bool check_path(struct run *run, const char *path, struct error **err)
{
    const struct config_texts *allowed = &run->config->actions.cleanup_paths;
    for (size_t i = 0; i < allowed->count; i++)
        if (is_below(path, allowed->items[i]))
            return true;
    return run_refuse(run, err, "folder %s is not on the list actions.cleanup_paths", path);
}

/* List, then delete: what `find` printed before is what is gone after. */
static bool clean_pod(struct run *run, yyjson_val *pod, const char *container, const char *path,
                      struct error **err)
{
    int64_t age_ms = 0;
    run_number(run, "older_than", &age_ms);
    const char *older = run_printf(run, "+%lld", (long long)(age_ms / 60000));
    const char **list = ARENA_ARRAY(run->arena, const char *, 10),
               **delete = ARENA_ARRAY(run->arena, const char *, 10);
    const char *const words[] = { "find", path, "-xdev", "-type", "f", "-mmin", older, NULL };
    memcpy(list, words, sizeof words);
    memcpy(delete, words, sizeof words);
    delete[7] = "-print";
    delete[8] = "-delete";
    if (strcmp(k8s_text_at(pod, "/status/phase"), "Running") != 0)
        return run_refuse(run, err, "pod %s does not run", k8s_text_at(pod, "/metadata/name"));
    plan_exec(run, pod, container, run_printf(run, "list old files below %s", path), list);
    plan_exec(run, pod, container, run_printf(run, "delete old files below %s", path), delete);
    return true;
}

static bool clean_finished_pods(struct run *run, struct error **err)
{
    struct k8s_list pods;
    int64_t age_ms = 0;
    bool node = strcmp(run->row.kind, "Node") == 0;
    const char *namespace = node                                  ? NULL
                            : !strcmp(run->row.kind, "Namespace") ? run->row.name
                                                                  : run->row.namespace;
    const char *fields =
        node ? run_printf(run, "spec.nodeName=%s,status.phase!=Running,status.phase!=Pending", run->row.name)
             : "status.phase!=Running,status.phase!=Pending";
    run_number(run, "older_than", &age_ms);
    if (!run_list(run, &k8s_pods, namespace, NULL, fields, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++) {
        yyjson_val *pod = pods.items[i];
        const char *phase = k8s_text_at(pod, "/status/phase");
        int64_t created = k8s_time_at(pod, "/metadata/creationTimestamp");
        if ((strcmp(phase, "Succeeded") && strcmp(phase, "Failed")) || clock_utc_ms() - created < age_ms)
            continue;
        step_add(run, STEP_DELETE, &k8s_pods, pod,
                 run_printf(run, "delete %s pod %s", phase, k8s_text_at(pod, "/metadata/name")));
    }
    if (!run->steps_len)
        run->message = "there are no finished pods of that age";
    return true;
}

static yyjson_val *mount_of(yyjson_val *pod, const char *claim, const char **container)
{
    yyjson_val *volume, *item, *mount;
    yyjson_arr_iter volumes = yyjson_arr_iter_with(k8s_at(pod, "/spec/volumes"));
    while ((volume = yyjson_arr_iter_next(&volumes))) {
        if (strcmp(k8s_text_at(volume, "/persistentVolumeClaim/claimName"), claim) != 0)
            continue;
        yyjson_arr_iter containers = yyjson_arr_iter_with(k8s_at(pod, "/spec/containers"));
        while ((item = yyjson_arr_iter_next(&containers)))
            if ((mount = k8s_find(item, "/volumeMounts", "name", k8s_text_at(volume, "/name")))) {
                *container = k8s_text_at(item, "/name");
                return mount;
            }
    }
    return NULL;
}

static bool is_running(yyjson_val *pod, const char *container)
{
    return strcmp(k8s_text_at(pod, "/status/phase"), "Running") == 0 &&
           k8s_at(k8s_find(pod, "/status/containerStatuses", "name", container), "/state/running");
}

/* A pod of ours in the place of one that does not run: the same volume at the same place, read and written as the same
 * user, and nothing else of it. */
static const char *cleaning_pod(struct run *run, yyjson_val *pod, const char *container, yyjson_val *mount)
{
    int64_t age_ms = 0;
    run_number(run, "older_than", &age_ms);
    yyjson_val *place = k8s_find(pod, "/spec/containers", "name", container);
    yyjson_val *user = k8s_at(pod, "/spec/securityContext"),
               *uid = k8s_at(place, "/securityContext/runAsUser");
    const char *command =
        run_printf(run, "[\"find\",%s,\"-xdev\",\"-type\",\"f\",\"-mmin\",\"+%lld\",\"-print\",\"-delete\"]",
                   json_quote(run->arena, run_text(run, "path")), (long long)(age_ms / 60000));
    const char *locked =
        "{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]},\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}";
    const char *body = run_printf(
        run,
        "{\"restartPolicy\":\"Never\",\"automountServiceAccountToken\":false,\"containers\":[{\"name\":\"cleanup\","
        "\"image\":%s,\"command\":%s,\"securityContext\":%s,\"volumeMounts\":[%s]}],"
        "\"volumes\":[{\"name\":%s,\"persistentVolumeClaim\":{\"claimName\":%s}}]}",
        json_quote(run->arena, run->config->actions.job_image), command,
        uid ? json_with(run->arena, locked, "/runAsUser", json_text(run->arena, uid)) : locked,
        json_text(run->arena, mount), json_quote(run->arena, k8s_text_at(mount, "/name")),
        json_quote(run->arena, run->row.name));
    return user ? json_with(run->arena, body, "/securityContext", json_text(run->arena, user)) : body;
}

static bool clean_by_job(struct run *run, yyjson_val *pod, const char *container, yyjson_val *mount,
                         struct error **err)
{
    enum { KEPT_S = 24 * 3600 }; /* its log says what was deleted */
    if (!run->config->actions.job_image[0])
        return run_refuse(
            run, err,
            "container %s of pod %s, which mounts claim %s, does not run, and actions.job_image names "
            "no image for a Job that could clean it",
            container, k8s_text_at(pod, "/metadata/name"), run->row.name);
    const char *name = run_object_name(run, "cleanup");
    struct step *step =
        step_add_named(run, STEP_CREATE, &k8s_jobs, run->row.namespace, name,
                       run_printf(run, "a Job that deletes old files below %s", run_text(run, "path")));
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":%s,\"namespace\":%s},\"spec\":{"
        "\"backoffLimit\":0,\"activeDeadlineSeconds\":%lld,\"ttlSecondsAfterFinished\":%d,\"template\":{\"spec\":%s}}}",
        json_quote(run->arena, name), json_quote(run->arena, run->row.namespace),
        (long long)MAX(run->config->actions.timeout_ms / 1000, INT64_C(1)), KEPT_S,
        cleaning_pod(run, pod, container, mount));
    step->annotate = ANNOTATE_OURS;
    step->wait = WAIT_JOB;
    run->message = run_printf(run, "the log of Job %s lists what was deleted", name);
    return true;
}

/* In the container that has it; where none runs, as after a crash on a full volume, by a Job. */
static bool clean_claim(struct run *run, struct error **err)
{
    struct k8s_list pods;
    const char *container = NULL, *chosen_container = NULL, *path = run_text(run, "path");
    yyjson_val *chosen = NULL, *mount = NULL, *found;
    if (!run_list(run, &k8s_pods, run->row.namespace, NULL, NULL, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++) {
        found = mount_of(pods.items[i], run->row.name, &container);
        if (!found || (chosen && !is_running(pods.items[i], container)))
            continue;
        chosen = pods.items[i];
        chosen_container = container;
        mount = found;
        if (is_running(chosen, container))
            break;
    }
    if (!chosen)
        return run_refuse(run, err, "no pod mounts claim %s: where its files belong is not known",
                          run->row.name);
    const char *at = k8s_text_at(mount, "/mountPath");
    if (!is_below(path, at))
        return run_refuse(run, err, "claim %s is mounted at %s: path=%s is not on it", run->row.name, at,
                          path);
    return is_running(chosen, chosen_container) ? clean_pod(run, chosen, chosen_container, path, err)
                                                : clean_by_job(run, chosen, chosen_container, mount, err);
}

bool plan_cleanup_storage(struct run *run, struct error **err)
{
    const char *path = run_text(run, "path"), *container = run_label(run, "container");
    struct k8s_list pods;
    if (strcmp(run_text(run, "what"), "finished_pods") == 0)
        return clean_finished_pods(run, err);
    if (!check_path(run, path, err))
        return false;
    if (strcmp(run->row.kind, "PersistentVolumeClaim") == 0)
        return clean_claim(run, err);
    if (!strcmp(run->row.kind, "Node") || !strcmp(run->row.kind, "Namespace"))
        return run_refuse(
            run, err, "files are cleaned in a pod, a workload or a claim; of a %s only what=finished_pods",
            run->row.kind);
    if (!run_pods(run, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++)
        if (!clean_pod(run, pods.items[i], container[0] ? container : NULL, path, err))
            return false;
    return run->steps_len || run_refuse(run, err, "%s %s has no pods", run->row.kind, run->row.name);
}

/* ---- backup_data */

struct step *plan_snapshot(struct run *run, const char *namespace, const char *claim, struct error **err)
{
    const struct k8s_resource *resource = run_served(run, &k8s_volume_snapshots, err);
    if (!resource)
        return NULL;
    const char *name = run_printf(run, "%.*s-%s", 63 - ULID_LEN - 1, claim, run->row.id);
    struct step *step = step_add_named(run, STEP_CREATE, resource, namespace, name,
                                       run_printf(run, "snapshot of claim %s", claim));
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"%s/%s\",\"kind\":\"VolumeSnapshot\",\"metadata\":{\"name\":%s,\"namespace\":%s},"
        "\"spec\":{\"source\":{\"persistentVolumeClaimName\":%s}}}",
        resource->group, resource->version, json_quote(run->arena, name), json_quote(run->arena, namespace),
        json_quote(run->arena, claim));
    step->annotate = ANNOTATE_OURS;
    step->wait = WAIT_READY;
    step_undo_by_delete(run, step);
    return step;
}

static const char *backup_name(struct run *run)
{
    const char *given = run_text(run, "backup_name");
    return given[0] ? given : run_object_name(run, "backup");
}

static bool backup_cluster(struct run *run, struct error **err)
{
    const struct k8s_resource *resource = run_served(run, &k8s_cnpg_backups, err);
    if (!resource)
        return false;
    const char *name = backup_name(run);
    struct step *step = step_add_named(run, STEP_CREATE, resource, run->row.namespace, name,
                                       run_printf(run, "backup of cluster %s", run->row.name));
    bool snapshots = k8s_at(run->target.object->root, "/spec/backup/volumeSnapshot") != NULL;
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"%s/%s\",\"kind\":\"Backup\",\"metadata\":{\"name\":%s,\"namespace\":%s},"
        "\"spec\":{\"cluster\":{\"name\":%s},\"method\":\"%s\"}}",
        resource->group, resource->version, json_quote(run->arena, name),
        json_quote(run->arena, run->row.namespace), json_quote(run->arena, run->row.name),
        snapshots ? "volumeSnapshot" : "barmanObjectStore");
    step->annotate = ANNOTATE_OURS;
    step->wait = WAIT_PHASE;
    step_undo_by_delete(run, step);
    return true;
}

static bool backup_namespace(struct run *run, struct error **err)
{
    const struct k8s_resource *resource = run_served(run, &k8s_velero_backups, err);
    const char *included = strcmp(run->row.kind, "Namespace") ? run->row.namespace : run->row.name;
    const char *place = run->config->actions.velero_namespace, *name = backup_name(run);
    if (!resource)
        return false;
    struct step *step = step_add_named(run, STEP_CREATE, resource, place, name,
                                       run_printf(run, "Velero backup of namespace %s", included));
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"%s/%s\",\"kind\":\"Backup\",\"metadata\":{\"name\":%s,\"namespace\":%s},"
        "\"spec\":{\"includedNamespaces\":[%s]}}",
        resource->group, resource->version, json_quote(run->arena, name), json_quote(run->arena, place),
        json_quote(run->arena, included));
    step->annotate = ANNOTATE_OURS;
    step->wait = WAIT_PHASE;
    step_undo_by_delete(run, step);
    return true;
}

/* Owned by its CronJob, as `kubectl create job --from` does it: only then does the CronJob count it as a success, and what
 * warns of an old backup ends. */
static bool backup_by_cronjob(struct run *run, struct error **err)
{
    yyjson_val *cronjob = run->target.object->root, *template = k8s_at(cronjob, "/spec/jobTemplate");
    if (!template || strcmp(run->row.kind, "CronJob") != 0)
        return run_refuse(run, err, "method cronjob needs a CronJob as target");
    const char *name = backup_name(run);
    struct step *step = step_add_named(run, STEP_CREATE, &k8s_jobs, run->row.namespace, name,
                                       run_printf(run, "run CronJob %s now", run->row.name));
    step->body = run_printf(
        run,
        "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":%s,\"namespace\":%s,\"labels\":%s,"
        "\"annotations\":{\"cronjob.kubernetes.io/instantiate\":\"manual\"},\"ownerReferences\":"
        "[{\"apiVersion\":\"batch/v1\",\"kind\":\"CronJob\",\"name\":%s,\"uid\":%s,\"controller\":true}]},\"spec\":%s}",
        json_quote(run->arena, name), json_quote(run->arena, run->row.namespace),
        k8s_at(template, "/metadata/labels") ? json_text(run->arena, k8s_at(template, "/metadata/labels"))
                                             : "{}",
        json_quote(run->arena, run->row.name), json_quote(run->arena, k8s_text_at(cronjob, "/metadata/uid")),
        json_text(run->arena, k8s_at(template, "/spec")));
    step->annotate = ANNOTATE_OURS;
    step->wait = WAIT_JOB;
    step_undo_by_delete(run, step);
    return true;
}

/* The claims that pods of the target mount, each once. */
static bool snapshot_claims(struct run *run, struct error **err)
{
    struct k8s_list pods;
    AUTO(strbuf) struct strbuf seen = { 0 };
    if (strcmp(run->row.kind, "PersistentVolumeClaim") == 0)
        return plan_snapshot(run, run->row.namespace, run->row.name, err) != NULL;
    if (!run_pods(run, &pods, err))
        return false;
    for (size_t i = 0; i < pods.count; i++) {
        yyjson_val *volume;
        yyjson_arr_iter volumes = yyjson_arr_iter_with(k8s_at(pods.items[i], "/spec/volumes"));
        while ((volume = yyjson_arr_iter_next(&volumes))) {
            const char *claim = k8s_text_at(volume, "/persistentVolumeClaim/claimName");
            const char *mark = run_printf(run, ",%s,", claim);
            if (!claim[0] || (seen.ptr && strstr(seen.ptr, mark)))
                continue;
            strbuf_add_text(&seen, mark);
            if (!plan_snapshot(run, run->row.namespace, claim, err))
                return false;
        }
    }
    return run->steps_len ||
           run_refuse(run, err, "%s %s has no claims to take a snapshot of", run->row.kind, run->row.name);
}

bool plan_backup_data(struct run *run, struct error **err)
{
    static const struct {
        const char *kind, *method;
        run_fn *plan;
    } ways[] = { { "Cluster", "cnpg", backup_cluster },
                 { "CronJob", "cronjob", backup_by_cronjob },
                 { "Namespace", "velero", backup_namespace },
                 { "", "snapshot", snapshot_claims } };
    const char *method = run_text(run, "method");
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        bool by_kind = !ways[i].kind[0] || strcmp(run->row.kind, ways[i].kind) == 0;
        if (strcmp(method, "auto") ? strcmp(method, ways[i].method) == 0 : by_kind) {
            if (!strcmp(ways[i].method, "cnpg") && strcmp(run->row.kind, "Cluster"))
                return run_refuse(run, err, "method cnpg needs a CloudNativePG Cluster as target");
            return ways[i].plan(run, err);
        }
    }
    return false;
}
