/* Kubeconfig files, merged as kubectl does: of each cluster, user and context the first definition wins, relative
 * paths are relative to the file they stand in. Format: client-go's tools/clientcmd/api/v1. */
#include "k8s/k8s.h"

#include <stdlib.h>
#include <strings.h>

#include "config/yaml.h"
#include "k8s/k8s_internal.h"

struct source { /* one file of the list */
    const char *name, *folder;
    const struct yaml *root;
};
enum { SOURCES_MAX = 32 };
struct sources {
    struct source items[SOURCES_MAX];
    size_t count;
};

/* ---- reading single values ---- */

static const char *text_of(const struct yaml *map, const char *key)
{
    const struct yaml *node = map ? yaml_get(map, key) : NULL;
    return node && node->kind == YAML_SCALAR && node->text.len ? node->text.ptr : NULL;
}

static bool flag_of(const struct yaml *map, const char *key)
{
    const char *text = text_of(map, key);
    return text && !strcmp(text, "true");
}

static const char *path_of(struct arena *arena, const struct source *source, const struct yaml *map,
                           const char *key)
{
    const char *path = text_of(map, key);
    if (!path || path[0] == '/')
        return path;
    return arena_printf(arena, "%s/%s", source->folder, path);
}

/* A command is found through PATH unless it holds a slash; then it is relative to the file. */
static const char *command_of(struct arena *arena, const struct source *source, const struct yaml *map)
{
    const char *command = text_of(map, "command");
    return command && strchr(command, '/') ? path_of(arena, source, map, "command") : command;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool base64_decode(struct arena *arena, struct str text, struct str *bytes)
{
    char *out = arena_alloc(arena, text.len / 4 * 3 + 4);
    size_t len = 0, digits = 0, pads = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n' || c == '\r' || c == ' ')
            continue;
        int digit = c == '=' ? 0 : base64_digit(c);
        if (digit < 0 || (pads && c != '='))
            return false;
        pads += c == '=';
        bits = bits << 6 | (uint32_t)digit;
        if (++digits % 4)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8)
            out[len++] = (char)(bits >> shift);
        bits = 0;
    }
    if (digits % 4 || pads > 2 || pads > len)
        return false;
    out[len -= pads] = 0;
    *bytes = (struct str){ out, len };
    return true;
}

static bool data_of(struct arena *arena, const struct source *source, const struct yaml *map, const char *key,
                    struct str *bytes, struct error **err)
{
    const struct yaml *node = map ? yaml_get(map, key) : NULL;
    if (!node || node->kind != YAML_SCALAR || !node->text.len)
        return true;
    if (base64_decode(arena, node->text, bytes))
        return true;
    return error_set(err, ERROR_INVALID, "%s:%d:%d: %s is not base64", source->name, node->line, node->column,
                     key);
}

/* ---- entries by name, over all files ---- */

static const struct yaml *entry_in(const struct source *source, const char *list, const char *name)
{
    const struct yaml *entries = yaml_get(source->root, list);
    if (!entries || entries->kind != YAML_LIST)
        return NULL;
    for (const struct yaml *entry = entries->first; entry; entry = entry->next) {
        const char *have = entry->kind == YAML_MAP ? text_of(entry, "name") : NULL;
        if (have && !strcmp(have, name))
            return entry;
    }
    return NULL;
}

static void add_names(const struct sources *sources, const char *list, struct strbuf *names)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct yaml *entries = yaml_get(sources->items[i].root, list);
        for (const struct yaml *entry = entries ? entries->first : NULL; entry && names->len < 400;
             entry = entry->next)
            if (entry->kind == YAML_MAP && text_of(entry, "name"))
                strbuf_addf(names, "%s%s", names->len ? ", " : "", text_of(entry, "name"));
    }
    if (!names->len)
        strbuf_add_text(names, "none");
}

/* The part `what` ("cluster") of the entry of `list` that is called so. */
static const struct yaml *find_entry(const struct sources *sources, const char *list, const char *what,
                                     const char *name, const struct source **source, struct error **err)
{
    for (size_t i = 0; name && i < sources->count; i++) {
        const struct yaml *entry = entry_in(&sources->items[i], list, name);
        const struct yaml *part = entry ? yaml_get(entry, what) : NULL;
        *source = &sources->items[i];
        if (entry && part && part->kind == YAML_MAP)
            return part;
        if (entry && part && part->kind != YAML_NULL) {
            error_set(err, ERROR_INVALID, "%s:%d: %s \"%s\" is no mapping", (*source)->name, part->line, what,
                      name);
            return NULL;
        }
        if (entry) /* "user: {}" or nothing: an empty one */
            return entry;
    }
    AUTO(strbuf) struct strbuf names = { 0 };
    add_names(sources, list, &names);
    error_set(err, ERROR_NOT_FOUND, "%s: there is no %s \"%s\"; there are: %s",
              sources->count ? sources->items[0].name : "kubeconfig", what, name ? name : "", names.ptr);
    return NULL;
}

