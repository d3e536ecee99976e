/* What commands print: one JSON text as a table, as JSON, or as YAML. */
#include "cli/cli_internal.h"

#include <stdlib.h>

#include <yyjson.h>

#include "config/yaml.h"

enum { COLUMNS_MAX = 24, CELL_MAX = 60, CELL_WIDE_MAX = 400 };

void cli_print(struct str text)
{
    fwrite(text.ptr ? text.ptr : "", 1, text.len, stdout);
}

/* Labels come from outside, and a terminal obeys escape sequences: what is not to be seen is shown as \x1b. */
void cli_print_safe(struct strbuf *out, struct str text)
{
    while (text.len) {
        uint32_t code;
        size_t len = utf8_decode(text, &code);
        bool control = code < ' ' || (code >= 0x7f && code < 0xa0) || code == UTF8_INVALID ||
                       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ||
                       code == 0x2028 || code == 0x2029;
        if (control)
            strbuf_addf(out, "\\x%02x", (unsigned char)text.ptr[0]);
        else
            strbuf_add(out, str_slice(text, 0, len));
        text = str_slice(text, len, text.len);
    }
}

enum cli_output cli_output(const struct cli *cli)
{
    const char *name = cli_flag(cli, "output", "table");
    for (size_t i = 0; cli_output_choices[i]; i++)
        if (strcmp(cli_output_choices[i], name) == 0)
            return (enum cli_output)i;
    return CLI_TABLE;
}

/* --- JSON as YAML */

static void add_yaml(yyjson_val *value, unsigned depth, struct strbuf *out);

static void add_indent(unsigned depth, struct strbuf *out)
{
    strbuf_addf(out, "%*s", (int)depth * 2, "");
}

static bool is_flat(yyjson_val *value)
{
    return !yyjson_is_ctn(value) || yyjson_get_len(value) == 0;
}

static void add_yaml_scalar(yyjson_val *value, struct strbuf *out)
{
    if (yyjson_is_str(value)) {
        struct str text = { yyjson_get_str(value), yyjson_get_len(value) };
        int64_t integer;
        double number;
        bool looks_otherwise = str_to_i64(text, &integer) || str_to_double(text, &number) ||
                               str_eq(text, STR("true")) || str_eq(text, STR("false"));
        if (looks_otherwise)
            strbuf_add_json(out, text); /* a text that reads as a number stays a text */
        else
            yaml_add_scalar(out, text);
        return;
    }
    size_t len = 0;
    char *text = yyjson_val_write(value, 0, &len);
    strbuf_add(out, text ? (struct str){ text, len } : STR("null"));
    free(text);
}

static void add_yaml_object(yyjson_val *object, unsigned depth, bool inline_first, struct strbuf *out)
{
    size_t index, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, index, max, key, value)
    {
        if (index || !inline_first)
            add_indent(depth, out);
        yaml_add_scalar(out, (struct str){ yyjson_get_str(key), yyjson_get_len(key) });
        strbuf_add_char(out, ':');
        if (is_flat(value)) {
            strbuf_add_char(out, ' ');
            add_yaml_scalar(value, out);
            strbuf_add_char(out, '\n');
        } else {
            strbuf_add_char(out, '\n');
            add_yaml(value, depth + 1, out);
        }
    }
}

static void add_yaml_array(yyjson_val *array, unsigned depth, struct strbuf *out)
{
    size_t index, max;
    yyjson_val *item;
    yyjson_arr_foreach(array, index, max, item)
    {
        add_indent(depth, out);
        strbuf_add_text(out, "- ");
        if (is_flat(item)) {
            add_yaml_scalar(item, out);
            strbuf_add_char(out, '\n');
        } else if (yyjson_is_obj(item)) {
            add_yaml_object(item, depth + 1, true, out);
        } else {
            strbuf_add_char(out, '\n');
            add_yaml(item, depth + 1, out);
        }
    }
}

static void add_yaml(yyjson_val *value, unsigned depth, struct strbuf *out)
{
    if (is_flat(value)) {
        add_indent(depth, out);
        add_yaml_scalar(value, out);
        strbuf_add_char(out, '\n');
    } else if (yyjson_is_obj(value)) {
        add_yaml_object(value, depth, false, out);
    } else {
        add_yaml_array(value, depth, out);
    }
}

static yyjson_doc *read_json(struct str json, struct error **err)
{
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)json.ptr, json.len, 0, NULL, &why);
    if (!doc)
        error_set(err, ERROR_INTERNAL, "an answer is not JSON: %s at byte %zu", why.msg, why.pos);
    return doc;
}

static inline void doc_cleanup(yyjson_doc **doc)
{
    yyjson_doc_free(*doc);
}

bool cli_json_to_yaml(struct str json, struct strbuf *out)
{
    AUTO(doc) yyjson_doc *doc = read_json(json, NULL);
    if (doc)
        add_yaml(yyjson_doc_get_root(doc), 0, out);
    return doc != NULL;
}

/* --- tables */

/* "labels.namespace" within an item; of "a|b" the first that is there. */
static yyjson_val *find_field(yyjson_val *item, struct str field)
{
    struct str alternative;
    while (str_split(&field, '|', &alternative)) {
        struct str rest = alternative, name;
        yyjson_val *value = item;
        while (value && str_split(&rest, '.', &name))
            value = yyjson_obj_getn(value, name.ptr, name.len);
        if (value && !yyjson_is_null(value) && !(yyjson_is_str(value) && yyjson_get_len(value) == 0))
            return value;
    }
    return NULL;
}

