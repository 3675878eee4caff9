/* Linear layers on bf16 and float32 weights: every row of this machine against the reference, and the packed layout. */
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear.h"
#include "tests/support/random.h"
#include "tests/support/rows.h"

typedef struct shape {
    int32_t bound, live, cols, n_out;
    float x_scale, w_scale;
} shape;

/* Bounds 1..8 reach the streaming kernels, the others the tiled ones, 1100 tokens and 1090 outputs every way of cutting
 * them up. */
static const shape shapes[] = {
    {1, 1, 96, 1, 1, 0.1f},        {1, 1, 2560, 272, 1, 0.02f}, {2, 2, 129, 33, 1, 0.1f},
    {3, 3, 300, 50, 1, 0.05f},     {4, 4, 1, 64, 1, 1},         {5, 5, 384, 100, 1, 0.05f},
    {6, 6, 735, 81, 1, 0.05f},     {7, 7, 1056, 31, 1, 0.05f},  {8, 8, 256, 96, 1, 0.06f},
    {8, 3, 200, 65, 1, 0.06f},     {9, 9, 96, 17, 1, 0.1f},     {16, 11, 384, 130, 1, 0.05f},
    {17, 17, 301, 95, 1, 0.05f},   {64, 50, 2560, 33, 1, 0.2f}, {40, 40, 9729, 20, 1, 0.01f},
    {100, 100, 127, 260, 1, 0.1f}, {100, 13, 512, 15, 1e3f, 5}, {16, 1, 33, 5, 1, 0.2f},
    {128, 121, 1, 3, 1, 1},        {3, 0, 64, 16, 1, 0.1f},     {1100, 1093, 64, 40, 1, 1},
    {24, 0, 64, 16, 1, 0.1f},      {13, 13, 6000, 48, 1, 0.1f}, {97, 97, 1301, 1090, 1, 0.1f},
};

static void *allocate(uint64_t bytes) {
    void *memory = aligned_alloc(64, PIO_ROUND_UP(bytes + 64, 64));
    assert_non_null(memory);
    return memset(memory, 0xff, PIO_ROUND_UP(bytes + 64, 64)); /* NaN */
}

/* The operands of a shape: what a row reads, and the same values as the reference reads them. */
typedef struct problem {
    const shape *s;
    int32_t n_out, n_y, live;
    float *x, *w, *bias, *residual, *y, *expected; /* activations: [bound, stride], NaN past the live rows */
    uint16_t *w_bf16;
    int32_t x_stride, y_stride; /* in floats */
} problem;

static void gaussians(test_random *random, float *x, int32_t rows, int32_t cols, int32_t stride, float scale) {
    for (int32_t r = 0; r < rows; r++)
        for (int32_t c = 0; c < cols; c++)
            x[(size_t)r * (size_t)stride + (size_t)c] = scale * test_random_gaussian(random);
}

static void make(problem *p, const shape *s, pio_op op, test_random *random) {
    *p = (problem){.s = s, .n_out = s->n_out, .live = s->live};
    if (op == PIO_OP_LINEAR_SWIGLU) p->n_out = PIO_ROUND_UP(s->n_out, 2 * PIO_SWIGLU_BLOCK);
    p->n_y = op == PIO_OP_LINEAR_SWIGLU ? p->n_out / 2 : p->n_out;
    p->x_stride = PIO_ROUND_UP(s->cols, 16) + 16 * (int32_t)test_random_below(random, 2);
    p->y_stride = PIO_ROUND_UP(p->n_y, 16) + 16 * (int32_t)test_random_below(random, 2);
    size_t n_x = (size_t)s->bound * (size_t)p->x_stride, n_y = (size_t)s->bound * (size_t)p->y_stride;
    size_t n_w = (size_t)p->n_out * (size_t)s->cols;
    p->x = allocate(4 * n_x), p->w = allocate(4 * n_w), p->w_bf16 = allocate(2 * n_w);
    p->bias = allocate(4 * (size_t)p->n_out), p->residual = allocate(4 * n_y);
    p->y = allocate(4 * n_y), p->expected = allocate(4 * n_y);
    gaussians(random, p->x, s->live, s->cols, p->x_stride, s->x_scale);
    gaussians(random, p->w, p->n_out, s->cols, s->cols, s->w_scale);
    gaussians(random, p->bias, 1, p->n_out, p->n_out, s->x_scale);
    gaussians(random, p->residual, s->live, p->n_y, p->y_stride, s->x_scale);
}

static void drop(problem *p) {
    free(p->x), free(p->w), free(p->w_bf16), free(p->bias), free(p->residual), free(p->y), free(p->expected);
}

static pio_operand operand(const void *at, int32_t rows, int32_t cols, int64_t stride) {
    return (pio_operand){.address = (pio_addr)(uintptr_t)at, .rows = rows, .cols = cols, .stride = stride};
}