/* ---- the parts of a context ---- */

static struct str plugin_extension(struct arena *arena, const struct yaml *cluster);

static bool read_cluster(struct arena *arena, const struct source *source, const struct yaml *cluster,
                         struct kubeconfig *config, struct error **err)
{
    config->server = text_of(cluster, "server");
    config->ca_file = path_of(arena, source, cluster, "certificate-authority");
    config->insecure = flag_of(cluster, "insecure-skip-tls-verify");
    config->tls_server_name = text_of(cluster, "tls-server-name");
    config->proxy_url = text_of(cluster, "proxy-url");
    if (!config->server)
        return error_set(err, ERROR_INVALID, "%s:%d: the cluster has no server", source->name, cluster->line);
    if (strncasecmp(config->server, "https://", 8) && strncasecmp(config->server, "http://", 7))
        return error_set(err, ERROR_INVALID, "%s:%d: server \"%.200s\" is no http(s) URL", source->name,
                         cluster->line, config->server);
    return data_of(arena, source, cluster, "certificate-authority-data", &config->ca_data, err);
}

static const char **texts_of(struct arena *arena, const struct yaml *list)
{
    if (!list || list->kind != YAML_LIST)
        return NULL;
    const char **texts = ARENA_ARRAY(arena, const char *, yaml_count(list) + 1);
    size_t count = 0;
    for (const struct yaml *item = list->first; item; item = item->next)
        texts[count++] = item->kind == YAML_SCALAR ? item->text.ptr : "";
    return texts;
}

static void read_env(struct arena *arena, const struct yaml *list, struct kubeconfig_exec *exec)
{
    if (!list || list->kind != YAML_LIST)
        return;
    exec->env = ARENA_ARRAY(arena, struct kubeconfig_pair, yaml_count(list) + 1);
    for (const struct yaml *item = list->first; item; item = item->next) {
        const char *name = item->kind == YAML_MAP ? text_of(item, "name") : NULL;
        const char *value = name ? text_of(item, "value") : NULL;
        if (name)
            exec->env[exec->env_len++] = (struct kubeconfig_pair){ name, value ? value : "" };
    }
}

static bool check_exec(const struct source *source, const struct yaml *node,
                       const struct kubeconfig_exec *exec, struct error **err)
{
    const char *mode = text_of(node, "interactiveMode");
    if (!exec->command)
        return error_set(err, ERROR_INVALID, "%s:%d: the exec plugin has no command", source->name,
                         node->line);
    if (!exec->api_version || (strcmp(exec->api_version, "client.authentication.k8s.io/v1") &&
                               strcmp(exec->api_version, "client.authentication.k8s.io/v1beta1")))
        return error_set(
            err, ERROR_UNSUPPORTED,
            "%s:%d: exec plugin apiVersion \"%s\": only client.authentication.k8s.io/v1 and v1beta1 are "
            "known",
            source->name, node->line, exec->api_version ? exec->api_version : "");
    if (mode && !strcmp(mode, "Always"))
        return error_set(
            err, ERROR_UNSUPPORTED,
            "%s:%d: the exec plugin wants a terminal (interactiveMode: Always), which a service has not: "
            "use a service account's token",
            source->name, node->line);
    return true;
}

static bool read_exec(struct arena *arena, const struct source *source, const struct yaml *node,
                      struct kubeconfig *config, struct error **err)
{
    struct kubeconfig_exec *exec = ARENA_NEW(arena, struct kubeconfig_exec);
    exec->api_version = text_of(node, "apiVersion");
    exec->command = command_of(arena, source, node);
    exec->install_hint = text_of(node, "installHint");
    exec->args = texts_of(arena, yaml_get(node, "args"));
    exec->provide_cluster_info = flag_of(node, "provideClusterInfo");
    read_env(arena, yaml_get(node, "env"), exec);
    config->exec = exec;
    return check_exec(source, node, exec, err);
}

static void read_impersonation(struct arena *arena, const struct yaml *user, struct kubeconfig *config)
{
    config->as = text_of(user, "as");
    config->as_uid = text_of(user, "as-uid");
    config->as_groups = texts_of(arena, yaml_get(user, "as-groups"));
    const struct yaml *extra = yaml_get(user, "as-user-extra");
    if (!extra || extra->kind != YAML_MAP)
        return;
    size_t room = 1;
    for (const struct yaml *key = extra->first; key; key = key->next)
        room += key->kind == YAML_LIST ? yaml_count(key) : 0;
    config->as_extra = ARENA_ARRAY(arena, struct kubeconfig_pair, room);
    for (const struct yaml *key = extra->first; key; key = key->next)
        for (const struct yaml *value = key->kind == YAML_LIST ? key->first : NULL; value;
             value = value->next)
            if (value->kind == YAML_SCALAR)
                config->as_extra[config->as_extra_len++] =
                    (struct kubeconfig_pair){ arena_text(arena, key->key), value->text.ptr };
}

