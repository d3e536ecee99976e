/* Files mapped read-only, whose storage may fail or be cut short while they are in use.
 *
 * Touching a page past the end of a shortened file raises SIGBUS, which would end the process. Our handler puts a page
 * of zeros there instead and marks the mapping as failed: the computation runs on (a few numbers are wrong), and who
 * asks mapping_failed() at its end throws the result away and reports ERROR_IO. No jump out of a handler, so it works
 * in any thread and in the middle of a kernel. A SIGBUS elsewhere goes to whoever handled it before. */
#ifndef ENGINE_MAPPING_H
#define ENGINE_MAPPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"

struct mapping {
    unsigned char *bytes; /* page-aligned; NULL for an empty file */
    size_t len;
    struct stat stat; /* as it was when mapped */
    int slot;         /* in the handler's table */
};

/* ERROR_NOT_FOUND, ERROR_DENIED, ERROR_IO; ERROR_LIMIT when too many files are mapped (64). The caller closes. */
struct mapping *mapping_open(const char *path, struct error **err);
void mapping_close(struct mapping *mapping);
static inline void mapping_cleanup(struct mapping **mapping)
{
    mapping_close(*mapping);
}

bool mapping_failed(
    const struct mapping *mapping); /* some of its bytes have been zeros since they were touched */

#endif
