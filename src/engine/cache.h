/* The key/value cache: pages of 16 positions, each with all layers' keys and values, counted references.
 * In a page, for each layer and KV head: f16 keys [head_dim][16], then values [16][head_dim]. */
#ifndef ENGINE_CACHE_H
#define ENGINE_CACHE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

struct mapping;

struct page {
    unsigned char *data;
    atomic_uint refs;
    struct page_source *source; /* NULL: a page of the cache's own; else mapped, read-only */
};

/* Pages that lie in a mapped file: it is unmapped when the last of them is let go. */
struct page_source {
    struct mapping *mapping;
    atomic_uint refs;
    struct page pages[];
};

struct cache; /* locks itself */

struct cache *cache_new(size_t page_bytes, size_t n_pages, struct error **err);
void cache_free(struct cache *cache);
static inline void cache_cleanup(struct cache **cache)
{
    cache_free(*cache);
}
struct page *cache_take(struct cache *cache); /* with one reference; NULL: all are in use */
size_t cache_pages_left(struct cache *cache);
void page_ref(struct page *page);
void page_unref(struct cache *cache, struct page *page);

#endif
