#include "engine/fill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/threads.h"

enum { UNIT_ELEMENTS = 2 << 20, PANEL_ROWS = 16 };
static const uint64_t REPORT_NS = 100000000; /* between two reports of progress */

typedef struct filler {
    pio_model *model;
    const char *what;
    pio_fill_rows rows;
    void *user;
    pio_fill_unit *units;
    int32_t n_units, units_capacity;
    atomic_int next, done;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards what follows */
    pio_status status;
    pio_error *error;
    uint64_t reported_ns;
} filler;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int32_t unit_rows(const pio_weight *weight) {
    int32_t rows = UNIT_ELEMENTS / PIO_MAX(1, weight->cols) / PANEL_ROWS * PANEL_ROWS;
    return PIO_MAX(PANEL_ROWS, PIO_MIN(rows, weight->rows));
}

static pio_status list_units(filler *f, pio_error *error) {
    for (int32_t w = 0; w < f->model->spec.n_weights; w++) {
        const pio_weight *weight = &f->model->spec.weights[w];
        int32_t step = PIO_ROUND_UP(unit_rows(weight), PANEL_ROWS);
        for (int64_t i = 0; i < (int64_t)weight->n_matrices * PIO_CEIL_DIV(weight->rows, step); i++) {
            const int32_t matrix = (int32_t)(i / PIO_CEIL_DIV(weight->rows, step));
            const int32_t row = (int32_t)(i % PIO_CEIL_DIV(weight->rows, step)) * step;
            pio_fill_unit *unit = PIO_PUSH(f, units);
            if (!unit) return pio_fail_memory(error, "the list of weights", sizeof *unit);
            *unit = (pio_fill_unit){w, matrix * weight->rows + row, PIO_MIN(step, weight->rows - row)};
        }
    }
    return PIO_OK;
}

/* The largest planes that any unit needs. */
static pio_status allocate_planes(const filler *f, pio_canonical *rows) {
    uint64_t codes = 64, subs = 64, scales = 64;
    for (int32_t i = 0; i < f->n_units; i++) {
        const pio_weight *weight = &f->model->spec.weights[f->units[i].weight];
        codes = PIO_MAX(codes, pio_canonical_code_bytes(weight->dtype, f->units[i].n_rows, weight->cols));
        subs = PIO_MAX(subs, pio_canonical_sub_bytes(weight->dtype, f->units[i].n_rows, weight->cols));
        scales = PIO_MAX(scales, pio_canonical_scale_bytes(weight->dtype, f->units[i].n_rows, weight->cols));
    }
    rows->codes = aligned_alloc(64, PIO_ROUND_UP(codes, 64));
    rows->subs = aligned_alloc(64, PIO_ROUND_UP(subs, 64));
    rows->scales = aligned_alloc(64, PIO_ROUND_UP(scales, 64));
    return rows->codes && rows->subs && rows->scales ? PIO_OK : PIO_OUT_OF_MEMORY;
}

static void fail(filler *f, const pio_error *error) {
    pthread_mutex_lock(&f->lock);
    if (!f->status) {
        f->status = error->status;
        if (f->error) *f->error = *error;
    }
    pthread_mutex_unlock(&f->lock);
    atomic_store(&f->stop, true);
}

static void report(filler *f) {
    const pio_engine_options *options = &f->model->options;
    uint64_t now = now_ns();
    if (!options->progress || now - f->reported_ns < REPORT_NS) return;
    f->reported_ns = now;
    if (options->progress(options->user, f->what, (double)atomic_load(&f->done) / f->n_units)) return;
    pio_error error;
    pio_fail(&error, PIO_CANCELLED, "loading '%s' was interrupted", f->model->directory);
    fail(f, &error);
}

static pio_status fill_unit(filler *f, const pio_fill_unit *unit, pio_canonical *rows, pio_error *error) {
    const pio_weight *weight = &f->model->spec.weights[unit->weight];
    void *packed;
    rows->dtype = weight->dtype;
    rows->rows = unit->n_rows;
    rows->cols = weight->cols;
    pio_status status = f->rows(f->user, unit, rows, error);
    if (!status) status = pio_buffer_map(f->model->weights[unit->weight], &packed, error);
    if (!status)
        pio_layout_get(weight->layout)
            ->pack(rows, unit->first_row % weight->rows,
                   (char *)packed + pio_weight_stride(weight) * (uint64_t)(unit->first_row / weight->rows),
                   weight->rows, weight->cols);
    return status;
}

static void work(void *context, int worker, int n_workers) {
    (void)n_workers;
    filler *f = context;
    pio_canonical rows = {0};
    pio_error error = {0};
    if (allocate_planes(f, &rows)) {
        pio_fail_memory(&error, "quantising weights", 0);
        fail(f, &error);
    }
    while (!atomic_load(&f->stop)) {
        int32_t i = atomic_fetch_add(&f->next, 1);
        if (i >= f->n_units) break;
        if (fill_unit(f, &f->units[i], &rows, &error)) fail(f, &error);
        atomic_fetch_add(&f->done, 1);
        if (worker == 0) report(f);
    }
    free(rows.codes);
    free(rows.subs);
    free(rows.scales);
}

pio_status pio_fill(pio_model *model, const char *what, pio_fill_rows rows, void *user, pio_error *error) {
    filler f = {.model = model, .what = what, .rows = rows, .user = user, .error = error, .reported_ns = now_ns()};
    pio_pool *pool = NULL;
    if (!model->chosen.caps.computes) return PIO_OK;
    pthread_mutex_init(&f.lock, NULL);
    pio_status status = list_units(&f, error);
    if (!status) status = pio_pool_create(model->options.n_threads, &pool, error);
    if (!status) {
        pio_pool_run(pool, work, &f);
        status = f.status;
    }
    if (!status && model->options.progress && f.reported_ns && now_ns() - f.reported_ns < 100 * REPORT_NS)
        model->options.progress(model->options.user, what, 1.0);
    pio_pool_destroy(pool);
    pthread_mutex_destroy(&f.lock);
    free(f.units);
    return status;
}
