/* Every kernel of every instruction set gives the scalar one's bits, for odd sizes and odd numbers too. */
#include "engine/kernels/kernels.h"

#include <math.h>
#include <stdlib.h>

#include "engine/gguf.h"
#include "tests/test.h"

static const uint32_t types[] = { TENSOR_F32,  TENSOR_F16,  TENSOR_BF16, TENSOR_Q4_0,
                                  TENSOR_Q4_1, TENSOR_Q5_0, TENSOR_Q5_1, TENSOR_Q8_0,
                                  TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K };

/* The test's own numbers: the same ones on every machine. */
static uint32_t next_number(void)
{
    static uint64_t state = 42;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static float next_float(void)
{
    return (float)((int)(next_number() % 20001) - 10000) / 3000.0f;
}

static void *room(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0, bytes);
    return memory;
}

static float *floats(size_t n)
{
    float *x = room(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = next_float();
    return x;
}

/* Any bits are a valid block but for the halves, which are kept finite and small. */
static unsigned char *random_rows(uint32_t type, uint32_t rows, uint32_t cols)
{
    const struct tensor_traits *traits = tensor_traits(type);
    size_t blocks = (size_t)rows * (cols / traits->block);
    unsigned char *source = room(blocks * traits->bytes);
    for (size_t i = 0; i < blocks * traits->bytes; i++)
        source[i] = (unsigned char)next_number();
    for (size_t b = 0; b < blocks; b++) {
        unsigned char *block = source + b * traits->bytes;
        float value = next_float();
        if (type == TENSOR_F32)
            memcpy(block, &value, 4);
        else if (type == TENSOR_F16 || type == TENSOR_BF16)
            block[1] = (unsigned char)((block[1] & 0x81) | 0x38);
        else if (type == TENSOR_Q6_K)
            block[209] = (unsigned char)((block[209] & 0x83) | 0x20);
        else {
            block[1] = (unsigned char)((block[1] & 0x83) | 0x20);
            block[3] = (unsigned char)((block[3] & 0x83) | 0x24);
        }
    }
    return source;
}

static struct matrix make_matrix(uint32_t type, const unsigned char *source, uint32_t rows, uint32_t cols)
{
    const struct tensor_traits *traits = tensor_traits(type);
    struct matrix m = { .type = type,
                        .rows = rows,
                        .cols = cols,
                        .groups = (rows + LANES - 1) / LANES,
                        .group_bytes = packed_group_bytes(type, cols) };
    unsigned char *packed = room(m.groups * m.group_bytes);
    size_t row_bytes = (size_t)cols / traits->block * traits->bytes;
    for (uint32_t g = 0; g < m.groups; g++)
        packed_write_group(type, cols, MIN(rows - g * LANES, (uint32_t)LANES), source + g * LANES * row_bytes,
                           packed + g * m.group_bytes);
    m.packed = packed;
    return m;
}

static float *product_of(const struct kernels *k, const struct matrix *m, const float *x, uint32_t n,
                         bool add)
{
    struct activations a = { .rows = n,
                             .cols = m->cols,
                             .tile = k->tile,
                             .quants = room(activations_quant_bytes(n, m->cols)),
                             .floats = room((size_t)n * m->cols * sizeof(float)) };
    for (uint32_t first = 0; first < n; first += k->tile) {
        k->quantize(&a, x, m->cols, first, MIN(n - first, k->tile));
        k->arrange(&a, x, m->cols, first, MIN(n - first, k->tile));
    }
    float *out = room((size_t)n * m->rows * sizeof *out);
    for (size_t i = 0; i < (size_t)n * m->rows; i++)
        out[i] = (float)i;
    unsigned char *panel = room(multiply_panel_bytes(m->cols));
    struct product product = { .out = out, .stride = m->rows, .scale = add ? 0.22f : 1, .add = add };
    for (uint32_t g = 0; g < m->groups; g++)
        k->multiply(m, g, &a, &product, panel);
    free(a.quants);
    free(a.floats);
    free(panel);
    return out;
}

static void check_products(const struct kernels *k, const struct matrix *m, const float *x, uint32_t most)
{
    for (uint32_t n = 1; n <= most; n += n < 20 ? 1 : 13) {
        float *expected = product_of(&kernels_scalar, m, x, n, n % 2), *got = product_of(k, m, x, n, n % 2);
        assert_memory_equal(got, expected, (size_t)n * m->rows * sizeof *got);
        free(expected);
        free(got);
    }
}

static void products_are_the_same_bits_for_all_types_and_sizes(void **state)
{
    static const uint32_t rows[] = { 1, 2, 3, 7, 16, 37 };
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(types); t++)
        for (size_t r = 0; r < ARRAY_LEN(rows); r++)
            for (uint32_t cols = tensor_traits(types[t])->block == 256 ? 256 : 32; cols <= 512; cols *= 2) {
                unsigned char *source = random_rows(types[t], rows[r], cols);
                struct matrix m = make_matrix(types[t], source, rows[r], cols);
                float *x = floats(40 * cols);
                for (const struct kernels *const *k = kernels_all; *k; k++)
                    if ((*k)->can_run())
                        check_products(*k, &m, x, r == 1 ? 40 : 5);
                free(x);
                free(source);
                free((void *)m.packed);
            }
}

