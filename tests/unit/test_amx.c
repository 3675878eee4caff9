/* The AMX rows on any machine with AVX-512 BF16: their sources over emulated tiles, on all cases and against the
 * AVX-512 rows, with which int8 products agree to the last bit. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/case.h"
#include "kernels/dtype/quantize.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/support/random.h"
#include "tests/support/rows.h"

extern const pio_cpu_function emulated_functions[];
extern const int n_emulated_functions;

/* Copies of the AMX rows with emulated functions, for AVX-512; their number, 0 where the machine lacks that. */
static int emulated_rows(pio_row *out) {
    int n_rows, n = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        if (strcmp(rows[i]->isa, "AMX")) continue;
        assert_true(n < n_emulated_functions);
        assert_int_equal(rows[i]->features, PIO_CPU_AMX);
        out[n] = *rows[i];
        out[n].isa = "EMULATED";
        out[n].features = PIO_CPU_AVX512 | PIO_CPU_AVX512BF16;
        out[n].functions[0] = emulated_functions[n];
        n++;
    }
    assert_int_equal(n, n_emulated_functions);
    if (test_row_runs_here(&out[0])) return n;
    print_message("skipped: this machine lacks AVX-512 BF16\n");
    return 0;
}

enum { MAX_ROWS = 64 };

static void emulated_rows_pass_every_case(void **state) {
    (void)state;
    pio_row rows[MAX_ROWS];
    test_random random = test_random_begin("emulated_rows_pass_every_case");
    const uint64_t seed = test_random_u64(&random);
    assert_true(n_emulated_functions <= MAX_ROWS);
    const int n_rows = emulated_rows(rows);
    int n_failed = 0;
    for (int i = 0; i < n_rows; i++) {
        int served = 0, index = 0;
        pio_status status = PIO_OK;
        for (; !status; index++)
            for (int workers = 1; workers <= 5 && !status; workers += 2) {
                pio_case_result result;
                pio_error error = {0};
                char name[PIO_ROW_NAME_BYTES];
                status =
                    pio_case_run(&rows[i], NULL, index, seed + (uint64_t)index, workers, PIO_ENC_F32, &result, &error);
                if (status && status != PIO_NOT_FOUND) fail_msg("%s", error.text);
                if (status) break;
                served += result.outcome != PIO_CASE_NOT_SERVED;
                if (result.outcome != PIO_CASE_FAILED) continue;
                print_error("%s, case %d (%s), %d workers: %s\n", pio_row_name(&rows[i], name), index, result.name,
                            workers, result.text);
                n_failed++;
            }
        assert_true(served > 0);
    }
    assert_int_equal(n_failed, 0);
}

/* ---- against AVX-512 ---- */

typedef struct shape {
    int32_t bound, live, cols, n_out;
} shape;

/* A few tokens; one tile, two, groups with tiles of two sizes, units cut into parts, more groups than pass together,
 * several chunks of columns, blocks that end within a step, panels without a pair. A row is tried on those it serves.
 */
static const shape shapes[] = {
    {1, 1, 2560, 160},    {2, 2, 70, 33},       {8, 3, 9728, 48},    {8, 7, 300, 272},     {16, 5, 70, 48},
    {16, 16, 256, 33},    {17, 17, 544, 64},    {64, 61, 2560, 160}, {300, 290, 300, 272}, {520, 513, 512, 144},
    {1100, 1093, 96, 80}, {40, 33, 9728, 1100}, {48, 40, 3400, 530}, {24, 0, 64, 32},
};

static void *allocate(uint64_t bytes, int fill) {
    void *memory = aligned_alloc(64, PIO_ROUND_UP(bytes + 64, 64));
    assert_non_null(memory);
    return memset(memory, fill, PIO_ROUND_UP(bytes + 64, 64));
}

static void *random_weights(pio_layout layout, int32_t rows, int32_t cols, test_random *random) {
    const pio_layout_info *info = pio_layout_get(layout);
    pio_canonical canonical = {.dtype = info->dtype, .rows = rows, .cols = cols};
    float *w = allocate(4 * (uint64_t)rows * (uint64_t)cols, 0);
    void *scratch = allocate(pio_quantize_scratch(cols), 0), *packed = allocate(info->bytes(rows, cols), 0xff);
    for (int64_t i = 0; i < (int64_t)rows * cols; i++) w[i] = test_random_gaussian(random);
    canonical.codes = allocate(pio_canonical_code_bytes(info->dtype, rows, cols), 0);
    canonical.subs = allocate(pio_canonical_sub_bytes(info->dtype, rows, cols), 0);
    canonical.scales = allocate(pio_canonical_scale_bytes(info->dtype, rows, cols), 0);
    pio_quantize(0, PIO_DTYPE_F32, w, &canonical, scratch);
    pio_layout_pack(layout, &canonical, 0, packed, rows, cols);
    free(w), free(scratch), free(canonical.codes), free(canonical.subs), free(canonical.scales);
    return packed;
}

