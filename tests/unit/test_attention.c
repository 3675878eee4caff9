/* Attention: every row of this machine against the reference, and what must hold between ways of doing
 * the same step: chunks, splits, numbers of workers. */
#include "tests/support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/kv_cache/kv_cache.h"
#include "tests/support/random.h"
#include "tests/support/rows.h"

enum { MOST_SEQUENCES = 8 };

typedef struct shape {
    int32_t n_heads, n_kv_heads, head_dim, page_tokens, padding, n_sequences;
    int32_t context[MOST_SEQUENCES], n_rows[MOST_SEQUENCES];
    float q_scale;
} shape;

/* A step with its operands; the caches hold equal numbers. */
typedef struct problem {
    shape shape;
    int32_t live, bound, n_pages;
    size_t cols; /* of q */
    float *q, *y, *expected;
    void *cache_f32, *cache_bf16;
    int32_t *pages;
    pio_step_counts counts;
    pio_step_sequence sequences[MOST_SEQUENCES];
    pio_call call;
} problem;

static float *gaussian(test_random *random, size_t n, float scale) {
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = scale * test_random_gaussian(random);
    return x;
}

static void *poisoned(uint64_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(memory);
    return memset(memory, 0xff, bytes); /* NaN in float32 and in bf16 */
}

/* Shuffles the physical pages 1 .. n into `pages`. */
static void shuffle_pages(test_random *random, int32_t *pages, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        int32_t j = (int32_t)test_random_below(random, (uint64_t)i + 1);
        pages[i] = pages[j];
        pages[j] = i + 1;
    }
}

/* Writes random K and V to every row that a sequence has after the step. */
static void fill_caches(problem *p, test_random *random) {
    const pio_kv_geometry geometry = {p->shape.n_kv_heads, p->shape.head_dim, p->shape.page_tokens};
    size_t n = (size_t)(geometry.n_kv_heads * geometry.head_dim);
    for (int32_t s = 0; s < p->shape.n_sequences; s++) {
        for (int32_t c = 0; c < p->shape.context[s] + p->shape.n_rows[s]; c++) {
            float *k = gaussian(random, n, 1), *v = gaussian(random, n, 1);
            int32_t page = p->pages[p->sequences[s].first_page + c / geometry.page_tokens];
            int32_t row = page * geometry.page_tokens + c % geometry.page_tokens;
            pio_kv_write_row(PIO_LAYOUT_KV_BF16, &geometry, p->cache_bf16, row, k, v);
            pio_kv_read_row(PIO_LAYOUT_KV_BF16, &geometry, p->cache_bf16, row, k, v);
            pio_kv_write_row(PIO_LAYOUT_KV_F32, &geometry, p->cache_f32, row, k, v);
            free(k);
            free(v);
        }
    }
}

static void make(problem *p, test_random *random, const shape *s) {
    const pio_kv_geometry geometry = {s->n_kv_heads, s->head_dim, s->page_tokens};
    *p = (problem){.shape = *s, .cols = (size_t)(s->n_heads * s->head_dim), .counts.n_sequences = s->n_sequences};
    for (int32_t i = 0; i < s->n_sequences; i++) {
        p->sequences[i] = (pio_step_sequence){p->live, s->n_rows[i], s->context[i], p->n_pages};
        p->live += s->n_rows[i];
        p->n_pages += PIO_CEIL_DIV(s->context[i] + s->n_rows[i], s->page_tokens);
    }
    p->bound = p->live + s->padding;
    p->counts.n_tokens = p->live;
    p->pages = malloc((size_t)p->n_pages * sizeof *p->pages);
    shuffle_pages(random, p->pages, p->n_pages);
    p->cache_f32 = poisoned(pio_kv_bytes(PIO_LAYOUT_KV_F32, &geometry, p->n_pages + 1));
    p->cache_bf16 = poisoned(pio_kv_bytes(PIO_LAYOUT_KV_BF16, &geometry, p->n_pages + 1));
    fill_caches(p, random);
    p->q = gaussian(random, (size_t)p->bound * p->cols, s->q_scale);
    for (size_t i = (size_t)p->live * p->cols; i < (size_t)p->bound * p->cols; i++) p->q[i] = NAN;
    p->y = poisoned((size_t)p->bound * p->cols * 4);
    p->expected = poisoned((size_t)p->bound * p->cols * 4);
    pio_operand q = {.address = (pio_addr)(uintptr_t)p->q,
                     .rows = p->bound,
                     .cols = (int32_t)p->cols,
                     .stride = (int64_t)p->cols * 4,
                     .live = (pio_addr)(uintptr_t)&p->counts.n_tokens};
    p->call = (pio_call){.op = PIO_OP_ATTENTION, .n_in = 2, .n_out = 1, .in = {q}, .out = {q}};
    p->call.attrs = (pio_attrs){.scale = 1 / sqrtf((float)s->head_dim),
                                .n_heads = s->n_heads,
                                .n_kv_heads = s->n_kv_heads,
                                .head_dim = s->head_dim,
                                .page_tokens = s->page_tokens};
    p->call.step = (pio_step_addresses){.counts = (pio_addr)(uintptr_t)&p->counts,
                                        .sequences = (pio_addr)(uintptr_t)p->sequences,
                                        .pages = (pio_addr)(uintptr_t)p->pages};
}

