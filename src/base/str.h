/* Strings that know their length: `struct str` borrows bytes, `struct strbuf` owns and grows them. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr; /* not ended by a NUL unless said so; may be NULL when len is 0 */
    size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

static inline struct str str_of(const char *text)
{
    return (struct str){ text, text ? strlen(text) : 0 };
}
static inline bool str_is_empty(struct str s)
{
    return s.len == 0;
}

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
int str_cmp(struct str a, struct str b);        /* byte order, as memcmp */
bool str_starts_with(struct str s, struct str prefix);
bool str_ends_with(struct str s, struct str suffix);
bool str_find(struct str s, struct str needle, size_t *at); /* `at` may be NULL */
struct str str_trim(struct str s);                          /* without ASCII blanks at both ends */
struct str str_slice(struct str s, size_t from, size_t to); /* bounds are clipped to the string */

/* Cut the next part off `rest` at `separator`; false when nothing is left. "a,,b" gives "a", "", "b". */
bool str_split(struct str *rest, char separator, struct str *part);

/* Decimal, the whole string, no blanks; false if it is not a number or out of range. */
bool str_to_i64(struct str s, int64_t *value);
bool str_to_u64(struct str s, uint64_t *value);
bool str_to_double(struct str s, double *value); /* finite only; independent of the locale */

uint64_t str_hash(struct str s, uint64_t seed); /* FNV-1a, 64 bit; not for hostile keys in a table */

/* Of `names` the one nearest to `s` by edit distance, if near enough to be a typing mistake, else NULL. */
const char *str_nearest(struct str s, const char *const *names, size_t count);

struct strbuf {
    char *ptr; /* always ended by a NUL once something was added */
    size_t len, cap;
};

void strbuf_add(struct strbuf *buf, struct str s);
void strbuf_add_text(struct strbuf *buf, const char *text);
void strbuf_add_char(struct strbuf *buf, char c);
__attribute__((format(printf, 2, 3))) void strbuf_addf(struct strbuf *buf, const char *format, ...);
void strbuf_reserve(struct strbuf *buf, size_t more);
void strbuf_clear(struct strbuf *buf); /* empty, memory kept */
void strbuf_free(struct strbuf *buf);
void strbuf_cleanup(struct strbuf *buf); /* AUTO(strbuf) struct strbuf buf = {0}; */
struct str strbuf_str(const struct strbuf *buf);
char *strbuf_take(struct strbuf *buf); /* NUL-terminated, never NULL; the caller frees; buf is empty then */

/* Add `s` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. RFC 8259 section 7. */
void strbuf_add_json(struct strbuf *buf, struct str s);

#endif
