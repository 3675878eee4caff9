#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hal/hal.h"
#include "kernels/dtype/layout.h"
#include "kernels/dtype/quantize.h"
#include "tests/support/random.h"

/* What this machine runs, worst first. */
static int feature_sets(uint32_t sets[3]) {
    int n = 0;
    sets[n++] = PIO_CPU_BASE;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c")) sets[n++] = PIO_CPU_AVX2;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512vnni"))
        sets[n++] = PIO_CPU_AVX2 | PIO_CPU_AVX512;
    return n;
}

static double uniform(test_random *r) {
    return ((double)(test_random_u64(r) >> 11) + 0.5) * 0x1p-53;
}

static double gaussian(test_random *r) {
    return sqrt(-2 * log(uniform(r))) * cos(6.283185307179586 * uniform(r));
}

static double student5(test_random *r) {
    double chi = 0;
    for (int i = 0; i < 5; i++) chi += pow(gaussian(r), 2);
    return gaussian(r) / sqrt(chi / 5);
}

static void *checked(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(p);
    memset(p, 0xa5, (bytes + 127) / 64 * 64);
    return p;
}

static pio_canonical planes_make(pio_dtype dtype, int32_t rows, int32_t cols) {
    pio_canonical c = {.dtype = dtype, .rows = rows, .cols = cols};
    c.codes = checked(pio_canonical_code_bytes(dtype, rows, cols));
    c.subs = dtype == PIO_DTYPE_Q4 ? checked(pio_canonical_sub_bytes(dtype, rows, cols)) : NULL;
    c.scales =
        dtype == PIO_DTYPE_Q4 || dtype == PIO_DTYPE_Q8 ? checked(pio_canonical_scale_bytes(dtype, rows, cols)) : NULL;
    return c;
}

static void planes_free(pio_canonical *c) {
    free(c->codes);
    free(c->subs);
    free(c->scales);
}

static double nmse(const pio_canonical *c, const float *x) {
    float *row = checked(sizeof *row * (size_t)c->cols);
    double error = 0, sum = 0;
    for (int32_t r = 0; r < c->rows; r++, x += c->cols) {
        pio_canonical_row(c, r, row);
        for (int32_t k = 0; k < c->cols; k++) error += pow(row[k] - x[k], 2), sum += pow(x[k], 2);
    }
    free(row);
    return error / sum;
}

/* Rows whose scales differ widely, with groups and blocks of zeros among them. */
static float *weights_make(test_random *r, int32_t rows, int32_t cols, double (*draw)(test_random *)) {
    float *x = checked(sizeof *x * (size_t)rows * (size_t)cols);
    for (int32_t i = 0; i < rows * cols; i++) x[i] = (float)(0.02 * draw(r));
    return x;
}

static void errors_are_small(void **state) {
    (void)state;
    test_random r = test_random_begin("errors_are_small");
    enum { ROWS = 64, COLS = 2560 };
    const struct {
        pio_dtype dtype;
        double (*draw)(test_random *);
        double least, most;
    } cases[] = {{PIO_DTYPE_Q4, gaussian, 5e-3, 6.2e-3},
                 {PIO_DTYPE_Q4, student5, 7e-3, 8.8e-3},
                 {PIO_DTYPE_Q8, gaussian, 2e-5, 6e-5},
                 {PIO_DTYPE_Q8, student5, 5e-5, 4e-4}};
    void *scratch = checked(pio_quantize_scratch(COLS));
    uint32_t sets[3];
    int n_sets = feature_sets(sets);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *x = weights_make(&r, ROWS, COLS, cases[i].draw);
        pio_canonical c = planes_make(cases[i].dtype, ROWS, COLS);
        assert_int_equal(pio_quantize(sets[n_sets - 1], PIO_DTYPE_F32, x, &c, scratch), -1);
        double error = nmse(&c, x);
        fprintf(stderr, "%s: %.3e\n", pio_dtype_name(cases[i].dtype), error);
        assert_true(error >= cases[i].least && error <= cases[i].most);
        planes_free(&c);
        free(x);
    }
    free(scratch);
}