static void drop(problem *p) {
    free(p->q);
    free(p->y);
    free(p->expected);
    free(p->cache_f32);
    free(p->cache_bf16);
    free(p->pages);
}

/* Runs `row` (NULL: the reference) into y. */
static void attend(problem *p, const pio_row *row, int n_workers, float *y) {
    bool bf16 = row && row->layout == PIO_LAYOUT_KV_BF16;
    p->call.n_workers = n_workers;
    p->call.in[1] = (pio_operand){.address = (pio_addr)(uintptr_t)(bf16 ? p->cache_bf16 : p->cache_f32)};
    p->call.out[0].address = (pio_addr)(uintptr_t)y;
    if (row)
        test_row_run(row, &p->call);
    else
        test_reference_run(&p->call);
}

static double nmse(const float *x, const float *expected, size_t n) {
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = (double)x[i] - (double)expected[i];
        if (!isfinite(x[i]) || !isfinite(expected[i])) return INFINITY;
        error += difference * difference;
        power += (double)expected[i] * expected[i];
    }
    return power > 0 ? error / power : error;
}

/* The rows past the live count must be as they were. */
static void assert_padding_untouched(const problem *p) {
    const uint32_t *bits = (const uint32_t *)p->y;
    for (size_t i = (size_t)p->live * p->cols; i < (size_t)p->bound * p->cols; i++)
        assert_int_equal(bits[i], UINT32_MAX);
}

/* What rounding q and the weights to bf16 may cost; the other rows only add in another order. */
static double tolerance_of(const pio_row *row, const shape *s) {
    if (!(row->features & PIO_CPU_AVX512BF16)) return 1e-10;
    return s->q_scale > 1 ? 5e-4 : 2e-5;
}

/* Calls `check` with each row of the op that this machine can run. */
static void for_each_row(pio_op op, problem *p, void (*check)(problem *, const pio_row *)) {
    int n_rows, n_checked = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        if (rows[i]->op != op || !test_row_runs_here(rows[i])) continue;
        if (rows[i]->match && !rows[i]->match(&p->call)) continue;
        check(p, rows[i]);
        n_checked++;
    }
    assert_true(n_checked > 0);
}

static void check_against_reference(problem *p, const pio_row *row) {
    static const int workers[] = {1, 2, 5};
    char name[PIO_ROW_NAME_BYTES];
    for (size_t i = 0; i < PIO_COUNT(workers); i++) {
        memset(p->y, 0xff, (size_t)p->bound * p->cols * 4);
        attend(p, row, workers[i], p->y);
        double error = nmse(p->y, p->expected, (size_t)p->live * p->cols);
        const shape *s = &p->shape;
        if (!(error <= tolerance_of(row, s)))
            fail_msg("%s, %d workers: NMSE %g; heads %d/%d, head size %d, pages of %d, %d sequences, first %d + %d",
                     pio_row_name(row, name), workers[i], error, s->n_heads, s->n_kv_heads, s->head_dim, s->page_tokens,
                     s->n_sequences, s->context[0], s->n_rows[0]);
        assert_padding_untouched(p);
    }
}

static shape random_shape(test_random *random) {
    static const int32_t head_dims[] = {16, 32, 64, 80, 112, 128, 256}, groups[] = {1, 2, 3, 4, 5, 6, 7, 8, 20};
    shape s = {.n_kv_heads = 1 + (int32_t)test_random_below(random, 3),
               .head_dim = head_dims[test_random_below(random, PIO_COUNT(head_dims))],
               .page_tokens = 64 * (1 + (int32_t)test_random_below(random, 3)),
               .padding = (int32_t)test_random_below(random, 9),
               .n_sequences = 1 + (int32_t)test_random_below(random, MOST_SEQUENCES),
               .q_scale = test_random_below(random, 4) ? 1 : 10};
    s.n_heads = s.n_kv_heads * groups[test_random_below(random, PIO_COUNT(groups))];
    for (int32_t i = 0; i < s.n_sequences; i++) {
        s.context[i] = test_random_below(random, 4) ? (int32_t)test_random_below(random, 400) : 0;
        s.n_rows[i] = test_random_below(random, 2) ? 1 : 1 + (int32_t)test_random_below(random, 60);
    }
    return s;
}

