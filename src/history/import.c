/* An export is read twice: first every line is checked, and only then is a row written, so that a bad file changes
 * nothing. The second reading checks again, for a file that changes meanwhile. */
#include "history/history_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <yyjson.h>

#include "history/export.h"

enum { BATCH = 500, VALUES_MAX = 48 };

struct import {
    FILE *file;
    const char *name;
    int64_t line, rows;
    bool ended;
    char chain[SHA256_HEX_LEN + 1];
    char *text; /* the line, as getline() keeps it */
    size_t room;
    struct store *store;
    struct tx *tx; /* NULL while checking */
    int64_t in_batch;
    struct history_imported *imported;
};

__attribute__((format(printf, 3, 4))) static bool refuse(const struct import *in, struct error **err,
                                                         const char *format, ...)
{
    AUTO(text) char *why = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&why, format, args) < 0)
        abort();
    va_end(args);
    return error_set(err, ERROR_INVALID, "%s:%lld: %s", in->name, (long long)in->line, why);
}

/* The next line without its end; *more is false at the end of the file. */
static bool read_line(struct import *in, struct str *line, bool *more, struct error **err)
{
    errno = 0;
    ssize_t len = getline(&in->text, &in->room, in->file);
    *more = len >= 0;
    if (len < 0)
        return !ferror(in->file) || error_errno(err, errno, "read %s", in->name);
    in->line++;
    if (len > EXPORT_LINE_MAX)
        return refuse(in, err, "longer than %d bytes", EXPORT_LINE_MAX);
    if (in->text[len - 1] != '\n')
        return refuse(in, err, "the line is cut off");
    *line = (struct str){ in->text, (size_t)len - 1 };
    return true;
}

/* The part of the line before `,"chain":"`, after checking it. */
static bool check_chain(struct import *in, struct str line, struct error **err)
{
    const size_t tail = sizeof CHAIN_BEGIN - 1 + SHA256_HEX_LEN + 2;
    if (line.len <= tail)
        return refuse(in, err, "foreign: no line of a history export");
    struct str body = str_slice(line, 0, line.len - tail), end = str_slice(line, line.len - tail, line.len);
    if (!str_starts_with(end, STR(CHAIN_BEGIN)) || !str_ends_with(end, STR("\"}")))
        return refuse(in, err, "foreign: no line of a history export (it ends without its chain)");
    chain_next(in->chain, body);
    if (!str_eq(str_slice(end, sizeof CHAIN_BEGIN - 1, end.len - 2), str_of(in->chain)))
        return refuse(in, err, "edited: this line, or the one before it, is not what was exported");
    return true;
}

static bool check_header(struct import *in, yyjson_val *root, struct error **err)
{
    if (!yyjson_equals_str(yyjson_obj_get(root, "format"), EXPORT_FORMAT))
        return refuse(in, err, "foreign: the first line does not say \"format\":\"" EXPORT_FORMAT "\"");
    int64_t version = yyjson_get_sint(yyjson_obj_get(root, "version"));
    return version == EXPORT_VERSION ||
           refuse(in, err, "version %lld is not known: this program reads version %d", (long long)version,
                  EXPORT_VERSION);
}

static bool value_of(struct import *in, const struct table *table, const struct column *column,
                     yyjson_val *json, struct value *value, struct error **err)
{
    bool number = column->kind == COLUMN_NUMBER;
    bool integer = column->kind == COLUMN_INT || column->kind == COLUMN_TIME || column->kind == COLUMN_FLAG;
    if (!json)
        return refuse(in, err, "%s has no column %s", table->name, column->name);
    if (yyjson_is_null(json)) {
        *value = V_NULL;
        return !column->required || refuse(in, err, "%s.%s may not be null", table->name, column->name);
    }
    if (integer && yyjson_is_int(json))
        *value = V_INT(yyjson_get_sint(json));
    else if (number && yyjson_is_num(json))
        *value = V_NUM(yyjson_get_num(json));
    else if (!integer && !number && yyjson_is_str(json))
        *value = V_STR(((struct str){ yyjson_get_str(json), yyjson_get_len(json) }));
    else
        return refuse(in, err, "%s.%s is %s", table->name, column->name, yyjson_get_type_desc(json));
    return value->kind != VALUE_TEXT || !memchr(value->text.ptr, '\0', value->text.len) ||
           refuse(in, err, "%s.%s holds a NUL", table->name, column->name);
}

