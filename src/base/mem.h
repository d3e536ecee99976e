/* Memory: small allocations do not fail. Running out ends the process with a message, as in Git and Redis; the inbox
 * makes that safe. What is sized by a file or a request uses malloc() itself and answers ERROR_NO_MEMORY. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *xmalloc(size_t size);               /* the caller frees; never NULL */
void *xcalloc(size_t count, size_t size); /* zeroed */
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *text);              /* NULL gives NULL */
char *xstrndup(const char *text, size_t len); /* at most `len` bytes, ended by a NUL */
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *format, ...);

/* *product = a * b, or false where that does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}
static inline bool size_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* AUTO(gguf) struct gguf *file: closed by gguf_cleanup() when it goes out of scope. STEAL(file) hands it on. */
#define AUTO(type) __attribute__((cleanup(type##_cleanup)))
#define STEAL(pointer)                                                                                       \
    ({                                                                                                       \
        __auto_type stolen_ = (pointer);                                                                     \
        (pointer) = NULL;                                                                                    \
        stolen_;                                                                                             \
    })

void text_cleanup(char **text); /* AUTO(text) char *name = xstrdup(…): freed */

#define ARRAY_LEN(array) (sizeof(array) / sizeof *(array))
#define BIT(n) (1u << (n))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