static void rows_match_the_reference(void **state) {
    (void)state;
    static const shape fixed[] = {
        {4, 2, 128, 64, 0, 1, {0}, {1}, 1},
        {8, 2, 128, 64, 3, 6, {62, 63, 64, 127, 1, 700}, {1, 1, 1, 1, 1, 1}, 1},
        {8, 2, 128, 64, 5, 1, {0}, {300}, 1},
        {8, 8, 64, 64, 0, 3, {900, 0, 65}, {1, 64, 63}, 1},
        {20, 1, 256, 64, 1, 2, {130, 63}, {12, 1}, 1},
        {5, 1, 80, 128, 0, 2, {100, 0}, {29, 3}, 10},
    };
    test_random random = test_random_begin("rows_match_the_reference");
    for (size_t i = 0; i < PIO_COUNT(fixed) + 12; i++) {
        shape s = i < PIO_COUNT(fixed) ? fixed[i] : random_shape(&random);
        problem p;
        make(&p, &random, &s);
        attend(&p, NULL, 2, p.expected);
        for_each_row(PIO_OP_ATTENTION, &p, check_against_reference);
        drop(&p);
    }
}

/* All at once is in p->expected; here the same rows in chunks, down to one by one. */
static void check_chunks(problem *p, const pio_row *row) {
    static const int32_t chunks[] = {1, 7, 64, 100};
    int32_t n = p->shape.n_rows[0];
    attend(p, row, 2, p->expected);
    for (size_t i = 0; i < PIO_COUNT(chunks); i++) {
        for (int32_t at = 0; at < n; at += chunks[i]) {
            p->sequences[0].first_row = p->sequences[0].context = at;
            p->sequences[0].n_rows = PIO_MIN(chunks[i], n - at);
            attend(p, row, 2, p->y);
        }
        p->sequences[0] = (pio_step_sequence){.n_rows = n};
        double error = nmse(p->y, p->expected, (size_t)n * p->cols);
        assert_true(error <= (row->portable ? 1e-12 : tolerance_of(row, &p->shape)));
    }
}

static void chunks_agree(void **state) {
    (void)state;
    test_random random = test_random_begin("chunks_agree");
    shape s = {8, 2, 128, 64, 0, 1, {0}, {0}, 1};
    s.n_rows[0] = 150 + (int32_t)test_random_below(&random, 50);
    problem p;
    make(&p, &random, &s);
    for_each_row(PIO_OP_ATTENTION, &p, check_chunks);
    drop(&p);
}

static void check_workers(problem *p, const pio_row *row) {
    attend(p, row, 1, p->expected);
    for (int n_workers = 2; n_workers <= 16; n_workers += 2) {
        attend(p, row, n_workers, p->y);
        double error = nmse(p->y, p->expected, (size_t)p->live * p->cols);
        assert_true(error <= (row->features & PIO_CPU_AVX512BF16 ? 2e-5 : 1e-12));
    }
}

/* One worker does not split; more do, into pieces that depend on their number. */
static void splits_agree(void **state) {
    (void)state;
    test_random random = test_random_begin("splits_agree");
    shape s = {6, 2, 64, 64, 2, 3, {2000, 31, 600}, {1, 1, 25}, 1};
    problem p;
    make(&p, &random, &s);
    for_each_row(PIO_OP_ATTENTION, &p, check_workers);
    drop(&p);
}

static void check_extremes(problem *p, const pio_row *row) {
    attend(p, row, 2, p->y);
    double error = nmse(p->y, p->expected, (size_t)p->live * p->cols);
    assert_true(error <= 1e-4);
}

/* Scores so large that one key takes all, of either sign and far beyond what exp() holds: no NaN, the right key. Powers
 * of two, which bf16 holds, so that every row has the same scores. */
static void extreme_scores(void **state) {
    (void)state;
    test_random random = test_random_begin("extreme_scores");
    shape s = {4, 2, 64, 64, 0, 2, {90, 200}, {5, 1}, 0};
    problem p;
    make(&p, &random, &s);
    for (size_t i = 0; i < (size_t)p.live * p.cols; i++)
        p.q[i] = ldexpf(test_random_below(&random, 2) ? 1 : -1, i / p.cols % 2 ? 40 : 6);
    attend(&p, NULL, 1, p.expected);
    for_each_row(PIO_OP_ATTENTION, &p, check_extremes);
    drop(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_match_the_reference),
        cmocka_unit_test(chunks_agree),
        cmocka_unit_test(splits_agree),
        cmocka_unit_test(extreme_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
