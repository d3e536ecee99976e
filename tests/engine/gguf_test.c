/* Files from strangers: what is wrong in them is said, and nothing is read past their end. */
#include "engine/gguf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/mapping.h"
#include "tests/test.h"

/* A file in the making; numbers are written little-endian, as the machines that run this are. */
struct maker {
    struct strbuf bytes;
};

static void put(struct maker *m, const void *bytes, size_t len)
{
    strbuf_add(&m->bytes, (struct str){ bytes, len });
}
static void put_u32(struct maker *m, uint32_t value)
{
    put(m, &value, 4);
}
static void put_u64(struct maker *m, uint64_t value)
{
    put(m, &value, 8);
}
static void put_text(struct maker *m, const char *text)
{
    put_u64(m, strlen(text));
    put(m, text, strlen(text));
}
static void put_head(struct maker *m, uint32_t version, uint64_t tensors, uint64_t values)
{
    put(m, "GGUF", 4);
    put_u32(m, version);
    put_u64(m, tensors);
    put_u64(m, values);
}
static void put_tensor(struct maker *m, const char *name, uint32_t type, uint64_t cols, uint64_t rows,
                       uint64_t offset)
{
    put_text(m, name);
    put_u32(m, 2);
    put_u64(m, cols);
    put_u64(m, rows);
    put_u32(m, type);
    put_u64(m, offset);
}

static struct gguf *open_made(const struct maker *m, struct error **err)
{
    return gguf_open_bytes(m->bytes.ptr, m->bytes.len, err);
}

#define MAKER(name) AUTO(maker) struct maker name = { { 0 } }
static void maker_cleanup(struct maker *m)
{
    strbuf_free(&m->bytes);
}

/* One tensor "w" and the given room for it. */
static void make_one_tensor(struct maker *m, uint32_t type, uint64_t cols, uint64_t rows, uint64_t offset,
                            size_t room)
{
    static const char zeros[64];
    put_head(m, 3, 1, 0);
    put_tensor(m, "w", type, cols, rows, offset);
    while (m->bytes.len % 32)
        put(m, zeros, 1);
    for (; room >= 32; room -= 32)
        put(m, zeros, 32);
}

static void assert_refused(const struct maker *m, enum error_code code, const char *text)
{
    struct error *err = NULL;
    struct gguf *file = open_made(m, &err);
    assert_fails(file, err, code, text);
}

static void values_of_all_kinds_are_read(void **state)
{
    (void)state;
    MAKER(m);
    put_head(&m, 2, 0, 5);
    put_text(&m, "a.u32"), put_u32(&m, GGUF_U32), put_u32(&m, 7);
    put_text(&m, "a.i16"), put_u32(&m, GGUF_I16), put(&m, "\xfe\xff", 2);
    put_text(&m, "a.f64"), put_u32(&m, GGUF_F64), put(&m, (double[]){ 2.5 }, 8);
    put_text(&m, "a.text"), put_u32(&m, GGUF_STRING), put_text(&m, "text");
    put_text(&m, "a.list"), put_u32(&m, GGUF_ARRAY), put_u32(&m, GGUF_STRING), put_u64(&m, 2),
        put_text(&m, "x"), put_text(&m, "yz");
    struct error *err = NULL;
    AUTO(gguf) struct gguf *file = open_made(&m, &err);
    assert_ok(file, err);
    uint32_t number;
    int64_t integer;
    float fraction;
    struct str text;
    size_t count;
    assert_true(gguf_get_u32(file, "a.u32", &number) && number == 7);
    assert_true(gguf_get_i64(file, "a.i16", &integer) && integer == -2);
    assert_false(gguf_get_u32(file, "a.i16", &number));
    assert_true(gguf_get_f32(file, "a.f64", &fraction) && fraction == 2.5f);
    assert_true(gguf_get_str(file, "a.text", &text));
    assert_str_equal(text, STR("text"));
    struct str *list = gguf_get_strings(file, "a.list", &count);
    assert_int_equal(count, 2);
    assert_str_equal(list[1], STR("yz"));
    free(list);
    assert_null(gguf_get_ints(file, "a.list", &count));
    assert_null(gguf_find(file, "a.none"));
}

static void tensor_within_the_file_is_found(void **state)
{
    (void)state;
    MAKER(m);
    make_one_tensor(&m, TENSOR_Q4_1, 64, 3, 0, 128);
    struct error *err = NULL;
    AUTO(gguf) struct gguf *file = open_made(&m, &err);
    assert_ok(file, err);
    const struct gguf_tensor *tensor = gguf_tensor_find(file, "w");
    assert_int_equal(tensor->bytes, 2 * 3 * 20);
    assert_true((const char *)tensor->data + tensor->bytes <= m.bytes.ptr + m.bytes.len);
}