static void compare(const pio_canonical *a, const pio_canonical *b) {
    assert_memory_equal(a->codes, b->codes, pio_canonical_code_bytes(a->dtype, a->rows, a->cols));
    if (a->subs) assert_memory_equal(a->subs, b->subs, pio_canonical_sub_bytes(a->dtype, a->rows, a->cols));
    if (a->scales) assert_memory_equal(a->scales, b->scales, pio_canonical_scale_bytes(a->dtype, a->rows, a->cols));
}

/* Blocks of every kind: ordinary, tiny, huge, zero, one value alone, groups of very different sizes. */
static float strange(test_random *r, int32_t k, uint64_t kind) {
    double x = gaussian(r);
    switch (kind % 7) {
    case 0:
        return (float)(x * 1e-36);
    case 1:
        return (float)(x * 1e37);
    case 2:
        return 0;
    case 3:
        return k % 256 == 77 ? (float)x : 0;
    case 4:
        return (float)(x * pow(10, k / 32 % 8));
    case 5:
        return (float)(x * x * x);
    default:
        return (float)x;
    }
}

static void all_instruction_sets_agree(void **state) {
    (void)state;
    test_random r = test_random_begin("all_instruction_sets_agree");
    static const int32_t columns[] = {1, 31, 32, 33, 96, 256, 300, 512, 736, 2560};
    static const pio_dtype from[] = {PIO_DTYPE_F32, PIO_DTYPE_BF16, PIO_DTYPE_F16};
    static const pio_dtype to[] = {PIO_DTYPE_F32, PIO_DTYPE_BF16, PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    enum { ROWS = 21 };
    uint32_t sets[3];
    int n_sets = feature_sets(sets);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        int32_t cols = columns[i];
        void *scratch = checked(pio_quantize_scratch(cols));
        float *x = checked(4 * ROWS * (size_t)cols);
        uint16_t *narrow = checked(2 * ROWS * (size_t)cols);
        for (int f = 0; f < 3; f++) {
            for (int32_t row = 0; row < ROWS; row++) {
                uint64_t kind = test_random_u64(&r);
                for (int32_t k = 0; k < cols; k++) {
                    float *at = &x[row * cols + k];
                    *at = strange(&r, k, kind);
                    if (from[f] == PIO_DTYPE_F16) *at = fabsf(*at) > 60000 ? 60000 : *at;
                    narrow[row * cols + k] = from[f] == PIO_DTYPE_F16 ? pio_f32_to_f16(*at) : pio_f32_to_bf16(*at);
                }
            }
            for (int t = 0; t < 4; t++) {
                pio_canonical first = planes_make(to[t], ROWS, cols);
                for (int s = 0; s < n_sets; s++) {
                    pio_canonical c = planes_make(to[t], ROWS, cols);
                    const void *source = from[f] == PIO_DTYPE_F32 ? (const void *)x : narrow;
                    assert_int_equal(pio_quantize(sets[s], from[f], source, s ? &c : &first, scratch), -1);
                    if (s) compare(&first, &c);
                    planes_free(&c);
                }
                planes_free(&first);
            }
        }
        free(narrow);
        free(x);
        free(scratch);
    }
}

static void what_is_not_finite_is_found(void **state) {
    (void)state;
    test_random r = test_random_begin("what_is_not_finite_is_found");
    enum { ROWS = 5, COLS = 333 };
    float x[ROWS * COLS];
    void *scratch = checked(pio_quantize_scratch(COLS));
    uint32_t sets[3];
    int n_sets = feature_sets(sets);
    for (int i = 0; i < 30; i++) {
        for (int k = 0; k < ROWS * COLS; k++) x[k] = (float)gaussian(&r);
        int64_t at = (int64_t)test_random_below(&r, ROWS * COLS);
        x[at] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
        if (at + 1 < ROWS * COLS) x[at + 1] = INFINITY;
        pio_canonical c = planes_make(i % 2 ? PIO_DTYPE_Q4 : PIO_DTYPE_BF16, ROWS, COLS);
        assert_int_equal(pio_quantize(sets[i % n_sets], PIO_DTYPE_F32, x, &c, scratch), at);
        planes_free(&c);
    }
    free(scratch);
}