/* The row of the same op, layout and variant. */
static const pio_row *avx512_row(const pio_row *like) {
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++)
        if (rows[i]->op == like->op && rows[i]->layout == like->layout && !strcmp(rows[i]->isa, "AVX512") &&
            !strcmp(rows[i]->variant, like->variant))
            return rows[i];
    fail_msg("no AVX-512 row is like it");
    return NULL;
}

static void compare(const pio_row *row, const shape *s, test_random *random) {
    const bool swiglu = row->op == PIO_OP_LINEAR_SWIGLU;
    const int32_t n_out = swiglu ? PIO_ROUND_UP(s->n_out, 2 * PIO_SWIGLU_BLOCK) : s->n_out;
    const int32_t n_y = swiglu ? n_out / 2 : n_out, live = s->live;
    const int64_t x_stride = pio_encoding_stride(PIO_ENC_S8, s->cols), y_stride = pio_encoding_stride(PIO_ENC_F32, n_y);
    const uint64_t y_bytes = (uint64_t)s->bound * (uint64_t)y_stride;
    uint8_t *x = allocate((uint64_t)(s->bound * x_stride), 0xff), *packed;
    float *of_row = allocate(4 * (uint64_t)s->cols, 0), *residual = allocate(y_bytes, 0);
    for (int32_t t = 0; t < live; t++) {
        for (int32_t k = 0; k < s->cols; k++) of_row[k] = test_random_gaussian(random);
        pio_encode_row(PIO_ENC_S8, of_row, s->cols, x + t * x_stride);
    }
    for (uint64_t i = 0; i < y_bytes / 4; i++) residual[i] = test_random_gaussian(random);
    packed = random_weights(row->layout, n_out, s->cols, random);
    const pio_row *rows[2] = {row, avx512_row(row)};
    void *y[2];
    for (int i = 0; i < 2; i++) {
        y[i] = allocate(y_bytes, 0xff);
        pio_call call = {.op = row->op, .n_in = row->op == PIO_OP_LINEAR_ADD ? 4 : 3, .n_out = 1};
        call.n_workers = 1 + (int)test_random_below(random, 4);
        call.in[0] = (pio_operand){.address = (pio_addr)(uintptr_t)x, .rows = s->bound, .cols = s->cols};
        call.in[0].stride = x_stride, call.in[0].encoding = PIO_ENC_S8, call.in[0].live = (pio_addr)(uintptr_t)&live;
        call.in[1] = (pio_operand){.address = (pio_addr)(uintptr_t)packed, .rows = n_out, .cols = s->cols};
        call.in[1].layout = row->layout;
        call.in[3] = (pio_operand){.address = (pio_addr)(uintptr_t)residual, .rows = s->bound, .cols = n_y};
        call.out[0] = (pio_operand){.address = (pio_addr)(uintptr_t)y[i], .rows = s->bound, .cols = n_y};
        call.in[3].stride = call.out[0].stride = y_stride;
        test_row_run(rows[i], &call);
    }
    char name[PIO_ROW_NAME_BYTES];
    if (memcmp(y[0], y[1], y_bytes))
        fail_msg("%s, %d of %d rows, %d x %d: another result than AVX-512's", pio_row_name(row, name), s->live,
                 s->bound, n_out, s->cols);
    free(x), free(packed), free(of_row), free(residual), free(y[0]), free(y[1]);
}

static void int8_products_equal_those_of_avx512(void **state) {
    (void)state;
    pio_row rows[MAX_ROWS];
    test_random random = test_random_begin("int8_products_equal_those_of_avx512");
    const int n_rows = emulated_rows(rows);
    for (int i = 0; i < n_rows; i++) {
        const bool linear =
            rows[i].op == PIO_OP_LINEAR || rows[i].op == PIO_OP_LINEAR_ADD || rows[i].op == PIO_OP_LINEAR_SWIGLU;
        if (!linear || rows[i].acts != PIO_ENC_S8) continue;
        for (size_t s = 0; s < PIO_COUNT(shapes); s++)
            if (shapes[s].bound >= rows[i].min_rows && shapes[s].bound <= rows[i].max_rows)
                compare(&rows[i], &shapes[s], &random);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emulated_rows_pass_every_case),
        cmocka_unit_test(int8_products_equal_those_of_avx512),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
