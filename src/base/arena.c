#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = alignof(max_align_t) };

struct block {
    struct block *next;
    size_t size, used;
    alignas(max_align_t) char bytes[];
};

struct arena {
    size_t block_size, used;
    struct block *blocks; /* the newest first; only the first is filled further */
};

static struct block *block_new(size_t size, struct block *next)
{
    struct block *block = xmalloc(sizeof *block + size);
    block->next = next;
    block->size = size;
    block->used = 0;
    return block;
}

struct arena *arena_new(size_t block_size)
{
    struct arena *arena = xcalloc(1, sizeof *arena);
    arena->block_size = MAX(block_size, (size_t)256);
    return arena;
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->blocks);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
    if (!arena->blocks)
        return;
    free_blocks(STEAL(arena->blocks->next));
    if (arena->blocks->size > arena->block_size)
        free_blocks(STEAL(arena->blocks));
    else
        arena->blocks->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded = (MAX(size, (size_t)1) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct block *block = arena->blocks;
    if (rounded > arena->block_size / 4 && (!block || block->size - block->used < rounded)) {
        /* A large piece of its own, put behind the first so that the first is filled up. */
        struct block *own = block_new(rounded, block ? block->next : NULL);
        if (block)
            block->next = own;
        else
            arena->blocks = own;
        block = own;
    } else if (!block || block->size - block->used < rounded) {
        block = arena->blocks = block_new(arena->block_size, block);
    }
    void *memory = block->bytes + block->used;
    block->used += rounded;
    arena->used += rounded;
    return memset(memory, 0, rounded);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!size_mul(count, size, &bytes))
        abort();
    return arena_alloc(arena, bytes);
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

char *arena_text(struct arena *arena, struct str s)
{
    char *text = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(text, s.ptr, s.len);
    return text;
}

struct str arena_str(struct arena *arena, struct str s)
{
    return (struct str){ arena_text(arena, s), s.len };
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_text(arena, str_of(text)) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        abort();
    char *text = arena_alloc(arena, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
