/* A filter's pattern against a value, the first newline between them: it must agree with a slow and plain matcher. */
#include <stdlib.h>

#include "processor/processor.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* matches[p][v]: the pattern from p on matches the value from v on. */
static bool plain(struct str pattern, struct str value)
{
    bool *row = calloc(value.len + 1, sizeof *row), *next = calloc(value.len + 1, sizeof *next);
    next[value.len] = true;
    for (size_t p = pattern.len; p-- > 0;) {
        bool star = pattern.ptr[p] == '*';
        row[value.len] = star && next[value.len];
        for (size_t v = value.len; v-- > 0;)
            row[v] = star ? next[v] || row[v + 1] : pattern.ptr[p] == value.ptr[v] && next[v + 1];
        bool *swap = row;
        row = next;
        next = swap;
    }
    bool answer = next[0];
    free(row);
    free(next);
    return answer;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct str all = { (const char *)data, size < 4096 ? size : 4096 }, pattern;
    if (!str_split(&all, '\n', &pattern))
        return 0;
    if (processor_pattern_matches(pattern, all) != plain(pattern, all))
        abort();
    return 0;
}