/* 2026-11-21T10:04:46.123Z → 2026-11-21 10:04:46 */
static bool add_time(struct str text, struct strbuf *out)
{
    int64_t ms;
    bool is_time = text.len >= 20 && text.ptr[4] == '-' && text.ptr[10] == 'T' && clock_parse(text, &ms);
    if (is_time)
        strbuf_addf(out, STR_FMT " " STR_FMT, STR_ARG(str_slice(text, 0, 10)),
                    STR_ARG(str_slice(text, 11, 19)));
    return is_time;
}

static void add_cell_value(yyjson_val *value, struct strbuf *out)
{
    struct str text = { yyjson_get_str(value), yyjson_get_len(value) };
    if (yyjson_is_str(value) && !add_time(text, out))
        cli_print_safe(out, text);
    else if (yyjson_is_real(value))
        strbuf_addf(out, "%.2f", yyjson_get_real(value));
    else if (yyjson_is_int(value))
        strbuf_addf(out, "%lld", (long long)yyjson_get_sint(value));
    else if (yyjson_is_bool(value))
        strbuf_add_text(out, yyjson_get_bool(value) ? "yes" : "no");
}

static void add_array_cell(yyjson_val *array, struct strbuf *out)
{
    size_t index, max;
    yyjson_val *item;
    yyjson_arr_foreach(array, index, max, item)
    {
        strbuf_add_text(out, index ? "," : "");
        add_cell_value(item, out);
    }
}

static char *make_cell(yyjson_val *item, const struct cli_column *column, bool wide)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    yyjson_val *value = find_field(item, str_of(column->field));
    size_t max = wide ? CELL_WIDE_MAX : CELL_MAX;
    if (yyjson_is_arr(value))
        add_array_cell(value, &text);
    else if (value)
        add_cell_value(value, &text);
    if (text.len == 0)
        strbuf_add_char(&text, '-');
    if (text.len <= max)
        return strbuf_take(&text);
    struct str cut = utf8_prefix(strbuf_str(&text), max - 3);
    return xasprintf(STR_FMT "…", STR_ARG(cut));
}

/* Characters, not bytes; wide ones of East Asia are counted as one, which costs them a shifted column. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

struct table {
    const struct cli_column *columns[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX], columns_len, rows;
    char **cells;
};

static void fill_table(struct table *table, yyjson_val *items, bool wide)
{
    size_t index, max;
    yyjson_val *item;
    table->cells = xcalloc(table->rows * table->columns_len + 1, sizeof *table->cells);
    for (size_t c = 0; c < table->columns_len; c++)
        table->widths[c] = width_of(table->columns[c]->heading);
    yyjson_arr_foreach(items, index, max, item)
    {
        for (size_t c = 0; c < table->columns_len; c++) {
            char *cell = table->cells[index * table->columns_len + c] =
                make_cell(item, table->columns[c], wide);
            table->widths[c] = MAX(table->widths[c], width_of(cell));
        }
    }
}

static void add_cell(const struct table *table, size_t column, const char *text, struct strbuf *out)
{
    bool last = column + 1 == table->columns_len;
    strbuf_add_text(out, text);
    if (!last)
        strbuf_addf(out, "%*s", (int)(table->widths[column] - width_of(text) + 3), "");
    else
        strbuf_add_char(out, '\n');
}

static void add_table(yyjson_val *items, const struct cli_column *columns, bool wide, struct strbuf *out)
{
    struct table table = { .rows = yyjson_arr_size(items) };
    for (; columns->heading; columns++)
        if ((wide || !columns->wide) && table.columns_len < COLUMNS_MAX)
            table.columns[table.columns_len++] = columns;
    fill_table(&table, items, wide);
    for (size_t c = 0; c < table.columns_len; c++)
        add_cell(&table, c, table.columns[c]->heading, out);
    for (size_t i = 0; i < table.rows * table.columns_len; i++) {
        add_cell(&table, i % table.columns_len, table.cells[i], out);
        free(table.cells[i]);
    }
    free(table.cells);
}

static void add_pretty_json(yyjson_doc *doc, struct strbuf *out)
{
    size_t len = 0;
    char *text = yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &len);
    strbuf_add(out, (struct str){ text ? text : "", len });
    strbuf_add_char(out, '\n');
    free(text);
}

bool cli_show_list(const struct cli *cli, struct str json, const char *plural,
                   const struct cli_column *columns, struct error **err)
{
    AUTO(doc) yyjson_doc *doc = read_json(json, err);
    AUTO(strbuf) struct strbuf out = { 0 };
    if (!doc)
        return false;
    yyjson_val *root = yyjson_doc_get_root(doc);
    enum cli_output output = cli_output(cli);
    if (output == CLI_JSON)
        add_pretty_json(doc, &out);
    else if (output == CLI_YAML)
        add_yaml(root, 0, &out);
    else
        add_table(yyjson_obj_get(root, plural), columns, output == CLI_WIDE, &out);
    cli_print(strbuf_str(&out));
    return true;
}

bool cli_show_object(const struct cli *cli, struct str json, struct error **err)
{
    AUTO(doc) yyjson_doc *doc = read_json(json, err);
    AUTO(strbuf) struct strbuf out = { 0 };
    if (!doc)
        return false;
    if (cli_output(cli) == CLI_JSON)
        add_pretty_json(doc, &out);
    else
        add_yaml(yyjson_doc_get_root(doc), 0, &out);
    cli_print(strbuf_str(&out));
    return true;
}
