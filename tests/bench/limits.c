/* What this machine could do: the ceilings that benchmarks measure themselves against.
 *
 *   limits read MEGABYTES THREADS     GB/s of reading a buffer of this size over and over, each thread its own part
 *   limits int8 THREADS               Gop/s of 8-bit multiply-add with the widest instructions there are (2 ops each)
 *   limits fma THREADS                Gflop/s of 32-bit float multiply-add
 *
 * One line: median and best of 21 passes. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base.h"

enum { PASSES = 21, THREADS_MAX = 64, STEPS = 2000000 };

struct worker {
    pthread_t thread;
    unsigned index;
    const char *bytes; /* NULL: arithmetic */
    size_t len;
    double (*arithmetic)(long steps); /* → operations done */
    pthread_barrier_t *barrier;
    double seconds, done; /* of the last pass; operations, or bytes */
    volatile uint64_t sink;
};

#if defined __x86_64__
#include <immintrin.h>

__attribute__((target("avx2"))) static uint64_t read_bytes(const char *p, size_t n)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i + 128 <= n; i += 128) {
        a = _mm256_xor_si256(a, _mm256_load_si256((const __m256i *)(p + i)));
        b = _mm256_xor_si256(b, _mm256_load_si256((const __m256i *)(p + i + 32)));
        c = _mm256_xor_si256(c, _mm256_load_si256((const __m256i *)(p + i + 64)));
        d = _mm256_xor_si256(d, _mm256_load_si256((const __m256i *)(p + i + 96)));
    }
    a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
    return (uint64_t)_mm256_extract_epi64(a, 0) ^ (uint64_t)_mm256_extract_epi64(a, 2);
}

/* Ten sums hide the latency; the empty asm keeps the compiler from folding the loop. */
#define TEN(TYPE, ZERO, STEP)                                                                                \
    TYPE r[10];                                                                                              \
    for (int k = 0; k < 10; k++)                                                                             \
        r[k] = ZERO;                                                                                         \
    for (long i = 0; i < steps; i++) {                                                                       \
        r[0] = STEP(r[0]), r[1] = STEP(r[1]), r[2] = STEP(r[2]), r[3] = STEP(r[3]), r[4] = STEP(r[4]);       \
        r[5] = STEP(r[5]), r[6] = STEP(r[6]), r[7] = STEP(r[7]), r[8] = STEP(r[8]), r[9] = STEP(r[9]);       \
        __asm__ volatile("" : "+x"(r[0]), "+x"(r[1]), "+x"(r[2]), "+x"(r[3]), "+x"(r[4]));                   \
        __asm__ volatile("" : "+x"(r[5]), "+x"(r[6]), "+x"(r[7]), "+x"(r[8]), "+x"(r[9]));                   \
    }

#define VNNI512(s) _mm512_dpbusd_epi32(s, x, y)
__attribute__((target("avx512f,avx512vnni"))) static double int8_avx512(long steps)
{
    __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
    TEN(__m512i, _mm512_setzero_si512(), VNNI512)
    return (double)steps * 10 * 128;
}

#define MADD256(s) _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), one))
__attribute__((target("avx2"))) static double int8_avx2(long steps)
{
    __m256i x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5), one = _mm256_set1_epi16(1);
    TEN(__m256i, _mm256_setzero_si256(), MADD256)
    return (double)steps * 10 * 64;
}

#define FMA512(s) _mm512_fmadd_ps(s, x, y)
__attribute__((target("avx512f"))) static double fma_avx512(long steps)
{
    __m512 x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
    TEN(__m512, _mm512_setzero_ps(), FMA512)
    return (double)steps * 10 * 32;
}

#define FMA256(s) _mm256_fmadd_ps(s, x, y)
__attribute__((target("avx2,fma"))) static double fma_avx2(long steps)
{
    __m256 x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(0.25f);
    TEN(__m256, _mm256_setzero_ps(), FMA256)
    return (double)steps * 10 * 16;
}

