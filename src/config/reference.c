/* docs/configuration.md and the sample file, from the tables. */
#include "config/config_internal.h"

static const char *const type_names[] = {
    [CONFIG_TEXT] = "text",
    [CONFIG_BOOL] = "boolean",
    [CONFIG_INT] = "integer",
    [CONFIG_NUMBER] = "number",
    [CONFIG_DURATION] = "duration",
    [CONFIG_SIZE] = "size",
    [CONFIG_CHOICE] = "choice",
    [CONFIG_TEXTS] = "list of texts",
    [CONFIG_CHOICES] = "list of choices",
    [CONFIG_TEXT_MAP] = "mapping",
    [CONFIG_TEXTS_MAP] = "mapping to lists",
    [CONFIG_LIST] = "list",
};

static void add_choices(const struct config_key *key, const char *quote, struct strbuf *out)
{
    for (const struct config_choice *choice = key->choices; choice->name; choice++)
        strbuf_addf(out, "%s%s%s%s", choice == key->choices ? "" : ", ", quote, choice->name, quote);
}

static void add_bound(const struct config_key *key, double bound, struct strbuf *out)
{
    char text[DURATION_TEXT_MAX];
    if (key->type == CONFIG_DURATION)
        strbuf_add_text(out, duration_format((int64_t)bound, text));
    else if (key->type == CONFIG_SIZE)
        strbuf_add_text(out, quantity_format((int64_t)bound * 1000, QUANTITY_BYTES, text));
    else
        strbuf_addf(out, "%.12g", bound);
}

static void add_values(const struct config_key *key, struct strbuf *out)
{
    strbuf_add_text(out, type_names[key->type]);
    if (key->choices) {
        strbuf_add_text(out, ": ");
        add_choices(key, "`", out);
    }
    if (key->min != 0 || key->max != 0) {
        strbuf_add_text(out, ", ");
        add_bound(key, key->min, out);
        strbuf_add_text(out, " to ");
        add_bound(key, key->max, out);
    }
}

static void add_notes(const struct config_key *key, struct strbuf *out)
{
    if (key->flags & CONFIG_SECRET)
        strbuf_addf(out, " Secret: `%s_file` beside it names a file instead, read again when it changes.",
                    key->name);
    if (key->flags & CONFIG_SHARED_ENV)
        strbuf_addf(out,
                    " Other programs have `%s` too, so it counts only where the file does not give this key.",
                    key->env);
    if (key->flags & CONFIG_REQUIRED)
        strbuf_add_text(out, " Required.");
    if (key->flags & CONFIG_RELOADABLE)
        strbuf_add_text(out, " A reload changes it.");
}

static void add_row(const char *prefix, const struct config_key *key, struct strbuf *out)
{
    strbuf_addf(out, "| `%s%s` | ", prefix, key->name);
    add_values(key, out);
    strbuf_addf(out, " | %s%s%s | %s%s%s | %s", key->def ? "`" : "", key->def ? key->def : "",
                key->def ? "`" : "", key->env ? "`" : "", key->env ? key->env : "", key->env ? "`" : "",
                key->help);
    add_notes(key, out);
    strbuf_add_text(out, " |\n");
    for (const struct config_key *inner = key->element ? key->element->keys : NULL; inner && inner->name;
         inner++) {
        AUTO(text) char *deeper = xasprintf("%s%s[].", prefix, key->name);
        add_row(deeper, inner, out);
    }
}

static const char introduction[] =
    "# Configuration\n\n"
    "Made by `make docs` from the tables under `src/config/sections/`; do not edit.\n\n"
    "Later sources win: the defaults below, the file (`--config FILE`, else `$CONFIG_FILE`, else\n"
    "`~/.config/prometheus-alerts-slm/config.yaml`, else `/etc/prometheus-alerts-slm/config.yaml`), the environment,\n"
    "`--set KEY=VALUE`. One variable is not ours alone and comes before the file: `KUBECONFIG`; where the file names another\n"
    "one, the log says so at the start. A value may hold `${VAR}` or `${VAR:-default}`; `$$` is a dollar sign. Beside\n"
    "every secret a key that ends in `_file` (and an environment variable that ends in `_FILE`) names a file that holds it.\n\n"
    "`prometheus-alerts-slm config check` reports every mistake with file, line and column; `config show` prints what is in\n"
    "effect and where each value came from; `config sample` writes a commented file. SIGHUP, or POST /-/reload where\n"
    "`server.reload_endpoint` allows it, reads everything again; a bad file leaves the old configuration working.\n\n"
    "Durations are written `250ms`, `30s`, `5m`, `1h30m`, `7d`; sizes `512Ki`, `32Mi`, `1G`.\n";

