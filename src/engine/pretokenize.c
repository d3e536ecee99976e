/* Splitting text into words, within which BPE merges. Each pre-tokenizer is the regular expression its models were
 * trained with, written out as a function: no backtracking, one pass, and the few tests a character needs come from
 * one table look-up. The expressions stand above the functions; \s, \p{L} and \p{N} are Unicode's. */
#include "engine/tokenizer_internal.h"

#include <utf8proc.h>

#include "base/utf8.h"

enum { LETTER = 1, NUMBER = 2, SPACE = 4, OTHER = 8 }; /* 0 only past the end */

static unsigned class_of(uint32_t code)
{
    if (code < 0x80) {
        if ((code | 32) - 'a' < 26)
            return LETTER;
        return code - '0' < 10 ? NUMBER : code == ' ' || code - 9 < 5 ? SPACE : OTHER;
    }
    if (code == 0x85 || code == 0xa0 || code == 0x1680 || code - 0x2000 <= 10 || code == 0x2028 ||
        code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000)
        return SPACE;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return LETTER;
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO ? NUMBER : OTHER;
}

size_t code_point(const unsigned char *text, size_t left, uint32_t *code)
{
    unsigned char lead = text[0];
    if (lead < 0x80 || left < 2)
        return *code = lead, 1;
    if (lead < 0xe0 || left < 3)
        return *code = (lead & 0x1fu) << 6 | (text[1] & 0x3fu), 2;
    if (lead < 0xf0 || left < 4)
        return *code = (lead & 0x0fu) << 12 | (text[1] & 0x3fu) << 6 | (text[2] & 0x3fu), 3;
    *code = (lead & 0x07u) << 18 | (text[1] & 0x3fu) << 12 | (text[2] & 0x3fu) << 6 | (text[3] & 0x3fu);
    return 4;
}

/* One character at a time; `class` is 0 at the end. */
struct cursor {
    const unsigned char *text;
    size_t at, end, len; /* len: of the character here */
    uint32_t code;
    unsigned class;
};

static void look(struct cursor *c)
{
    c->len = c->class = 0;
    c->code = UINT32_MAX;
    if (c->at < c->end) {
        c->len = code_point(c->text + c->at, c->end - c->at, &c->code);
        c->class = class_of(c->code);
    }
}

static void next(struct cursor *c)
{
    c->at += c->len;
    look(c);
}

static struct cursor cursor_at(const unsigned char *text, size_t at, size_t end)
{
    struct cursor c = { .text = text, .at = at, .end = end };
    look(&c);
    return c;
}

static void skip(struct cursor *c, unsigned classes)
{
    while (c->class & classes)
        next(c);
}

