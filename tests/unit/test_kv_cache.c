/* The cache's layouts, and the appends: every row of this machine against the reference. */
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/kv_cache/kv_cache.h"
#include "tests/support/random.h"
#include "tests/support/rows.h"

enum { N_PAGES = 6, MOST_ROWS = 40 };

/* One step's append: random geometry, rows at random places of the cache. */
typedef struct problem {
    pio_kv_geometry geometry;
    int32_t n_heads, rope_dim, live, bound;
    int32_t counts[1], cache_rows[MOST_ROWS];
    size_t q_cols, kv_cols, qkv_cols;
    float *qkv, *table, *q, *q_expected, *norms; /* norms: [2, head_dim], or NULL */
    void *cache, *expected;
    uint64_t bytes_f32;
    pio_call call;
} problem;

static float *gaussian(test_random *random, size_t n) {
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = test_random_gaussian(random);
    return x;
}

static void make(problem *p, test_random *random) {
    static const int32_t head_dims[] = {16, 32, 64, 80, 128, 256};
    *p = (problem){.geometry = {1 + (int32_t)test_random_below(random, 4),
                                head_dims[test_random_below(random, PIO_COUNT(head_dims))],
                                64 * (1 + (int32_t)test_random_below(random, 3))}};
    const pio_kv_geometry *g = &p->geometry;
    p->n_heads = g->n_kv_heads * (1 + (int32_t)test_random_below(random, 8));
    p->rope_dim = 2 * (1 + (int32_t)test_random_below(random, (uint64_t)g->head_dim / 2));
    p->live = 1 + (int32_t)test_random_below(random, MOST_ROWS - 5);
    p->bound = p->live + (int32_t)test_random_below(random, 5);
    p->counts[0] = p->live;
    int32_t first = g->page_tokens + (int32_t)test_random_below(random, (uint64_t)g->page_tokens * 3);
    for (int32_t i = 0; i < p->bound; i++) p->cache_rows[i] = i < p->live ? first + i : i % g->page_tokens;
    p->q_cols = (size_t)(p->n_heads * g->head_dim);
    p->kv_cols = (size_t)(g->n_kv_heads * g->head_dim);
    p->qkv_cols = p->q_cols + 2 * p->kv_cols;
    p->qkv = gaussian(random, (size_t)p->bound * p->qkv_cols);
    p->table = gaussian(random, (size_t)(p->bound * p->rope_dim));
    p->norms = test_random_below(random, 4) ? gaussian(random, 2 * (size_t)g->head_dim) : NULL;
    p->q = malloc((size_t)p->bound * p->q_cols * 4);
    p->q_expected = malloc((size_t)p->bound * p->q_cols * 4);
    p->bytes_f32 = pio_kv_bytes(PIO_LAYOUT_KV_F32, g, N_PAGES);
    p->cache = malloc(p->bytes_f32); /* large enough for both layouts */
    p->expected = malloc(p->bytes_f32);
    p->call = (pio_call){.attrs = {.eps = 1e-5f,
                                   .n_heads = p->n_heads,
                                   .n_kv_heads = g->n_kv_heads,
                                   .head_dim = g->head_dim,
                                   .rope_dim = p->rope_dim,
                                   .page_tokens = g->page_tokens},
                         .step.cache_rows = (pio_addr)(uintptr_t)p->cache_rows};
}

static void drop(problem *p) {
    free(p->qkv);
    free(p->table);
    free(p->norms);
    free(p->q);
    free(p->q_expected);
    free(p->cache);
    free(p->expected);
}

static pio_operand operand(const void *x, size_t cols, const problem *p, size_t stride_cols) {
    return (pio_operand){.address = (pio_addr)(uintptr_t)x,
                         .rows = p->bound,
                         .cols = (int32_t)cols,
                         .stride = (int64_t)stride_cols * 4,
                         .live = (pio_addr)(uintptr_t)p->counts};
}

/* Binds the op's operands and runs it on a poisoned cache and output. */
static void append(problem *p, pio_op op, const pio_row *row, int n_workers, void *cache, float *q) {
    pio_call *call = &p->call;
    memset(cache, 0xff, p->bytes_f32);
    memset(q, 0xff, (size_t)p->bound * p->q_cols * 4);
    call->op = op;
    call->n_workers = n_workers;
    if (op == PIO_OP_KV_APPEND) { /* k and v as slices of qkv */
        call->in[0] = operand(p->qkv + p->q_cols, p->kv_cols, p, p->qkv_cols);
        call->in[1] = operand(p->qkv + p->q_cols + p->kv_cols, p->kv_cols, p, p->qkv_cols);
        call->in[2] = operand(cache, 0, p, 0);
    } else {
        call->in[0] = operand(p->qkv, p->qkv_cols, p, p->qkv_cols);
        call->in[1] = operand(p->norms, 0, p, 0);
        call->in[2] = operand(p->norms ? p->norms + p->geometry.head_dim : NULL, 0, p, 0);
        call->in[3] = operand(cache, 0, p, 0);
        call->in[4] = operand(p->table, (size_t)p->rope_dim, p, (size_t)p->rope_dim);
        call->out[0] = operand(q, p->q_cols, p, p->q_cols);
    }
    if (row)
        test_row_run(row, call);
    else
        test_reference_run(call);
}

