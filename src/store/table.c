#include "store/table.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS_MAX = 48 };

static pthread_mutex_t text_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the making of every table_text */

size_t table_column_count(const struct table *table)
{
    size_t count = 0;
    while (table->columns[count].name)
        count++;
    return count;
}

static void add_names(struct strbuf *out, const struct table *table)
{
    for (const struct column *c = table->columns; c->name; c++)
        strbuf_addf(out, "%s%s", c == table->columns ? "" : ", ", c->name);
}

/* These live as long as the process: statements are prepared once, and found again by the address of their text. */
static struct str keep(struct strbuf *text)
{
    struct str kept = { NULL, text->len };
    kept.ptr = strbuf_take(text);
    return kept;
}

static void make_text(const struct table *table)
{
    struct strbuf text = { 0 };
    strbuf_add_text(&text, "SELECT ");
    add_names(&text, table);
    strbuf_addf(&text, " FROM %s", table->name);
    table->text->select = keep(&text);
    for (int if_new = 0; if_new < 2; if_new++) {
        strbuf_addf(&text, "INSERT INTO %s (", table->name);
        add_names(&text, table);
        strbuf_add_text(&text, ") VALUES (");
        for (size_t i = 0; i < table_column_count(table); i++)
            strbuf_addf(&text, "%s$%zu", i ? ", " : "", i + 1);
        strbuf_add_text(&text, if_new ? ") ON CONFLICT DO NOTHING" : ")");
        *(if_new ? &table->text->insert_if_new : &table->text->insert) = keep(&text);
    }
    table->text->ready = true;
}

static const struct table_text *text_of(const struct table *table)
{
    pthread_mutex_lock(&text_lock);
    if (!table->text->ready)
        make_text(table);
    pthread_mutex_unlock(&text_lock);
    return table->text;
}

static struct value value_at(const void *record, const struct column *column)
{
    const char *at = (const char *)record + column->offset;
    double number;
    switch (column->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
        return V_TEXT(*(const char *const *)(const void *)at);
    case COLUMN_ID:
        return V_TEXT(*at ? at : NULL);
    case COLUMN_INT:
        return V_INT(*(const int64_t *)(const void *)at);
    case COLUMN_NUMBER:
        number = *(const double *)(const void *)at;
        return isnan(number) ? V_NULL : V_NUM(number);
    case COLUMN_TIME:
        return V_TIME(*(const int64_t *)(const void *)at);
    case COLUMN_FLAG:
        return V_BOOL(*(const bool *)(const void *)at);
    }
    return V_NULL;
}

bool table_insert(struct tx *tx, const struct table *table, const void *record, struct error **err)
{
    struct value values[COLUMNS_MAX];
    size_t count = table_column_count(table);
    if (count > COLUMNS_MAX)
        abort(); /* more columns in the source than COLUMNS_MAX */
    for (size_t i = 0; i < count; i++)
        values[i] = value_at(record, &table->columns[i]);
    return tx_exec(tx, &text_of(table)->insert, (struct values){ values, count }, err) ||
           error_wrap(err, "record in %s", table->name);
}

const char *table_select(const struct table *table)
{
    return text_of(table)->select.ptr;
}

static void read_column(const struct column *column, const struct rows *rows, int at, struct arena *arena,
                        char *to)
{
    bool null = rows_is_null(rows, at);
    switch (column->kind) {
    case COLUMN_TEXT:
    case COLUMN_JSON:
        *(const char **)(void *)to = null ? NULL : arena_text(arena, rows_text(rows, at));
        break;
    case COLUMN_ID:
        snprintf(to, ULID_LEN + 1, STR_FMT, STR_ARG(rows_text(rows, at)));
        break;
    case COLUMN_INT:
    case COLUMN_TIME:
        *(int64_t *)(void *)to = rows_int(rows, at);
        break;
    case COLUMN_NUMBER:
        *(double *)(void *)to = null ? NAN : rows_number(rows, at);
        break;
    case COLUMN_FLAG:
        *(bool *)(void *)to = rows_int(rows, at) != 0;
        break;
    }
}