static bool read_user(struct arena *arena, const struct source *source, const struct yaml *user,
                      struct kubeconfig *config, struct error **err)
{
    config->cert_file = path_of(arena, source, user, "client-certificate");
    config->key_file = path_of(arena, source, user, "client-key");
    config->token = text_of(user, "token");
    config->token_file = path_of(arena, source, user, "tokenFile");
    config->username = text_of(user, "username");
    config->password = text_of(user, "password");
    read_impersonation(arena, user, config);
    const struct yaml *exec = yaml_get(user, "exec"), *provider = yaml_get(user, "auth-provider");
    if (provider && provider->kind == YAML_MAP)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%s:%d: auth-provider is gone from Kubernetes since 1.26: use an exec plugin",
                         source->name, provider->line);
    if (exec && exec->kind == YAML_MAP && !read_exec(arena, source, exec, config, err))
        return false;
    return data_of(arena, source, user, "client-certificate-data", &config->cert_data, err) &&
           data_of(arena, source, user, "client-key-data", &config->key_data, err);
}

static bool check_user(const struct kubeconfig *config, const struct source *source, struct error **err)
{
    bool cert = config->cert_file || config->cert_data.len, key = config->key_file || config->key_data.len;
    if (cert != key)
        return error_set(err, ERROR_INVALID, "%s: user \"%s\" has a client %s but no client %s", source->name,
                         config->user_name, cert ? "certificate" : "key", cert ? "key" : "certificate");
    if ((config->as_uid || config->as_groups || config->as_extra_len) && !config->as)
        return error_set(err, ERROR_INVALID,
                         "%s: user \"%s\" has as-uid, as-groups or as-user-extra without as", source->name,
                         config->user_name);
    return true;
}

static bool take_context(struct arena *arena, const struct sources *sources, struct kubeconfig *config,
                         struct error **err)
{
    const struct source *source = NULL;
    const struct yaml *context = find_entry(sources, "contexts", "context", config->context, &source, err);
    if (!context)
        return false;
    const char *cluster_name = text_of(context, "cluster");
    config->user_name = text_of(context, "user");
    config->namespace = text_of(context, "namespace");
    const struct yaml *cluster = find_entry(sources, "clusters", "cluster", cluster_name, &source, err);
    if (!cluster || !read_cluster(arena, source, cluster, config, err))
        return error_wrap(err, "context \"%s\"", config->context);
    if (!config->user_name)
        return true;
    const struct yaml *user = find_entry(sources, "users", "user", config->user_name, &source, err);
    if (!user || !read_user(arena, source, user, config, err) || !check_user(config, source, err))
        return error_wrap(err, "context \"%s\"", config->context);
    if (config->exec && config->exec->provide_cluster_info)
        config->exec->cluster_config = plugin_extension(arena, cluster);
    return true;
}

/* ---- the cluster's extension for exec plugins, as JSON ---- */

static void add_scalar(struct strbuf *out, const struct yaml *node)
{
    double number;
    bool literal = !node->quoted && (str_eq(node->text, STR("true")) || str_eq(node->text, STR("false")) ||
                                     str_to_double(node->text, &number));
    if (literal)
        strbuf_add(out, node->text);
    else
        strbuf_add_json(out, node->text);
}

static void add_json(struct strbuf *out, const struct yaml *node)
{
    bool is_map = node->kind == YAML_MAP;
    if (node->kind == YAML_NULL)
        strbuf_add_text(out, "null");
    else if (node->kind == YAML_SCALAR)
        add_scalar(out, node);
    else {
        strbuf_add_char(out, is_map ? '{' : '[');
        for (const struct yaml *child = node->first; child; child = child->next) {
            if (child != node->first)
                strbuf_add_char(out, ',');
            if (is_map) {
                strbuf_add_json(out, child->key);
                strbuf_add_char(out, ':');
            }
            add_json(out, child); /* yaml_parse bounds the depth */
        }
        strbuf_add_char(out, is_map ? '}' : ']');
    }
}