void config_write_reference(struct strbuf *out)
{
    strbuf_add_text(out, introduction);
    for (const struct config_keys *section = config_sections; section->name; section++) {
        strbuf_addf(out, "\n## %s\n\n%s\n\n", section->name, section->help);
        strbuf_add_text(out, "| key | values | default | environment | meaning |\n|---|---|---|---|---|\n");
        AUTO(text)
        char *prefix = *section->keys[0].name ? xasprintf("%s.", section->name) : xstrdup(section->name);
        for (const struct config_key *key = section->keys; key->name; key++)
            add_row(prefix, key, out);
    }
}

/* A help text as comment lines of at most 110 columns. */
static void add_comment(const char *indent, const char *text, struct strbuf *out)
{
    enum { COLUMNS = 110 };
    struct str rest = str_of(text), word;
    size_t column = COLUMNS;
    while (str_split(&rest, ' ', &word)) {
        if (column + 1 + word.len > COLUMNS) {
            strbuf_addf(out, "%s%s#", out->len && out->ptr[out->len - 1] != '\n' ? "\n" : "", indent);
            column = strlen(indent) + 1;
        }
        strbuf_addf(out, " " STR_FMT, STR_ARG(word));
        column += 1 + word.len;
    }
    strbuf_add_char(out, '\n');
}

static void add_sample_key(const struct config_key *key, const char **group, struct strbuf *out)
{
    const char *dot = strchr(key->name, '.');
    size_t len = dot ? (size_t)(dot + 1 - key->name) : 0;
    if (dot && (!*group || strncmp(*group, key->name, len) != 0))
        strbuf_addf(out, "#  %.*s:\n", (int)len - 1, key->name);
    *group = dot ? key->name : NULL;
    const char *indent = dot ? "    " : "  ";
    add_comment(indent, key->help, out);
    if (key->choices) {
        strbuf_addf(out, "%s# One of: ", indent);
        add_choices(key, "", out);
        strbuf_add_char(out, '\n');
    }
    strbuf_addf(out, "#%s%s: ", indent, key->name + len);
    if (key->type > CONFIG_CHOICE)
        strbuf_add_text(out, key->type == CONFIG_TEXT_MAP || key->type == CONFIG_TEXTS_MAP ? "{}" : "[]");
    else
        yaml_add_scalar(out, str_of(key->def ? key->def : ""));
    strbuf_add_char(out, '\n');
    for (const struct config_key *inner = key->element ? key->element->keys : NULL; inner && inner->name;
         inner++)
        strbuf_addf(out, "%s#   %s%s: %s\n", indent, inner == key->element->keys ? "- " : "  ", inner->name,
                    inner->help);
}

void config_write_sample(struct strbuf *out)
{
    strbuf_add_text(
        out, "# prometheus-alerts-slm: every key with its default. Take the # away from what you change\n"
             "# (and from the lines above it that open its section).\n");
    for (const struct config_keys *section = config_sections; section->name; section++) {
        strbuf_add_char(out, '\n');
        add_comment("", section->help, out);
        bool single = !*section->keys[0].name;
        strbuf_addf(out, "#%s:%s\n", section->name, single ? " []" : "");
        const char *group = NULL;
        for (const struct config_key *key = section->keys; key->name; key++)
            if (!single && !key->same_as)
                add_sample_key(key, &group, out);
        for (const struct config_key *inner = single ? section->keys[0].element->keys : NULL;
             inner && inner->name; inner++)
            strbuf_addf(out, "#   %s%s: %s\n", inner == section->keys[0].element->keys ? "- " : "  ",
                        inner->name, inner->help);
    }
}