/* Packs w in one go or, where it has several panels, in two. */
static void *pack(const problem *p, pio_layout layout, test_random *random) {
    const pio_layout_info *info = pio_layout_get(layout);
    void *packed = allocate(info->bytes(p->n_out, p->s->cols));
    size_t element_bytes = info->dtype == PIO_DTYPE_F32 ? 4 : 2;
    const void *elements = info->dtype == PIO_DTYPE_F32 ? (const void *)p->w : (const void *)p->w_bf16;
    int32_t n_panels = PIO_CEIL_DIV(p->n_out, info->panel_rows);
    int32_t cut = (int32_t)test_random_below(random, (uint64_t)n_panels) * info->panel_rows;
    for (int32_t first = 0; first<p->n_out; first = cut> first ? cut : p->n_out) {
        int32_t n = (cut > first ? cut : p->n_out) - first;
        pio_canonical part = {.dtype = info->dtype, .rows = n, .cols = p->s->cols};
        part.codes = (uint8_t *)(uintptr_t)elements + element_bytes * (size_t)first * (size_t)p->s->cols;
        pio_layout_pack(layout, &part, first, packed, p->n_out, p->s->cols);
    }
    return packed;
}

static size_t at(int32_t r, int32_t stride, int32_t c) {
    return (size_t)r * (size_t)stride + (size_t)c;
}

/* Live outputs are near the reference's and everything else is as it was. */
static void compare(const problem *p, const char *name) {
    double error = 0, size = 0;
    for (int32_t t = 0; t < p->s->bound; t++)
        for (int32_t i = 0; i < p->y_stride; i++) {
            float y = p->y[at(t, p->y_stride, i)], e = p->expected[at(t, p->y_stride, i)];
            if (t >= p->live || i >= p->n_y) {
                uint32_t bits;
                memcpy(&bits, &y, 4);
                assert_int_equal(bits, 0xffffffffu);
                continue;
            }
            error += ((double)y - (double)e) * ((double)y - (double)e);
            size += (double)e * (double)e;
        }
    /* A lone sum may cancel; then such sums' usual size counts. */
    if (p->live * p->n_y == 1) size = fmax(size, p->s->cols * pow((double)p->s->x_scale * (double)p->s->w_scale, 2));
    if (!(error <= 1e-10 * size))
        fail_msg("%s, %d of %d rows, %d x %d: error %g", name, p->live, p->s->bound, p->n_out, p->s->cols,
                 error / size);
}

/* Runs the row and the reference on the same values. */
static void run_row(problem *p, const pio_row *row, test_random *random) {
    char name[PIO_ROW_NAME_BYTES];
    const shape *s = p->s;
    bool bf16 = pio_layout_get(row->layout)->dtype == PIO_DTYPE_BF16, in_place = test_random_below(random, 2);
    for (size_t i = 0; bf16 && i < (size_t)p->n_out * (size_t)s->cols; i++) {
        p->w_bf16[i] = pio_f32_to_bf16(p->w[i]);
        p->w[i] = pio_bf16_to_f32(p->w_bf16[i]);
    }
    int64_t stride = row->acts == PIO_ENC_F32 ? 4 * (int64_t)p->x_stride : pio_encoding_stride(row->acts, s->cols);
    uint8_t *x = allocate((uint64_t)s->bound * (uint64_t)stride);
    float *decoded = allocate((uint64_t)s->cols * 4);
    for (int32_t t = 0; t < s->live; t++) {
        pio_encode_row(row->acts, p->x + at(t, p->x_stride, 0), s->cols, x + t * stride);
        pio_decode_row(row->acts, x + t * stride, s->cols, decoded);
        memcpy(p->x + at(t, p->x_stride, 0), decoded, 4 * (size_t)s->cols);
    }
    void *packed = pack(p, row->layout, random);
    pio_call call = {.op = row->op, .n_in = row->op == PIO_OP_LINEAR_ADD ? 4 : 3, .n_out = 1};
    call.n_workers = 1 + (int)test_random_below(random, 3);
    call.in[1] = operand(p->w, p->n_out, s->cols, 0);
    if (row->op != PIO_OP_LINEAR_SWIGLU && test_random_below(random, 2)) call.in[2] = operand(p->bias, 1, p->n_out, 0);
    call.in[0] = operand(p->x, s->bound, s->cols, 4 * (int64_t)p->x_stride);
    call.in[0].live = (pio_addr)(uintptr_t)&p->live;
    call.in[3] = operand(p->residual, s->bound, p->n_y, 4 * (int64_t)p->y_stride);
    call.out[0] = operand(p->expected, s->bound, p->n_y, 4 * (int64_t)p->y_stride);
    call.in[1].layout = PIO_LAYOUT_F32_ROWS;
    test_reference_run(&call);
    call.in[0] = operand(x, s->bound, s->cols, stride);
    call.in[0].encoding = row->acts;
    call.in[0].live = (pio_addr)(uintptr_t)&p->live;
    call.in[1].address = (pio_addr)(uintptr_t)packed;
    call.in[1].layout = row->layout;
    memset(p->y, 0xff, (size_t)s->bound * (size_t)p->y_stride * 4);
    if (row->op == PIO_OP_LINEAR_ADD && in_place) {
        memcpy(p->y, p->residual, (size_t)s->bound * (size_t)p->y_stride * 4);
        call.in[3].address = (pio_addr)(uintptr_t)p->y;
    }
    call.out[0].address = (pio_addr)(uintptr_t)p->y;
    test_row_run(row, &call);
    compare(p, pio_row_name(row, name));
    free(x), free(decoded), free(packed);
}