/* bf16 rows are copied as they are, or looked through where they lie. */
static void bf16_stays_as_it_is(void **state) {
    (void)state;
    test_random r = test_random_begin("bf16_stays_as_it_is");
    uint32_t sets[3];
    const int n_sets = feature_sets(sets);
    for (int i = 0; i < 60; i++) {
        const int32_t rows = 1 + (int32_t)test_random_below(&r, 6), cols = 1 + (int32_t)test_random_below(&r, 700);
        const int64_t n = (int64_t)rows * cols, at = (int64_t)test_random_below(&r, (uint64_t)n);
        const bool in_place = i % 2, spoilt = i % 3 == 0;
        uint16_t *x = checked(2 * (size_t)n), *wanted = checked(2 * (size_t)n);
        for (int64_t k = 0; k < n; k++) /* any but infinities and NaN, of either sign */
            x[k] = (uint16_t)(test_random_below(&r, 0x7f80) | test_random_below(&r, 2) << 15);
        if (spoilt) x[at] = (uint16_t)(0x7f80 | (i % 2 ? 0x8000 : 0) | test_random_below(&r, 0x80));
        memcpy(wanted, x, 2 * (size_t)n);
        void *scratch = checked(pio_quantize_scratch(cols));
        pio_canonical c = planes_make(PIO_DTYPE_BF16, rows, cols);
        if (in_place) memcpy(c.codes, x, 2 * (size_t)n);
        assert_int_equal(pio_quantize(sets[i % n_sets], PIO_DTYPE_BF16, in_place ? c.codes : x, &c, scratch),
                         spoilt ? at : -1);
        if (!spoilt) assert_memory_equal(c.codes, wanted, 2 * (size_t)n);
        planes_free(&c);
        free(x), free(wanted), free(scratch);
    }
}

/* Every layout reads back what the canonical rows say, packed at once and panel by panel. */
static void layouts_round_trip(void **state) {
    (void)state;
    test_random r = test_random_begin("layouts_round_trip");
    static const int32_t shapes[][2] = {{1, 1},    {3, 33},   {16, 32}, {17, 96},
                                        {33, 300}, {40, 256}, {5, 736}, {31, 1057}};
    for (int layout = PIO_LAYOUT_NONE + 1; layout < PIO_LAYOUT_COUNT; layout++) {
        const pio_layout_info *info = pio_layout_get((pio_layout)layout);
        if (!info->panel_rows || info->bytes(16, 32) == 0) continue;
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            int32_t rows = shapes[i][0], cols = shapes[i][1];
            float *x = weights_make(&r, rows, cols, gaussian), *want = checked(4 * (size_t)cols),
                  *got = checked(4 * (size_t)cols);
            void *scratch = checked(pio_quantize_scratch(cols));
            pio_canonical c = planes_make(info->dtype, rows, cols);
            assert_int_equal(pio_quantize(PIO_CPU_BASE, PIO_DTYPE_F32, x, &c, scratch), -1);
            size_t bytes = info->bytes(rows, cols);
            uint8_t *packed = checked(bytes), *parts = checked(bytes);
            pio_layout_pack((pio_layout)layout, &c, 0, packed, rows, cols);
            for (int32_t first = 0; first < rows; first += info->panel_rows) {
                pio_canonical part = c;
                part.rows = PIO_MIN(info->panel_rows, rows - first);
                part.codes = (uint8_t *)c.codes + pio_canonical_code_bytes(c.dtype, first, cols);
                if (c.subs) part.subs = c.subs + pio_canonical_sub_bytes(c.dtype, first, cols);
                if (c.scales) part.scales = c.scales + pio_canonical_scale_bytes(c.dtype, first, cols) / 2;
                pio_layout_pack((pio_layout)layout, &part, first, parts, rows, cols);
            }
            assert_memory_equal(packed, parts, bytes);
            for (int32_t row = 0; row < rows; row++) {
                pio_canonical_row(&c, row, want);
                info->unpack_row(packed, rows, cols, row, got);
                assert_memory_equal(want, got, 4 * (size_t)cols);
            }
            planes_free(&c);
            free(x), free(want), free(got), free(scratch), free(packed), free(parts);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_small),
        cmocka_unit_test(all_instruction_sets_agree),
        cmocka_unit_test(what_is_not_finite_is_found),
        cmocka_unit_test(bf16_stays_as_it_is),
        cmocka_unit_test(layouts_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
