/* Tables as data: a list of columns, from which the statements that insert and read a row, its JSON and its place in an
 * export are made. For tables whose rows are written once and read whole; what is changed in place has files under sql/. */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include "store/list.h"
#include "store/store.h"

enum column_kind {
    COLUMN_TEXT,   /* const char *; NULL is null */
    COLUMN_ID,     /* char[ULID_LEN + 1]; "" is null */
    COLUMN_JSON,   /* const char * of well-formed JSON; NULL is null */
    COLUMN_INT,    /* int64_t */
    COLUMN_NUMBER, /* double; NAN is null */
    COLUMN_TIME,   /* int64_t, UTC ms; 0 is null */
    COLUMN_FLAG,   /* bool */
};

struct column {
    const char *name;
    enum column_kind kind;
    size_t offset; /* in the record's struct; without meaning in tables that have none */
    bool required; /* NOT NULL */
};

struct table {
    const char *name;
    const char *key;              /* the columns of its primary key, as in ORDER BY */
    const struct column *columns; /* ended by a NULL name */
    struct table_text *text;      /* its statements, made once */
};
struct table_text {
    struct str insert, insert_if_new, select; /* select has no condition */
    bool ready;
};

/* ERROR_EXISTS where the store says that the key is taken. */
bool table_insert(struct tx *tx, const struct table *table, const void *record, struct error **err);

/* SELECT every column FROM the table, to be narrowed by list_where(). */
const char *table_select(const struct table *table);
void table_read(const struct table *table, const struct rows *rows, struct arena *arena, void *record);

/* One row by its id; *found says whether it is there. */
bool table_get(struct tx *tx, const struct table *table, struct arena *arena, const char *id, void *record,
               bool *found, struct error **err);

/* The row that `rows` stands at, as an object: times as text, JSON as it is. */
void table_row_write(const struct table *table, const struct rows *rows, struct strbuf *out);

/* The same for an export: every value as it is stored, so that nothing is lost. */
void table_row_export(const struct table *table, const struct rows *rows, struct strbuf *out);

/* A row of an export; *added is false where the key was there already. values[column count]. */
bool table_import(struct tx *tx, const struct table *table, struct values values, bool *added,
                  struct error **err);
size_t table_column_count(const struct table *table);

/* Rows into an array in the arena. */
#define TABLE_ROWS(type)                                                                                     \
    struct {                                                                                                 \
        type *items;                                                                                         \
        size_t count;                                                                                        \
    }
bool table_list(struct tx *tx, const struct table *table, const struct list_query *query, int64_t limit,
                struct arena *arena, size_t size, void **items, size_t *count, struct error **err);

#endif
