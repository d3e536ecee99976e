#include "engine/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/mapping.h"

struct cache {
    unsigned char *memory; /* reserved at once, touched as pages come into use */
    size_t page_bytes, n_pages;
    struct page *pages;

    pthread_mutex_t lock; /* guards free, n_free */
    struct page **free;
    size_t n_free;
};

struct cache *cache_new(size_t page_bytes, size_t n_pages, struct error **err)
{
    size_t bytes;
    void *memory =
        size_mul(page_bytes, n_pages, &bytes)
            ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            : MAP_FAILED;
    if (memory == MAP_FAILED) {
        error_set(err, ERROR_NO_MEMORY, "cannot reserve %zu cache pages of %zu bytes", n_pages, page_bytes);
        return NULL;
    }
    struct cache *cache = xcalloc(1, sizeof *cache);
    *cache = (struct cache){ .memory = memory,
                             .page_bytes = page_bytes,
                             .n_pages = n_pages,
                             .n_free = n_pages,
                             .pages = xcalloc(n_pages, sizeof(struct page)),
                             .free = xcalloc(n_pages, sizeof(struct page *)) };
    pthread_mutex_init(&cache->lock, NULL);
    for (size_t i = 0; i < n_pages; i++) {
        cache->pages[i].data = cache->memory + i * page_bytes;
        cache->free[n_pages - 1 - i] = &cache->pages[i];
    }
    return cache;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    munmap(cache->memory, cache->page_bytes * cache->n_pages);
    pthread_mutex_destroy(&cache->lock);
    free(cache->pages);
    free(cache->free);
    free(cache);
}

struct page *cache_take(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    struct page *page = cache->n_free ? cache->free[--cache->n_free] : NULL;
    pthread_mutex_unlock(&cache->lock);
    if (page)
        atomic_store(&page->refs, 1);
    return page;
}

size_t cache_pages_left(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t left = cache->n_free;
    pthread_mutex_unlock(&cache->lock);
    return left;
}

void page_ref(struct page *page)
{
    atomic_fetch_add(&page->refs, 1);
}

static void source_unref(struct page_source *source)
{
    if (atomic_fetch_sub(&source->refs, 1) != 1)
        return;
    mapping_close(source->mapping);
    free(source);
}

void page_unref(struct cache *cache, struct page *page)
{
    if (atomic_fetch_sub(&page->refs, 1) != 1)
        return;
    if (page->source) {
        source_unref(page->source);
        return;
    }
    pthread_mutex_lock(&cache->lock);
    cache->free[cache->n_free++] = page;
    pthread_mutex_unlock(&cache->lock);
}