static void wrong_files_are_refused_with_the_reason(void **state)
{
    (void)state;
    struct {
        uint32_t type;
        uint64_t cols, rows, offset;
        const char *text;
    } cases[] = {
        { TENSOR_F32, 32, 2, 0, "ends past the file" },
        { TENSOR_F32, 32, 1, 64, "ends past the file" },
        { TENSOR_F32, 8, 1, UINT64_MAX - 31, "ends past the file" },
        { TENSOR_F32, 8, 1, 8, "not a multiple" },
        { TENSOR_Q4_0, 33, 1, 0, "not whole Q4_0 blocks" },
        { TENSOR_F32, 0, 1, 0, "dimension of 0" },
        { TENSOR_F32, UINT64_MAX / 2, 4, 0, "dimension" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        MAKER(m);
        make_one_tensor(&m, cases[i].type, cases[i].cols, cases[i].rows, cases[i].offset, 128);
        assert_refused(&m, ERROR_INVALID, cases[i].text);
    }
    MAKER(text);
    put(&text, "not a model at all, but long enough", 35);
    assert_refused(&text, ERROR_INVALID, "not a GGUF file");
    MAKER(old);
    put_head(&old, 1, 0, 0);
    assert_refused(&old, ERROR_UNSUPPORTED, "version 1");
    MAKER(many);
    put_head(&many, 3, 0, UINT64_MAX);
    assert_refused(&many, ERROR_INVALID, "metadata entries");
    MAKER(twice);
    put_head(&twice, 3, 0, 2);
    for (int i = 0; i < 2; i++)
        put_text(&twice, "key"), put_u32(&twice, GGUF_U8), put(&twice, "\1", 1);
    assert_refused(&twice, ERROR_INVALID, "\"key\" is there twice");
    MAKER(nested);
    put_head(&nested, 3, 0, 1);
    put_text(&nested, "key"), put_u32(&nested, GGUF_ARRAY), put_u32(&nested, GGUF_ARRAY), put_u64(&nested, 1),
        put_u64(&nested, 0);
    assert_refused(&nested, ERROR_INVALID, "unknown kind");
    MAKER(long_list);
    put_head(&long_list, 3, 0, 1);
    put_text(&long_list, "key"), put_u32(&long_list, GGUF_ARRAY), put_u32(&long_list, GGUF_F64),
        put_u64(&long_list, UINT64_MAX / 8 + 2);
    assert_refused(&long_list, ERROR_INVALID, "ends past the file");
}

static void every_cut_of_a_file_is_refused_or_read_within_its_end(void **state)
{
    (void)state;
    AUTO(text) char *path = xasprintf("%s/tiny-bpe.gguf", getenv("TEST_MODELS"));
    AUTO(strbuf) struct strbuf whole = { 0 };
    assert_true(file_read(path, 64 * 1024 * 1024, &whole, NULL));
    for (size_t len = 0; len < whole.len; len += len < 2000 ? 1 : 997) {
        char *cut = xmalloc(len + 1); /* of its own, so that ASan sees a step past it */
        memcpy(cut, whole.ptr, len);
        struct error *err = NULL;
        struct gguf *file = gguf_open_bytes(cut, len, &err);
        assert_fails(file, err, ERROR_INVALID, "");
        free(cut);
    }
}

/* ---- storage that fails under the map ---- */

static char *copy_of(const char *name)
{
    AUTO(text) char *path = xasprintf("%s/%s.gguf", getenv("TEST_MODELS"), name);
    AUTO(strbuf) struct strbuf bytes = { 0 };
    char *copy = xstrdup("/tmp/engine-gguf-test-XXXXXX");
    assert_true(file_read(path, 64 * 1024 * 1024, &bytes, NULL));
    int fd = mkstemp(copy);
    assert_int_equal(write(fd, bytes.ptr, bytes.len), (ssize_t)bytes.len);
    close(fd);
    return copy;
}

static void file_cut_short_while_mapped_is_an_error_not_the_end(void **state)
{
    (void)state;
    AUTO(text) char *path = copy_of("tiny-bpe");
    AUTO(mapping) struct mapping *mapping = mapping_open(path, NULL);
    assert_non_null(mapping);
    assert_int_equal(truncate(path, 4096), 0);
    assert_int_equal(mapping->bytes[3], 'F');
    assert_false(mapping_failed(mapping));
    assert_int_equal(mapping->bytes[mapping->len - 1], 0);
    assert_true(mapping_failed(mapping));
    unlink(path);
}

static void step_on_a_model_cut_short_fails_and_the_process_lives(void **state)
{
    (void)state;
    AUTO(text) char *path = copy_of("tiny-bpe");
    struct error *err = NULL;
    AUTO(engine) struct engine *engine = engine_open(path, NULL, &err);
    assert_ok(engine, err);
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
    assert_int_equal(truncate(path, 0), 0);
    struct engine_item item = { .sequence = sequence, .tokens = (int32_t[]){ 1, 2, 300 }, .count = 3 };
    assert_fails(engine_step(engine, &item, 1, &err), err, ERROR_IO, "cut short");
    assert_int_equal(engine_sequence_len(sequence), 0);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_all_kinds_are_read),
        cmocka_unit_test(tensor_within_the_file_is_found),
        cmocka_unit_test(wrong_files_are_refused_with_the_reason),
        cmocka_unit_test(every_cut_of_a_file_is_refused_or_read_within_its_end),
        cmocka_unit_test(file_cut_short_while_mapped_is_an_error_not_the_end),
        cmocka_unit_test(step_on_a_model_cut_short_fails_and_the_process_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
