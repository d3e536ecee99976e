/* An arena: many small pieces of memory that live and die together, one per request or per alert. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"

struct arena; /* one thread's alone */

struct arena *
arena_new(size_t block_size); /* bytes taken at a time; larger pieces get a block of their own */
void arena_free(struct arena *arena);
static inline void arena_cleanup(struct arena **arena)
{
    arena_free(*arena);
}
void arena_reset(struct arena *arena); /* forget everything, keep one block */

void *arena_alloc(struct arena *arena, size_t size); /* zeroed, aligned for any type */
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_calloc((arena), (count), sizeof(type)))
void *arena_calloc(struct arena *arena, size_t count, size_t size);
size_t arena_used(const struct arena *arena); /* bytes handed out since new or reset */

/* Copies, ended by a NUL. */
struct str arena_str(struct arena *arena, struct str s);
char *arena_text(struct arena *arena, struct str s);
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives NULL */
__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *arena, const char *format, ...);

#endif