static bool is_ours(const pio_row *row) {
    if (row->op != PIO_OP_LINEAR && row->op != PIO_OP_LINEAR_ADD && row->op != PIO_OP_LINEAR_SWIGLU) return false;
    pio_dtype dtype = pio_layout_get(row->layout)->dtype;
    return dtype == PIO_DTYPE_BF16 || dtype == PIO_DTYPE_F32;
}

static void rows_equal_the_reference(void **state) {
    (void)state;
    test_random random = test_random_begin("rows_equal_the_reference");
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        char name[PIO_ROW_NAME_BYTES];
        if (!is_ours(rows[i])) continue;
        if (!test_row_runs_here(rows[i])) {
            print_message("skipped: %s\n", pio_row_name(rows[i], name));
            continue;
        }
        int served = 0;
        for (size_t c = 0; c < PIO_COUNT(shapes); c++) {
            if (shapes[c].bound < rows[i]->min_rows || shapes[c].bound > rows[i]->max_rows) continue;
            problem p;
            make(&p, &shapes[c], rows[i]->op, &random);
            run_row(&p, rows[i], &random);
            drop(&p);
            served++;
        }
        assert_true(served > 0);
    }
}

/* Whoever takes next, every number is given out once; and where a worker's share is long, its first run is half of it.
 */
static void runs_cover_everything_once(void **state) {
    (void)state;
    enum { MOST_WORKERS = 17, MOST = 3000 };
    static unsigned char times[MOST];
    test_random random = test_random_begin("runs_cover_everything_once");
    for (int round = 0; round < 400; round++) {
        const int n = 1 + (int)test_random_below(&random, MOST_WORKERS);
        const int32_t total = (int32_t)test_random_below(&random, round % 2 ? 40 : MOST), least = 1 + round % 5;
        pio_worker workers[MOST_WORKERS];
        bool done[MOST_WORKERS] = {false};
        atomic_int next = 0;
        memset(times, 0, sizeof times);
        for (int w = 0; w < n; w++) workers[w] = (pio_worker){.index = w, .n_workers = n, .next = &next};
        for (int n_done = 0; n_done < n;) {
            const int w = (int)test_random_below(&random, (uint64_t)n);
            int32_t first, end;
            if (done[w]) continue;
            const bool is_first = !workers[w].taken;
            done[w] = !pio_linear_take_run(&workers[w], total, least, &first, &end);
            n_done += done[w];
            if (done[w]) continue;
            assert_in_range(end, first + 1, total);
            if (is_first && total >= 2 * n * least) assert_in_range(end - first, 1, PIO_CEIL_DIV(total, 2 * n));
            for (int32_t i = first; i < end; i++) times[i]++;
        }
        for (int32_t i = 0; i < total; i++) assert_int_equal(times[i], 1);
    }
}

static void bf16_x16_keeps_every_element(void **state) {
    (void)state;
    test_random random = test_random_begin("bf16_x16_keeps_every_element");
    const pio_layout_info *info = pio_layout_get(PIO_LAYOUT_BF16_X16);
    for (int i = 0; i < 60; i++) {
        int32_t rows = 1 + (int32_t)test_random_below(&random, 70), cols = 1 + (int32_t)test_random_below(&random, 90);
        shape s = {1, 1, cols, rows, 1, 1};
        problem p;
        make(&p, &s, PIO_OP_LINEAR, &random);
        for (size_t k = 0; k < (size_t)(rows * cols); k++) p.w_bf16[k] = (uint16_t)(test_random_below(&random, 0x7f80));
        assert_int_equal(info->bytes(rows, cols),
                         (uint64_t)PIO_ROUND_UP(rows, 16) * PIO_ROUND_UP((uint64_t)cols, 2) * 2);
        uint16_t *packed = pack(&p, PIO_LAYOUT_BF16_X16, &random);
        uint64_t n_zeros = 0, n_weights = 0;
        for (uint64_t k = 0; k < info->bytes(rows, cols) / 2; k++) n_zeros += packed[k] == 0;
        for (int32_t r = 0; r < rows; r++) {
            info->unpack_row(packed, rows, cols, r, p.w);
            for (int32_t k = 0; k < cols; k++) {
                assert_int_equal(pio_f32_to_bf16(p.w[k]), p.w_bf16[at(r, cols, k)]);
                n_weights += p.w_bf16[at(r, cols, k)] != 0;
            }
        }
        assert_int_equal(info->bytes(rows, cols) / 2 - n_zeros, n_weights); /* padding is zeros */
        assert_int_equal(packed[info->bytes(rows, cols) / 2], 0xffff);
        free(packed);
        drop(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_equal_the_reference),
        cmocka_unit_test(runs_cover_everything_once),
        cmocka_unit_test(bf16_x16_keeps_every_element),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
