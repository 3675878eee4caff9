#include "engine/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/step.h"
#include "engine/vision.h"
#include "kernels/kv_cache/kv_cache.h"

enum { FILL_PAGES = 4 };

typedef struct bench {
    pio_model *model;
    const pio_bench_test *test;
    int32_t *ids, *pages; /* [batch, context + tokens], [batch, pages of a sequence] */
    int32_t n_pages;      /* of a sequence */
} bench;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (uint32_t)(*state >> 33);
}

/* ---- results ---- */

static pio_status result_begin(pio_bench_result *result, const pio_bench_test *test, pio_error *error) {
    *result = (pio_bench_result){.test = *test, .runs_s = calloc((size_t)test->repeats, sizeof *result->runs_s)};
    return result->runs_s ? PIO_OK : pio_fail_memory(error, "the bench", sizeof(double) * (size_t)test->repeats);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the runs, and the speed that follows from it. */
static pio_status result_end(pio_bench_result *result, pio_error *error) {
    const pio_bench_test *test = &result->test;
    double *sorted = malloc(sizeof *sorted * (size_t)test->repeats);
    if (!sorted) return pio_fail_memory(error, "the bench", sizeof *sorted * (size_t)test->repeats);
    memcpy(sorted, result->runs_s, sizeof *sorted * (size_t)test->repeats);
    qsort(sorted, (size_t)test->repeats, sizeof *sorted, by_value);
    result->seconds = sorted[test->repeats / 2];
    result->tokens_per_s = (double)test->batch * test->tokens / result->seconds;
    free(sorted);
    return PIO_OK;
}

void pio_bench_result_free(pio_bench_result *result) {
    free(result->runs_s);
    result->runs_s = NULL;
}

/* ---- the cache ---- */

enum { WRITE_BYTES = 64 << 10 };

static pio_status write_pages(const pio_model *model, pio_addr to, const char *from, uint64_t bytes, pio_error *error) {
    pio_status status = PIO_OK;
    for (uint64_t done = 0; done < bytes && !status; done += WRITE_BYTES)
        status =
            pio_queue_write(model->queue, to + done, from + done, PIO_MIN(bytes - done, (uint64_t)WRITE_BYTES), error);
    return status;
}

/* Copies the first pages into all others, on the device. */
static pio_status spread_pages(const pio_model *model, pio_addr first, uint64_t page_bytes, pio_error *error) {
    pio_list *list = NULL;
    uint64_t number;
    pio_status status = pio_list_create(model->chosen.device, false, &list, error);
    for (int32_t page = FILL_PAGES; page < model->n_pages && !status; page++)
        status = pio_list_copy(list, first + page_bytes * (uint64_t)page,
                               first + page_bytes * (uint64_t)(page % FILL_PAGES), page_bytes, error);
    if (!status) status = pio_list_end(list, error);
    if (!status) status = pio_queue_submit(model->queue, &list, 1, &number, error);
    if (!status) status = pio_queue_wait(model->queue, number, UINT64_MAX, error);
    pio_list_destroy(list);
    return status;
}

/* Fills one layer's pages with random keys and values: a few pages row by row, the others as copies of them. */
static pio_status fill_cache(const pio_model *model, int32_t index, pio_error *error) {
    const pio_cache *cache = &model->spec.caches[index];
    const pio_kv_geometry geometry = pio_model_cache_geometry(model, index);
    const int32_t n = cache->n_kv_heads * cache->head_dim, n_floats = pio_kv_row_floats(&geometry);
    const int32_t n_pages = PIO_MIN(FILL_PAGES, model->n_pages);
    const uint64_t page_bytes = pio_kv_bytes(cache->layout, &geometry, 2) - pio_kv_bytes(cache->layout, &geometry, 1);
    char *pages = calloc(1, (size_t)pio_kv_bytes(cache->layout, &geometry, n_pages));
    float *kv = malloc(sizeof *kv * (size_t)n_floats);
    pio_status status = pages && kv ? PIO_OK : pio_fail_memory(error, "random keys", sizeof *kv * (size_t)n_floats);
    uint64_t random = (uint64_t)index;
    for (int32_t row = 0; row < n_pages * model->spec.page_tokens && !status; row++) {
        for (int32_t i = 0; i < n_floats; i++) kv[i] = (float)next_random(&random) / (float)(1u << 30) - 1.0f;
        pio_kv_write_row(cache->layout, &geometry, pages, row, kv, kv + n);
    }
    const pio_addr first = status ? 0 : model->caches[index]->address;
    if (!status) status = write_pages(model, first, pages, page_bytes * (uint64_t)n_pages, error);
    if (!status) status = spread_pages(model, first, page_bytes, error);
    free(pages);
    free(kv);
    return status;
}

/* ---- one run ---- */

/* Submits all sequences' tokens in steps of at most a chunk, then the logits of the last ones, which end with *number.
 */
static pio_status submit_run(const bench *b, uint64_t *number, pio_error *error) {
    const pio_bench_test *t = b->test;
    const int32_t length = t->context + t->tokens;
    pio_status status = PIO_OK;
    for (int32_t done = 0; done < t->tokens && !status;) {
        pio_step_item items[PIO_MAX_SLOTS];
        int32_t n = PIO_MIN(t->tokens - done, b->model->options.chunk / t->batch);
        for (int32_t i = 0; i < t->batch; i++)
            items[i] = (pio_step_item){b->ids + i * length + t->context + done, n, t->context + done,
                                       b->pages + i * b->n_pages, b->n_pages};
        done += n;
        pio_step_out outs[PIO_MAX_SLOTS];
        const int32_t n_outs = done < t->tokens ? 0 : t->batch, first = PIO_MIN(PIO_HEAD_ROWS, n_outs);
        for (int32_t i = 0; i < n_outs; i++) outs[i] = (pio_step_out){.row = (i + 1) * n - 1, .slot = -1};
        status = pio_step_run(b->model, items, t->batch, outs, first, number, error);
        for (int32_t i = first; i < n_outs && !status; i += PIO_HEAD_ROWS)
            status = pio_step_head(b->model, outs + i, PIO_MIN(PIO_HEAD_ROWS, n_outs - i), number, error);
    }
    return status;
}

/* Times each run from the end of the one before it; the first one warms up. A decode step is submitted before the end
 * of the one before it, as the engine does when it answers; else runs have the device alone. */
static pio_status time_runs(const bench *b, bool (*cancelled)(void), double *runs_s, pio_error *error) {
    const int n = 1 + b->test->repeats, ahead = b->test->tokens == 1;
    uint64_t numbers[2] = {0};
    double before = 0;
    pio_status status = PIO_OK;
    for (int i = 0; i < n + ahead && !status; i++) {
        const int ends = i - ahead;
        if (cancelled()) status = pio_fail(error, PIO_CANCELLED, "interrupted");
        if (!status && i < n) status = submit_run(b, &numbers[i % 2], error);
        if (!status && ends >= 0) status = pio_step_wait(b->model, numbers[ends % 2], error);
        if (ends > 0) runs_s[ends - 1] = now_s() - before;
        before = now_s();
    }
    return status;
}

static pio_status prepare(bench *b, pio_error *error) {
    const pio_bench_test *t = b->test;
    const int32_t length = t->context + t->tokens;
    b->n_pages = PIO_CEIL_DIV(length, b->model->spec.page_tokens);
    if (length > b->model->options.context || b->n_pages * t->batch >= b->model->n_pages)
        return pio_fail(error, PIO_LIMIT, "%d sequences of %d tokens do not fit a context of %d", t->batch, length,
                        b->model->options.context);
    b->ids = malloc(sizeof *b->ids * (size_t)(t->batch * length));
    b->pages = malloc(sizeof *b->pages * (size_t)(t->batch * b->n_pages));
    if (!b->ids || !b->pages) return pio_fail_memory(error, "the bench", sizeof *b->ids * (size_t)(t->batch * length));
    uint64_t random = 1;
    for (int32_t i = 0; i < t->batch * length; i++)
        b->ids[i] = (int32_t)(next_random(&random) % (uint32_t)b->model->config.common.vocab_size);
    for (int32_t i = 0; i < t->batch * b->n_pages; i++) b->pages[i] = 1 + i;
    pio_status status = PIO_OK;
    for (int32_t i = 0; i < b->model->spec.n_caches && t->context && !status; i++)
        if (!b->model->spec.caches[i].of_patches) status = fill_cache(b->model, i, error);
    return status;
}

pio_status pio_bench_run(pio_model *model, const pio_bench_test *test, bool (*cancelled)(void),
                         pio_bench_result *result, pio_error *error) {
    bench b = {.model = model, .test = test};
    pio_status status = result_begin(result, test, error);
    if (!status) status = prepare(&b, error);
    if (!status) status = time_runs(&b, cancelled, result->runs_s, error);
    result->cost = pio_step_cost(model, test->batch, test->tokens, test->context, 1);
    if (!status) status = result_end(result, error);
    free(b.ids);
    free(b.pages);
    return status;
}

/* ---- pictures ---- */

static pio_status see_once(pio_model *model, const pio_picture *picture, double *seconds, pio_error *error) {
    pio_buffer *rows = NULL;
    const double start = now_s();
    pio_status status = pio_vision_run(model, &picture, 1, &rows, error);
    *seconds = now_s() - start;
    pio_buffer_destroy(rows);
    return status;
}

pio_status pio_bench_vision(pio_model *model, const pio_bench_test *test, int32_t side, bool (*cancelled)(void),
                            pio_bench_result *result, pio_error *error) {
    const pio_model_eyes *eyes = &model->config.common.eyes;
    const size_t n = (size_t)side * (size_t)side * (size_t)eyes->patch_values;
    pio_picture picture = {.rows = side, .cols = side, .merge = eyes->merge, .patch_values = eyes->patch_values};
    double warm_up_s;
    pio_status status = result_begin(result, test, error);
    picture.patches = malloc(sizeof *picture.patches * n);
    if (!status && !picture.patches) status = pio_fail_memory(error, "a picture", sizeof(float) * n);
    if (!status) status = pio_vision_check(model, &picture, error);
    uint64_t random = 1;
    for (size_t i = 0; i < n && !status; i++)
        picture.patches[i] = (float)next_random(&random) / (float)(1u << 30) - 1.0f;
    for (int i = -1; i < test->repeats && !status; i++) {
        status = cancelled() ? pio_fail(error, PIO_CANCELLED, "interrupted") : PIO_OK;
        if (!status) status = see_once(model, &picture, i < 0 ? &warm_up_s : &result->runs_s[i], error);
    }
    result->test.tokens = pio_picture_tokens(&picture);
    result->cost = pio_vision_cost(model, picture.rows * picture.cols);
    if (!status) status = result_end(result, error);
    free(picture.patches);
    return status;
}

double pio_bench_fraction(const pio_bench_result *result, const pio_ceilings *ceilings) {
    return fmax((double)result->cost.bytes / ceilings->read_bytes_per_s,
                (double)result->cost.ops / ceilings->ops_per_s) /
           result->seconds;
}
