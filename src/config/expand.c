/* ${VAR} and ${VAR:-default} in a value; $$ is a dollar sign, and a $ before anything else is one too. It happens after
 * YAML is parsed, so what a variable holds is always one text, never structure. */
#include "config/config_internal.h"

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return s.len > 0;
}

static bool add_variable(struct loader *loader, struct str inside, struct strbuf *out, struct error **err)
{
    size_t at;
    bool has_default = str_find(inside, STR(":-"), &at);
    struct str name = has_default ? str_slice(inside, 0, at) : inside;
    if (!is_name(name))
        return error_set(err, ERROR_INVALID, "\"${" STR_FMT "}\" does not name a variable", STR_ARG(inside));
    AUTO(text) char *variable = xstrndup(name.ptr, name.len);
    const char *value = loader_getenv(loader, variable);
    if (value && (*value || !has_default))
        strbuf_add_text(out, value);
    else if (has_default)
        strbuf_add(out, str_slice(inside, at + 2, inside.len));
    else
        return error_set(err, ERROR_INVALID, "the environment variable %s is not set", variable);
    return true;
}

bool value_expand(struct loader *loader, struct str text, struct str *out, struct error **err)
{
    AUTO(strbuf) struct strbuf buf = { 0 };
    for (size_t i = 0; i < text.len; i++) {
        char next = i + 1 < text.len ? text.ptr[i + 1] : '\0';
        if (text.ptr[i] != '$' || (next != '$' && next != '{')) {
            strbuf_add_char(&buf, text.ptr[i]);
            continue;
        }
        i++;
        if (next == '$') {
            strbuf_add_char(&buf, '$');
            continue;
        }
        struct str rest = str_slice(text, i + 1, text.len);
        size_t end;
        if (!str_find(rest, STR("}"), &end))
            return error_set(err, ERROR_INVALID,
                             "\"${\" is not closed by \"}\" (write $$ for a dollar sign)");
        if (!add_variable(loader, str_slice(rest, 0, end), &buf, err))
            return false;
        i += end + 1;
    }
    *out = arena_str(loader->arena, strbuf_str(&buf));
    return true;
}
