/* Sources in order: defaults, file, environment, --set; then what the keys mean together. */
#include "config/config_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYSTEM_FILE "/etc/prometheus-alerts-slm/config.yaml"

void loader_fail(struct loader *loader, const char *where, const char *format, ...)
{
    if (++loader->error_count > CONFIG_ERRORS_MAX)
        return;
    if (loader->errors.len)
        strbuf_add_char(&loader->errors, '\n');
    if (where)
        strbuf_addf(&loader->errors, "%s: ", where);
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) >= 0)
        strbuf_add_text(&loader->errors, text);
    va_end(args);
    free(text);
}

const char *loader_getenv(const struct loader *loader, const char *name)
{
    size_t len = strlen(name);
    for (char *const *entry = loader->environment; entry && *entry; entry++)
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=')
            return *entry + len + 1;
    return NULL;
}

/* The file that was named must be there; of the usual places, the first that has one. */
static const char *choose_file(struct loader *loader, const char *named)
{
    const char *from_env = loader_getenv(loader, "CONFIG_FILE");
    if (named || (from_env && *from_env))
        return named ? named : from_env;
    const char *xdg = loader_getenv(loader, "XDG_CONFIG_HOME"), *home = loader_getenv(loader, "HOME");
    const char *user = NULL;
    if (xdg && *xdg == '/')
        user = arena_printf(loader->arena, "%s/prometheus-alerts-slm/config.yaml", xdg);
    else if (home && *home == '/')
        user = arena_printf(loader->arena, "%s/.config/prometheus-alerts-slm/config.yaml", home);
    if (user && file_exists(user))
        return user;
    return file_exists(SYSTEM_FILE) ? SYSTEM_FILE : NULL;
}

static void load_file(struct loader *loader, const char *path)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    AUTO(error) struct error *err = NULL;
    const struct yaml *root = NULL;
    if (!file_read(path, YAML_SIZE_MAX, &text, &err) ||
        !(root = yaml_parse(loader->arena, path, strbuf_str(&text), &err)))
        loader_fail(loader, NULL, "%s", error_message(err));
    else
        read_tree(loader, path, root);
}

/* ENV, or for secrets ENV_FILE. An empty variable is one that is not set, as with most programs that containers run. */
static void load_variable(struct loader *loader, struct config_slot *slot)
{
    const char *env = slot->key->env;
    const char *text = loader_getenv(loader, env), *path = NULL;
    const char *where = arena_printf(loader->arena, "environment %s", env);
    if (slot->key->flags & CONFIG_SECRET)
        path = loader_getenv(loader, arena_printf(loader->arena, "%s_FILE", env));
    bool has_text = text && *text, has_path = path && *path;
    struct str secret;
    if (has_text && has_path)
        loader_fail(loader, where, "give %s or %s_FILE, not both", env, env);
    else if (has_path &&
             read_secret_file(loader, arena_printf(loader->arena, "%s_FILE", where), path, &secret))
        read_text(loader, slot, where, SOURCE_ENVIRONMENT, secret);
    else if (has_text)
        read_text(loader, slot, where, SOURCE_ENVIRONMENT, str_of(text));
}

/* Whoever wrote the key into our file meant us; whoever has set a variable that other programs read may not have. */
static bool file_goes_first(const struct loader *loader, const struct config_slot *slot)
{
    return (slot->key->flags & CONFIG_SHARED_ENV) && slot->source == SOURCE_FILE &&
           !value_is_empty(slot->key, slot_field(loader->config, slot));
}

static void load_environment(struct loader *loader)
{
    for (size_t i = 0; i < loader->private->slots_len; i++) {
        struct config_slot *slot = &loader->private->slots[i];
        if (slot->key->env && !file_goes_first(loader, slot))
            load_variable(loader, slot);
    }
}

