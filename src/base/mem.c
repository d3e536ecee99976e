#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (memory || size == 0)
        return memory;
    fprintf(stderr, "prometheus-alerts-slm: out of memory for %zu bytes\n", size);
    abort();
}

void *xmalloc(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1), size);
}

void *xrealloc(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1), size);
}

char *xstrdup(const char *text)
{
    return text ? checked(strdup(text), strlen(text) + 1) : NULL;
}

char *xstrndup(const char *text, size_t len)
{
    return checked(strndup(text, len), len + 1);
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return len < 0 ? checked(NULL, 1) : text;
}

void text_cleanup(char **text)
{
    free(*text);
}