static bool commit_batch(struct import *in, struct error **err)
{
    in->in_batch = 0;
    if (in->tx && !tx_commit(STEAL(in->tx), err))
        return false;
    return true;
}

static bool write_row(struct import *in, const struct table *table, struct values values, struct error **err)
{
    bool added;
    if (!in->tx && !(in->tx = tx_begin(in->store, TX_WRITE, err)))
        return false;
    if (!table_import(in->tx, table, values, &added, err))
        return error_wrap(err, "%s:%lld", in->name, (long long)in->line);
    in->imported->added += added;
    return ++in->in_batch < BATCH || commit_batch(in, err);
}

static bool take_row(struct import *in, yyjson_val *root, bool write, struct error **err)
{
    yyjson_val *name = yyjson_obj_get(root, "table"), *row = yyjson_obj_get(root, "row");
    struct str table_name = { yyjson_get_str(name), yyjson_get_len(name) };
    const struct table *table = history_table(table_name);
    struct value values[VALUES_MAX];
    size_t count = 0;
    if (!table || !yyjson_is_obj(row))
        return refuse(in, err, "foreign: there is no table \"" STR_FMT "\" in the history",
                      STR_ARG(str_slice(table_name, 0, 60)));
    for (; table->columns[count].name; count++)
        if (!value_of(in, table, &table->columns[count], yyjson_obj_get(row, table->columns[count].name),
                      &values[count], err))
            return false;
    if (yyjson_obj_size(row) != count)
        return refuse(in, err, "%s has columns that this program does not know: use the newer program",
                      table->name);
    in->rows++;
    return !write || write_row(in, table, (struct values){ values, count }, err);
}

static bool take_end(struct import *in, yyjson_val *root, struct error **err)
{
    in->ended = true;
    int64_t rows = yyjson_get_sint(yyjson_obj_get(root, "rows"));
    return rows == in->rows || refuse(in, err, "the end counts %lld rows, the file has %lld", (long long)rows,
                                      (long long)in->rows);
}

static bool take_line(struct import *in, struct str line, bool write, struct error **err)
{
    if (in->ended)
        return refuse(in, err, "there is more after the end");
    yyjson_doc *doc = yyjson_read(line.ptr, line.len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool ok = yyjson_is_obj(root) || refuse(in, err, "foreign: not a JSON object");
    if (ok && in->line == 1) /* before the chain: whose file it is matters more than whether it is whole */
        ok = check_header(in, root, err);
    ok = ok && check_chain(in, line, err);
    if (ok && in->line > 1)
        ok = yyjson_obj_get(root, "end") ? take_end(in, root, err) : take_row(in, root, write, err);
    yyjson_doc_free(doc);
    return ok;
}

static bool read_through(struct import *in, bool write, struct error **err)
{
    struct str line = { 0 };
    bool more;
    rewind(in->file);
    in->line = in->rows = 0;
    in->ended = false;
    in->chain[0] = '\0';
    while (read_line(in, &line, &more, err)) {
        if (more && take_line(in, line, write, err))
            continue;
        if (more)
            return false;
        return in->ended || refuse(in, err, "the file is cut off: its end is missing");
    }
    return false;
}

bool history_import(struct store *store, FILE *file, const char *name, struct history_imported *imported,
                    struct error **err)
{
    struct import in = { .file = file, .name = name, .store = store, .imported = imported };
    *imported = (struct history_imported){ 0 };
    bool ok = read_through(&in, false, err) && read_through(&in, true, err) && commit_batch(&in, err);
    tx_abort(in.tx);
    free(in.text);
    imported->rows = in.rows;
    return ok;
}