/* A token gives the same row whatever stands beside it. */
static void product_of_a_token_is_the_same_alone_and_in_company(void **state)
{
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        unsigned char *source = random_rows(types[t], 32, 256);
        struct matrix m = make_matrix(types[t], source, 32, 256);
        float *x = floats(35 * 256);
        for (const struct kernels *const *k = kernels_all; *k; k++) {
            float *all = (*k)->can_run() ? product_of(*k, &m, x, 35, false) : NULL;
            for (uint32_t i = 0; all && i < 35; i++) {
                float *alone = product_of(*k, &m, x + i * 256, 1, false);
                assert_memory_equal(alone, all + i * 32, 32 * sizeof *alone);
                free(alone);
            }
            free(all);
        }
        free(x);
        free(source);
        free((void *)m.packed);
    }
}

/* The error is that of 8-bit activations: a hundredth of the row's size, and none for float weights. */
static void products_are_near_those_of_the_dequantised_weights(void **state)
{
    (void)state;
    enum { ROWS = 16, COLS = 512 };
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        const struct tensor_traits *traits = tensor_traits(types[t]);
        unsigned char *source = random_rows(types[t], ROWS, COLS);
        struct matrix m = make_matrix(types[t], source, ROWS, COLS);
        float *x = floats(COLS), *row = room(COLS * sizeof *row),
              *got = product_of(&kernels_scalar, &m, x, 1, false);
        double error = 0, size = 0;
        for (int r = 0; r < ROWS; r++) {
            double exact = 0;
            dequantize_row(types[t], source + (size_t)r * COLS / traits->block * traits->bytes, row, COLS);
            for (int i = 0; i < COLS; i++)
                exact += (double)row[i] * (double)x[i];
            error += (exact - (double)got[r]) * (exact - (double)got[r]);
            size += exact * exact;
        }
        assert_true(sqrt(error / size) < (type_is_float(types[t]) ? 1e-5 : 0.02));
        free(x);
        free(row);
        free(got);
        free(source);
        free((void *)m.packed);
    }
}

static void all_halves_survive_the_way_to_float_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h, back = float_to_half(half_to_float(half));
        if ((half & 0x7fff) > 0x7c00)
            assert_true((back & 0x7fff) > 0x7c00);
        else
            assert_int_equal(back, half);
    }
    assert_int_equal(float_to_half(65520.0f), 0x7c00);
    assert_int_equal(float_to_half(65519.0f), 0x7bff);
    assert_int_equal(float_to_half(0x1p-25f), 0);
    assert_int_equal(float_to_half(0x1.8p-25f), 1);
}

enum { DIM = 96 };

static void vector_kernels_are_the_same_bits(void **state)
{
    (void)state;
    float *x = floats(DIM), *y = floats(DIM), *z = floats(DIM), a[DIM], b[DIM];
    for (int i = 0; i < DIM; i++)
        z[i] *= 30; /* for exp: far into both ends */
    for (const struct kernels *const *p = kernels_all; *p; p++) {
        const struct kernels *k = *p, *s = &kernels_scalar;
        if (!k->can_run())
            continue;
        s->rmsnorm(a, x, y, DIM, 1e-5f), k->rmsnorm(b, x, y, DIM, 1e-5f);
        assert_memory_equal(a, b, sizeof a);
        s->silu_multiply(a, z, y, DIM), k->silu_multiply(b, z, y, DIM);
        assert_memory_equal(a, b, sizeof a);
        memcpy(a, x, sizeof a), memcpy(b, x, sizeof b);
        s->rope_pairs(a, y, z, DIM), k->rope_pairs(b, y, z, DIM);
        s->rope_halves(a, y, z, DIM), k->rope_halves(b, y, z, DIM);
        s->scale_add(a, x, 0.3f, DIM), k->scale_add(b, x, 0.3f, DIM);
        s->scale(a, 1.7f, DIM), k->scale(b, 1.7f, DIM);
        assert_memory_equal(a, b, sizeof a);
        for (size_t n = 1; n <= DIM; n++) {
            memcpy(a, z, sizeof a), memcpy(b, z, sizeof b);
            assert_true(s->max(a, n) == k->max(b, n));
            assert_true(s->sum_exp(a, n, s->max(a, n)) == k->sum_exp(b, n, k->max(b, n)));
            s->softmax(a, n), k->softmax(b, n);
            assert_memory_equal(a, b, sizeof a);
        }
    }
    free(x);
    free(y);
    free(z);
}