static double (*arithmetic_named(const char *name))(long)
{
    bool wide = __builtin_cpu_supports("avx512f");
    if (strcmp(name, "int8") == 0)
        return wide && __builtin_cpu_supports("avx512vnni") ? int8_avx512 : int8_avx2;
    return strcmp(name, "fma") == 0 ? (wide ? fma_avx512 : fma_avx2) : NULL;
}
#else
static uint64_t read_bytes(const char *p, size_t n)
{
    uint64_t sum[8] = { 0 };
    for (size_t i = 0; i + 64 <= n; i += 64)
        for (size_t k = 0; k < 8; k++)
            sum[k] ^= *(const uint64_t *)(const void *)(p + i + 8 * k);
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

typedef float quad __attribute__((vector_size(16)));
static double fma_quads(long steps)
{
    quad r[10] = { { 0 } }, x = { 0.5f, 0.5f, 0.5f, 0.5f }, y = { 0.25f, 0.25f, 0.25f, 0.25f };
    for (long i = 0; i < steps; i++)
        for (int k = 0; k < 10; k++) {
            r[k] = r[k] * x + y;
            __asm__ volatile("" : "+w"(r[k]));
        }
    return (double)steps * 10 * 8;
}

static double (*arithmetic_named(const char *name))(long)
{
    return strcmp(name, "fma") == 0 ? fma_quads : NULL;
}
#endif

static void one_pass(struct worker *w)
{
    pthread_barrier_wait(w->barrier);
    int64_t began = clock_mono_us();
    if (w->bytes)
        w->sink += read_bytes(w->bytes, w->len), w->done = (double)w->len;
    else
        w->done = w->arithmetic(STEPS);
    pthread_barrier_wait(w->barrier);
    w->seconds = (double)(clock_mono_us() - began) / 1e6;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 0) {
        unsigned skip = w->index % (unsigned)CPU_COUNT(&allowed), cpu = 0;
        for (; !CPU_ISSET(cpu, &allowed) || skip-- > 0; cpu++)
            ;
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    }
    one_pass(w); /* warm */
    one_pass(w);
    return NULL;
}

/* GB/s or Gop/s of all threads together. */
static double measure(struct worker *workers, unsigned n)
{
    pthread_barrier_t barrier;
    double done = 0, seconds = 0;
    pthread_barrier_init(&barrier, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        workers[i].barrier = &barrier;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
        seconds = workers[i].seconds > seconds ? workers[i].seconds : seconds;
    }
    pthread_barrier_destroy(&barrier);
    return done / seconds / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    bool reads = argc == 4 && strcmp(argv[1], "read") == 0;
    double (*arithmetic)(long) = argc == 3 ? arithmetic_named(argv[1]) : NULL;
    if (!reads && !arithmetic)
        return fprintf(stderr, "usage: limits read MEGABYTES THREADS | int8 THREADS | fma THREADS\n"), 2;
    unsigned n = (unsigned)strtoul(argv[argc - 1], NULL, 10);
    n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
    size_t len = reads ? strtoul(argv[2], NULL, 10) << 20 : 0;
    char *bytes = NULL;
    if (reads) {
        bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (len == 0 || bytes == MAP_FAILED)
            return perror("limits"), 1;
        madvise(bytes, len, MADV_HUGEPAGE);
        memset(bytes, 1, len);
    }
    struct worker workers[THREADS_MAX] = { 0 };
    double values[PASSES];
    for (unsigned i = 0; i < n; i++)
        workers[i] = (struct worker){ .index = i,
                                      .bytes = bytes ? bytes + len / n / 128 * 128 * i : NULL,
                                      .len = len / n / 128 * 128,
                                      .arithmetic = arithmetic };
    for (int i = 0; i < PASSES; i++)
        values[i] = measure(workers, n);
    qsort(values, PASSES, sizeof *values, by_value);
    printf("%.2f %.2f\n", values[PASSES / 2], values[PASSES - 1]);
    return 0;
}