/* 's 't 're 've 'm 'll 'd: the length of the one that begins here, or 0. `fold`: in capitals too. */
static size_t contraction(const struct cursor *c, bool fold)
{
    if (c->code != '\'' || c->end - c->at < 2)
        return 0;
    unsigned char bits = fold ? 32 : 0, a = c->text[c->at + 1] | bits;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (c->end - c->at < 3)
        return 0;
    unsigned char b = c->text[c->at + 2] | bits;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s+(?!\S)|\s+ from a blank on: all of them, but the last one if a word follows. */
static size_t blanks_end(struct cursor c)
{
    size_t last = c.at, n = 0;
    for (; c.class == SPACE; next(&c), n++)
        last = c.at;
    return n > 1 && c.class ? last : c.at;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t gpt2_word(const unsigned char *text, size_t from, size_t end)
{
    struct cursor c = cursor_at(text, from, end), body = c;
    size_t n = contraction(&c, false);
    if (n)
        return from + n;
    if (c.code == ' ')
        next(&body);
    if (body.class == LETTER || body.class == NUMBER || body.class == OTHER) {
        skip(&body, body.class);
        return body.at;
    }
    return blanks_end(c);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t lines_end(const struct cursor *from)
{
    size_t line = 0;
    for (struct cursor c = *from; c.class == SPACE; next(&c))
        if (c.code == '\r' || c.code == '\n')
            line = c.at + 1;
    return line ? line : blanks_end(*from);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t newer_word(const unsigned char *text, size_t from, size_t end, unsigned digits)
{
    struct cursor c = cursor_at(text, from, end), after = c;
    size_t n = contraction(&c, true);
    if (n)
        return from + n;
    next(&after);
    if (c.class == LETTER || (after.class == LETTER && c.class != NUMBER && c.code != '\r' && c.code != '\n'))
        return skip(&after, LETTER), after.at;
    if (c.class == NUMBER) {
        while (--digits && after.class == NUMBER)
            next(&after);
        return after.at;
    }
    struct cursor body = c.code == ' ' ? after : c;
    if (body.class == OTHER) {
        skip(&body, OTHER);
        while (body.code == '\r' || body.code == '\n')
            next(&body);
        return body.at;
    }
    return lines_end(&c);
}

static size_t llama3_word(const unsigned char *text, size_t from, size_t end)
{
    return newer_word(text, from, end, 3);
}

static size_t qwen2_word(const unsigned char *text, size_t from, size_t end)
{
    return newer_word(text, from, end, 1);
}

/* Granite is "refact". */
static const struct pretokenizer pretokenizers[] = {
    { "gpt-2", gpt2_word },
    { "smollm", gpt2_word, .digits_alone = true },
    { "refact", gpt2_word, .digits_alone = true },
    { "starcoder", gpt2_word, .digits_alone = true },
    { "command-r", gpt2_word, .digits_alone = true },
    { "codeshell", gpt2_word, .digits_alone = true },
    { "llama-bpe", llama3_word, .ignore_merges = true, .add_begin = true },
    { "llama3", llama3_word, .ignore_merges = true, .add_begin = true },
    { "llama-v3", llama3_word, .ignore_merges = true, .add_begin = true },
    { "dbrx", llama3_word },
    { "smaug-bpe", llama3_word },
    { "qwen2", qwen2_word },
    { "deepseek-r1-qwen", qwen2_word },
    { "mpt", gpt2_word },
    { "olmo", gpt2_word },
    { "phi-2", gpt2_word },
};

const struct pretokenizer *pretokenizer_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(pretokenizers); i++)
        if (str_eq(name, str_of(pretokenizers[i].name)))
            return &pretokenizers[i];
    return NULL;
}

const char *pretokenizer_names(void)
{
    return "gpt-2, smollm, refact, starcoder, command-r, codeshell, llama-bpe, llama3, llama-v3, dbrx, smaug-bpe, "
           "qwen2, deepseek-r1-qwen, mpt, olmo, phi-2";
}

size_t pretokenize(const struct pretokenizer *pre, const unsigned char *text, size_t from, size_t end)
{
    if (!pre->digits_alone)
        return pre->word_end(text, from, end);
    struct cursor c = cursor_at(text, from, end);
    if (c.class == NUMBER)
        return c.at + c.len;
    size_t word = pre->word_end(text, from, end);
    skip(&c, SPACE); /* how many blanks a word takes depends on what follows them all */
    while (c.at < word && c.class != NUMBER)
        next(&c);
    return c.class == NUMBER ? pre->word_end(text, from, c.at) : word;
}

/* The character at `bytes` as llama.cpp reads it: 0 if none begins there. */
static size_t lenient_character(const unsigned char *bytes, size_t left, uint32_t *code)
{
    unsigned char lead = bytes[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
    if (len == 0 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    code_point(bytes, left, code);
    return *code >= least[len] && *code <= 0x10ffff ? len : 0;
}

struct str text_repair(struct str text, struct strbuf *buf)
{
    if (utf8_is_valid(text))
        return text;
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t at = 0; at < text.len;) {
        uint32_t code;
        char out[4];
        size_t len = lenient_character(bytes + at, text.len - at, &code);
        strbuf_add(buf, (struct str){ out, utf8_encode(len ? code : 0xfffd, out) });
        at += len ? len : 1;
    }
    return strbuf_str(buf);
}