void table_read(const struct table *table, const struct rows *rows, struct arena *arena, void *record)
{
    for (int i = 0; table->columns[i].name; i++)
        read_column(&table->columns[i], rows, i, arena, (char *)record + table->columns[i].offset);
}

bool table_list(struct tx *tx, const struct table *table, const struct list_query *query, int64_t limit,
                struct arena *arena, size_t size, void **items, size_t *count, struct error **err)
{
    AUTO(rows) struct rows *rows = list_run(tx, query, limit, err);
    size_t room = 0;
    bool more = rows != NULL;
    *items = NULL;
    *count = 0;
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (*count == room) {
            void *old = *items;
            room = room ? room * 2 : 16;
            *items = arena_calloc(arena, room, size);
            if (old)
                memcpy(*items, old, *count * size);
        }
        table_read(table, rows, arena, (char *)*items + (*count)++ * size);
    }
    return false;
}

bool table_get(struct tx *tx, const struct table *table, struct arena *arena, const char *id, void *record,
               bool *found, struct error **err)
{
    struct list_query query = { .select = table_select(table) };
    list_where(&query, "id = ?", V_TEXT(id));
    AUTO(rows) struct rows *rows = list_run(tx, &query, 1, err);
    if (!rows || !rows_next(rows, found, err))
        return false;
    if (*found)
        table_read(table, rows, arena, record);
    return true;
}

void table_row_write(const struct table *table, const struct rows *rows, struct strbuf *out)
{
    char time[CLOCK_TEXT_MAX];
    for (int i = 0; table->columns[i].name; i++) {
        const struct column *column = &table->columns[i];
        strbuf_addf(out, "%s\"%s\":", i ? "," : "{", column->name);
        if (rows_is_null(rows, i) || (column->kind == COLUMN_JSON && !rows_text(rows, i).len))
            strbuf_add_text(out, "null");
        else if (column->kind == COLUMN_INT)
            strbuf_addf(out, "%lld", (long long)rows_int(rows, i));
        else if (column->kind == COLUMN_NUMBER)
            strbuf_addf(out, "%.10g", rows_number(rows, i));
        else if (column->kind == COLUMN_TIME)
            strbuf_add_json(out, str_of(clock_format(rows_int(rows, i), time)));
        else if (column->kind == COLUMN_FLAG)
            strbuf_add_text(out, rows_int(rows, i) ? "true" : "false");
        else if (column->kind == COLUMN_JSON)
            strbuf_add(out, rows_text(rows, i));
        else
            strbuf_add_json(out, rows_text(rows, i));
    }
    strbuf_add_char(out, '}');
}

void table_row_export(const struct table *table, const struct rows *rows, struct strbuf *out)
{
    for (int i = 0; table->columns[i].name; i++) {
        enum column_kind kind = table->columns[i].kind;
        strbuf_addf(out, "%s\"%s\":", i ? "," : "{", table->columns[i].name);
        if (rows_is_null(rows, i))
            strbuf_add_text(out, "null");
        else if (kind == COLUMN_NUMBER)
            strbuf_addf(out, "%.17g", rows_number(rows, i));
        else if (kind == COLUMN_INT || kind == COLUMN_TIME || kind == COLUMN_FLAG)
            strbuf_addf(out, "%lld", (long long)rows_int(rows, i));
        else
            strbuf_add_json(out, rows_text(rows, i));
    }
    strbuf_add_char(out, '}');
}

bool table_import(struct tx *tx, const struct table *table, struct values values, bool *added,
                  struct error **err)
{
    int64_t changed = 0;
    if (!tx_exec_count(tx, &text_of(table)->insert_if_new, values, &changed, err))
        return error_wrap(err, "import into %s", table->name);
    *added = changed > 0;
    return true;
}