static struct config_slot *find_settable(struct loader *loader, struct str name, const char *where,
                                         bool *is_file)
{
    struct config_slot *slot = slot_find(loader->private, name);
    *is_file = false;
    if (!slot && str_ends_with(name, STR("_file"))) {
        slot = slot_find(loader->private, str_slice(name, 0, name.len - 5));
        *is_file = slot && (slot->key->flags & CONFIG_SECRET);
        slot = *is_file ? slot : NULL;
    }
    char text[CONFIG_NAME_MAX];
    const char *nearest = slot ? NULL : slot_nearest(loader->private, name, text);
    if (!slot)
        loader_fail(loader, where, "unknown key%s%s%s", nearest ? ": did you mean " : "",
                    nearest ? nearest : "", nearest ? "?" : "");
    return slot;
}

static void load_set(struct loader *loader, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment) {
        loader_fail(loader, "--set", "\"%s\": write KEY=VALUE, such as slm.timeout=10s", assignment);
        return;
    }
    struct str name = { assignment, (size_t)(equals - assignment) }, secret;
    const char *where = arena_printf(loader->arena, "--set " STR_FMT, STR_ARG(name));
    bool is_file;
    struct config_slot *slot = find_settable(loader, name, where, &is_file);
    if (slot && is_file && read_secret_file(loader, where, equals + 1, &secret))
        read_text(loader, slot, where, SOURCE_SET, secret);
    else if (slot && !is_file)
        read_text(loader, slot, where, SOURCE_SET, str_of(equals + 1));
}

static void load_defaults(struct loader *loader)
{
    for (const struct config_keys *section = config_sections; section->name; section++)
        read_defaults(loader, section->keys, (char *)loader->config + section->offset);
}

static void check_required(struct loader *loader)
{
    for (size_t i = 0; i < loader->private->slots_len; i++) {
        const struct config_slot *slot = &loader->private->slots[i];
        if ((slot->key->flags & CONFIG_REQUIRED) &&
            value_is_empty(slot->key, slot_field(loader->config, slot)))
            loader_fail(loader, slot->where, "%s may not be empty", slot->name);
    }
}

static void load_sources(struct loader *loader, const struct config_options *options)
{
    load_defaults(loader);
    const char *path = choose_file(loader, options->path);
    loader->private->path = path ? arena_strdup(loader->arena, path) : "";
    if (path)
        load_file(loader, path);
    load_environment(loader);
    for (const char *const *set = options->set; set && *set; set++)
        load_set(loader, *set);
    check_required(loader);
    config_validate(loader);
}

struct config *config_load(const struct config_options *options, struct error **err)
{
    AUTO(config) struct config *config = xcalloc(1, sizeof *config);
    struct arena *arena = arena_new(16 * 1024);
    config->private = ARENA_NEW(arena, struct config_private);
    config->private->arena = arena;
    slots_make(config->private);
    struct loader loader = { .config = config,
                             .private = config->private,
                             .arena = arena,
                             .environment = options->environment ? options->environment : environ };
    load_sources(&loader, options);
    if (loader.error_count > CONFIG_ERRORS_MAX)
        strbuf_addf(&loader.errors, "\nand %u more errors", loader.error_count - CONFIG_ERRORS_MAX);
    bool ok = loader.error_count == 0;
    if (!ok)
        error_set(err, ERROR_INVALID, "%s", loader.errors.ptr);
    strbuf_free(&loader.errors);
    return ok ? STEAL(config) : NULL;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    free(config->private->secrets);
    arena_free(config->private->arena);
    free(config);
}

const char *config_path(const struct config *config)
{
    return config->private->path;
}

bool config_secret_files_changed(const struct config *config)
{
    for (size_t i = 0; i < config->private->secrets_len; i++) {
        const struct secret_file *file = &config->private->secrets[i];
        AUTO(strbuf) struct strbuf content = { 0 };
        char hash[SHA256_HEX_LEN + 1];
        if (!file_read(file->path, CONFIG_SECRET_FILE_MAX, &content, NULL))
            continue; /* between two versions of a mounted Secret: keep what we have */
        sha256_hex(strbuf_str(&content), hash);
        if (strcmp(hash, file->hash) != 0)
            return true;
    }
    return false;
}