static void exp_is_good_to_two_units_in_the_last_place(void **state)
{
    (void)state;
    for (float x = -63; x < 0; x += 0.01f) {
        double exact = exp((double)x), got = kernels_scalar.sum_exp((float[]){ x }, 1, 0);
        assert_true(fabs(got - exact) <= 2.4e-7 * exact);
    }
    assert_true(kernels_scalar.sum_exp((float[]){ 0 }, 1, 0) == 1);
    assert_true(kernels_scalar.sum_exp((float[]){ -INFINITY }, 1, 0) == 0);
}

/* ---- attention ---- */

enum { HEAD = 48, KEYS = 150, QUERIES = 13 };

struct cache {
    unsigned char *pages[(KEYS + PAGE - 1) / PAGE];
    float *queries, *keys, *values;
};

static struct cache *make_cache(const struct kernels *k)
{
    struct cache *c = xcalloc(1, sizeof *c);
    for (size_t i = 0; i < ARRAY_LEN(c->pages); i++)
        c->pages[i] = room(HEAD * PAGE * 4);
    for (uint32_t i = 0; i < KEYS; i++) {
        float key[HEAD], value[HEAD];
        for (int d = 0; d < HEAD; d++) {
            key[d] = sinf((float)(i * 7 + (uint32_t)d));
            value[d] = cosf((float)(i * 3 + (uint32_t)d)) * 5;
        }
        k->store_key(c->pages[i / PAGE], key, HEAD, i % PAGE);
        k->store_value(c->pages[i / PAGE], value, HEAD, i % PAGE);
    }
    return c;
}

static void free_cache(struct cache *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->pages); i++)
        free(c->pages[i]);
    free(c);
}

static void look(const struct kernels *k, const struct cache *c, const float *queries, uint32_t n,
                 const uint32_t *lengths, float *out)
{
    const float *q[QUERIES];
    float *o[QUERIES], *scratch = room(attend_scratch_floats(HEAD, n) * sizeof *scratch);
    for (uint32_t i = 0; i < n; i++) {
        q[i] = queries + i * HEAD;
        o[i] = out + i * HEAD;
    }
    k->attend(&(struct attend){ .head_dim = HEAD,
                                .n_queries = n,
                                .queries = q,
                                .outs = o,
                                .lengths = lengths,
                                .pages = (const unsigned char *const *)c->pages,
                                .scratch = scratch });
    free(scratch);
}

static void attention_is_the_same_bits_alone_in_company_and_on_all_instruction_sets(void **state)
{
    (void)state;
    struct cache *c = make_cache(&kernels_scalar);
    float *queries = floats(QUERIES * HEAD), expected[QUERIES * HEAD], got[QUERIES * HEAD];
    uint32_t lengths[QUERIES];
    for (uint32_t i = 0; i < QUERIES; i++)
        lengths[i] = 1 + i * (KEYS - 1) / (QUERIES - 1);
    look(&kernels_scalar, c, queries, QUERIES, lengths, expected);
    for (const struct kernels *const *k = kernels_all; *k; k++) {
        if (!(*k)->can_run())
            continue;
        struct cache *own = make_cache(*k);
        for (size_t i = 0; i < ARRAY_LEN(c->pages); i++)
            assert_memory_equal(own->pages[i], c->pages[i], HEAD * PAGE * 4);
        look(*k, own, queries, QUERIES, lengths, got);
        assert_memory_equal(got, expected, sizeof got);
        for (uint32_t i = 0; i < QUERIES; i++)
            look(*k, own, queries + i * HEAD, 1, lengths + i, got + i * HEAD);
        assert_memory_equal(got, expected, sizeof got);
        free_cache(own);
    }
    free(queries);
    free_cache(c);
}

static void attention_is_the_softmax_of_the_scores(void **state)
{
    (void)state;
    struct cache *c = make_cache(&kernels_scalar);
    float *query = floats(HEAD), got[HEAD];
    uint32_t length = KEYS;
    look(&kernels_scalar, c, query, 1, &length, got);
    for (int d = 0; d < HEAD; d++) {
        double sum = 0, weighted = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            const uint16_t *keys = (const uint16_t *)c->pages[i / PAGE], *values = keys + HEAD * PAGE;
            double score = 0;
            for (int e = 0; e < HEAD; e++)
                score += (double)half_to_float(keys[e * PAGE + i % PAGE]) * (double)query[e];
            sum += exp(score);
            weighted += exp(score) * (double)half_to_float(values[i % PAGE * HEAD + (uint32_t)d]);
        }
        assert_true(fabs(weighted / sum - (double)got[d]) < 1e-5);
    }
    free(query);
    free_cache(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_the_same_bits_for_all_types_and_sizes),
        cmocka_unit_test(product_of_a_token_is_the_same_alone_and_in_company),
        cmocka_unit_test(products_are_near_those_of_the_dequantised_weights),
        cmocka_unit_test(all_halves_survive_the_way_to_float_and_back),
        cmocka_unit_test(vector_kernels_are_the_same_bits),
        cmocka_unit_test(exp_is_good_to_two_units_in_the_last_place),
        cmocka_unit_test(attention_is_the_same_bits_alone_in_company_and_on_all_instruction_sets),
        cmocka_unit_test(attention_is_the_softmax_of_the_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
