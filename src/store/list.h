/* Lists with filters: conditions that are asked for are put together, newest first, a page at a time. */
#ifndef STORE_LIST_H
#define STORE_LIST_H

#include "store/store.h"

enum { LIST_CONDITIONS_MAX = 16 };

struct list_query { /* begin with { .select = "SELECT … FROM …" } */
    const char *select;
    const char *order; /* NULL: "id DESC" */
    struct value values[LIST_CONDITIONS_MAX + 1];
    const char *conditions[LIST_CONDITIONS_MAX];
    size_t count;
};

/* `condition` holds one `?` where the value goes: "namespace = ?". A null value asks for nothing. */
void list_where(struct list_query *query, const char *condition, struct value value);
struct rows *list_run(struct tx *tx, const struct list_query *query, int64_t limit,
                      struct error **err); /* 0: all */

#endif