static struct str plugin_extension(struct arena *arena, const struct yaml *cluster)
{
    const struct yaml *list = yaml_get(cluster, "extensions");
    for (const struct yaml *item = list && list->kind == YAML_LIST ? list->first : NULL; item;
         item = item->next) {
        const char *name = item->kind == YAML_MAP ? text_of(item, "name") : NULL;
        const struct yaml *extension = name ? yaml_get(item, "extension") : NULL;
        if (!extension || strcmp(name, "client.authentication.k8s.io/exec"))
            continue;
        AUTO(strbuf) struct strbuf json = { 0 };
        add_json(&json, extension);
        return arena_str(arena, strbuf_str(&json));
    }
    return (struct str){ 0 };
}

/* ---- files ---- */

static bool add_source(struct arena *arena, struct sources *sources, const char *name, const char *folder,
                       struct str text, struct error **err)
{
    if (sources->count == SOURCES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d kubeconfig files", SOURCES_MAX);
    const struct yaml *root = yaml_parse(arena, name, text, err);
    if (!root)
        return false;
    if (root->kind == YAML_NULL)
        return true;
    if (root->kind != YAML_MAP)
        return error_set(err, ERROR_INVALID, "%s: not a kubeconfig: %s at its top", name,
                         yaml_kind_name(root->kind));
    sources->items[sources->count++] = (struct source){ name, folder, root };
    return true;
}

static const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return slash == path ? "" : arena_text(arena, (struct str){ path, (size_t)(slash - path) });
}

static bool add_file(struct arena *arena, struct sources *sources, const char *path, size_t *missing,
                     struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    struct error *why = NULL;
    if (file_read(path, K8S_FILE_MAX, &text, &why))
        return add_source(arena, sources, path, folder_of(arena, path), strbuf_str(&text), err);
    bool absent = error_code(why) == ERROR_NOT_FOUND;
    *missing += absent;
    if (absent)
        error_clear(&why);
    else
        error_move(err, &why);
    return absent;
}

static bool choose_context(const struct sources *sources, const char *context, struct kubeconfig *config,
                           struct error **err)
{
    config->context = context && *context ? context : NULL;
    for (size_t i = 0; !config->context && i < sources->count; i++)
        config->context = text_of(sources->items[i].root, "current-context");
    if (config->context)
        return true;
    AUTO(strbuf) struct strbuf names = { 0 };
    add_names(sources, "contexts", &names);
    return error_set(err, ERROR_NOT_FOUND, "%s has no current-context: name one of its contexts: %s",
                     sources->count ? sources->items[0].name : "the kubeconfig", names.ptr);
}

bool kubeconfig_load(struct arena *arena, const char *paths, const char *context, struct kubeconfig *config,
                     struct error **err)
{
    struct sources sources = { 0 };
    struct str rest = str_of(paths), path;
    size_t missing = 0, named = 0;
    while (str_split(&rest, ':', &path)) {
        if (!path.len)
            continue;
        named++;
        if (!add_file(arena, &sources, arena_text(arena, path), &missing, err))
            return false;
    }
    if (missing == named)
        return error_set(err, ERROR_NOT_FOUND, "no kubeconfig at %s", named ? paths : "an empty path");
    return choose_context(&sources, arena_strdup(arena, context), config, err) &&
           take_context(arena, &sources, config, err);
}

bool kubeconfig_read(struct arena *arena, struct str text, const char *name, const char *folder,
                     const char *context, struct kubeconfig *config, struct error **err)
{
    struct sources sources = { 0 };
    return add_source(arena, &sources, name, folder, text, err) &&
           choose_context(&sources, context, config, err) && take_context(arena, &sources, config, err);
}

/* ---- in a cluster ---- */

#define ACCOUNT "var/run/secrets/kubernetes.io/serviceaccount"

bool kubeconfig_in_cluster(struct arena *arena, const char *root, struct kubeconfig *config,
                           struct error **err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    if (!host || !*host || !port || !*port)
        return error_set(err, ERROR_NOT_FOUND,
                         "not in a cluster: KUBERNETES_SERVICE_HOST and _PORT are not set");
    bool v6 = strchr(host, ':') && host[0] != '[';
    config->server = arena_printf(arena, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    config->token_file = arena_printf(arena, "%s/" ACCOUNT "/token", root);
    config->ca_file = arena_printf(arena, "%s/" ACCOUNT "/ca.crt", root);
    config->context = "in-cluster";
    config->in_cluster = true;
    if (!file_exists(config->token_file) || !file_exists(config->ca_file))
        return error_set(err, ERROR_NOT_FOUND, "no service account: %s or ca.crt beside it is missing",
                         config->token_file);
    AUTO(strbuf) struct strbuf namespace = { 0 };
    if (file_read(arena_printf(arena, "%s/" ACCOUNT "/namespace", root), 256, &namespace, NULL))
        config->namespace = arena_text(arena, str_trim(strbuf_str(&namespace)));
    return true;
}