static double nmse(const float *x, const float *expected, size_t n) {
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = (double)x[i] - (double)expected[i];
        error += difference * difference;
        power += (double)expected[i] * expected[i];
    }
    return error / power;
}

/* Every row of the cache outside page 0: those of the step are near the reference's (bf16 rounds by at most 2^-8 of a
 * number), the others were not touched. */
static void check_cache(const problem *p, const pio_row *row) {
    const pio_kv_geometry *g = &p->geometry;
    float *kv = malloc(4 * p->kv_cols * sizeof *kv), *expected = kv + 2 * p->kv_cols;
    for (int32_t c = g->page_tokens; c < N_PAGES * g->page_tokens; c++) {
        pio_kv_read_row(row->layout, g, p->cache, c, kv, kv + p->kv_cols);
        if (c >= p->cache_rows[0] && c < p->cache_rows[0] + p->live) {
            pio_kv_read_row(PIO_LAYOUT_KV_F32, g, p->expected, c, expected, expected + p->kv_cols);
            assert_true(nmse(kv, expected, 2 * p->kv_cols) <= (row->layout == PIO_LAYOUT_KV_F32 ? 1e-11 : 0x1p-16));
        } else {
            for (size_t i = 0; i < 2 * p->kv_cols; i++) assert_true(isnan(kv[i]));
        }
    }
    free(kv);
}

static void check_op(problem *p, pio_op op) {
    int n_rows, n_checked = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    append(p, op, NULL, 2, p->expected, p->q_expected);
    for (int i = 0; i < n_rows; i++) {
        if (rows[i]->op != op || !test_row_runs_here(rows[i])) continue;
        assert_true(!rows[i]->match || rows[i]->match(&p->call));
        append(p, op, rows[i], 1 + i % 3, p->cache, p->q);
        check_cache(p, rows[i]);
        if (op == PIO_OP_QK_NORM_ROPE_APPEND) {
            assert_true(nmse(p->q, p->q_expected, (size_t)p->live * p->q_cols) <= 1e-11);
            for (size_t at = (size_t)p->live * p->q_cols; at < (size_t)p->bound * p->q_cols; at++)
                assert_true(isnan(p->q[at]));
        }
        n_checked++;
    }
    assert_true(n_checked > 0);
}

static void appends_match_the_reference(void **state) {
    (void)state;
    test_random random = test_random_begin("appends_match_the_reference");
    for (int i = 0; i < 30; i++) {
        problem p;
        make(&p, &random);
        check_op(&p, PIO_OP_KV_APPEND);
        check_op(&p, PIO_OP_QK_NORM_ROPE_APPEND);
        drop(&p);
    }
}

/* The layouts hold each row apart: what was written is read back, whatever was written after it. */
static void rows_are_read_back(void **state) {
    (void)state;
    test_random random = test_random_begin("rows_are_read_back");
    const pio_kv_geometry g = {3, 80, 128};
    const size_t n = 3 * 80, n_cached = 3 * 128;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        pio_layout layout = bf16 ? PIO_LAYOUT_KV_BF16 : PIO_LAYOUT_KV_F32;
        float *kv = gaussian(&random, n_cached * 2 * n), *back = gaussian(&random, 2 * n);
        void *cache = malloc(pio_kv_bytes(layout, &g, 3));
        for (size_t c = 0; c < n_cached; c++)
            pio_kv_write_row(layout, &g, cache, (int32_t)c, kv + 2 * c * n, kv + (2 * c + 1) * n);
        for (size_t c = 0; c < n_cached; c++) {
            pio_kv_read_row(layout, &g, cache, (int32_t)c, back, back + n);
            for (size_t i = 0; i < 2 * n; i++) {
                float x = kv[2 * c * n + i];
                assert_true(back[i] == (bf16 ? pio_bf16_to_f32(pio_f32_to_bf16(x)) : x));
            }
        }
        free(kv);
        free(back);
        free(cache);
    }
}

static void bytes_are_exact_or_refused(void **state) {
    (void)state;
    const pio_kv_geometry g = {8, 128, 64}, huge = {1 << 30, 1 << 30, 1 << 30};
    assert_true(pio_kv_bytes(PIO_LAYOUT_KV_F32, &g, 5) == UINT64_C(5) * 64 * 8 * 128 * 2 * 4);
    assert_true(pio_kv_bytes(PIO_LAYOUT_KV_BF16, &g, 5) == UINT64_C(5) * 64 * 8 * 128 * 2 * 2);
    assert_true(pio_kv_bytes(PIO_LAYOUT_KV_BF16, &huge, 1) == UINT64_MAX);
    assert_true(pio_kv_bytes(PIO_LAYOUT_KV_BF16, &g, -1) == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_match_the_reference),
        cmocka_unit_test(rows_are_read_back),
        cmocka_unit_test(bytes_are_exact_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
