#include "engine/fill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/threads.h"
#include "engine/upload.h"

enum { UNIT_ELEMENTS = 1 << 20, PANEL_ROWS = 16, PIECE_ALIGNMENT = 64 };
static const uint64_t REPORT_NS = 100000000; /* between two reports of progress */

typedef struct filler {
    pio_model *model;
    const char *what;
    pio_fill_rows rows;
    void *user;
    pio_fill_unit *units;
    int32_t n_units, units_capacity;
    void **mapped;      /* [spec.n_weights]: the weights' memory, where the host writes into it */
    pio_upload *upload; /* else: the way there */
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

/* Rows of a weight's units, but for a matrix's last ones. */
static int32_t unit_rows(const pio_weight *weight) {
    int32_t rows = UNIT_ELEMENTS / PIO_MAX(1, weight->cols) / PANEL_ROWS * PANEL_ROWS;
    return PIO_ROUND_UP(PIO_MAX(PANEL_ROWS, PIO_MIN(rows, weight->rows)), PANEL_ROWS);
}

static pio_status list_units(filler *f, pio_error *error) {
    for (int32_t w = 0; w < f->model->spec.n_weights; w++) {
        const pio_weight *weight = &f->model->spec.weights[w];
        const int32_t step = unit_rows(weight);
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

/* Where the unit goes: ranges of the packed weight (`to` counts from its first byte), and places for them, one behind
 * the other, in a piece. Returns the piece's bytes. */
static uint64_t locate(const pio_weight *weight, const pio_fill_unit *unit, pio_upload_range ranges[PIO_MAX_PLANES]) {
    const pio_layout_info *layout = pio_layout_get(weight->layout);
    const uint64_t matrix = (uint64_t)(unit->first_row / weight->rows),
                   first = (uint64_t)(unit->first_row % weight->rows / layout->panel_rows),
                   n = (uint64_t)PIO_CEIL_DIV(unit->n_rows, layout->panel_rows);
    pio_plane planes[PIO_MAX_PLANES];
    uint64_t end = 0;
    layout->planes(weight->rows, weight->cols, planes);
    for (int p = 0; p < PIO_MAX_PLANES; p++) {
        ranges[p] =
            (pio_upload_range){pio_weight_stride(weight) * matrix + planes[p].at + planes[p].panel_bytes * first, end,
                               planes[p].panel_bytes * n};
        end = PIO_ROUND_UP(end + ranges[p].bytes, (uint64_t)PIECE_ALIGNMENT);
    }
    return end;
}

/* What the largest unit takes: those of a weight have as many rows as its first one, or fewer. */
static uint64_t largest_piece(const pio_model *model) {
    pio_upload_range ranges[PIO_MAX_PLANES];
    uint64_t most = PIECE_ALIGNMENT;
    for (int32_t w = 0; w < model->spec.n_weights; w++) {
        const pio_weight *weight = &model->spec.weights[w];
        most = PIO_MAX(most, locate(weight, &(pio_fill_unit){w, 0, PIO_MIN(unit_rows(weight), weight->rows)}, ranges));
    }
    return most;
}

uint64_t pio_fill_staging_bytes(const pio_model *model) {
    if (model->chosen.caps.host_visible || !model->chosen.caps.computes) return 0;
    const int n_threads = model->options.n_threads ? model->options.n_threads : pio_threads_default();
    return pio_upload_bytes(n_threads, largest_piece(model));
}

/* Maps the weights' memory where it is the host's (CPU, integrated devices): a copy would gain nothing. A device's own
 * is filled by copies, even where a BAR shows all of it: the threads' stores would go over the bus a line at a time and
 * could not be read back, while the copy engine has the bus's full rate and the threads go on packing. */
static pio_status open_way(filler *f, int n_workers, pio_error *error) {
    const int32_t n = f->model->spec.n_weights;
    pio_status status = PIO_OK;
    if (!f->model->chosen.caps.host_visible)
        return pio_upload_create(f->model->chosen.device, n_workers, largest_piece(f->model), &f->upload, error);
    f->mapped = calloc((size_t)n + 1, sizeof *f->mapped);
    if (!f->mapped) return pio_fail_memory(error, "the table of weights", sizeof *f->mapped * (size_t)n);
    for (int32_t i = 0; i < n && !status; i++) status = pio_buffer_map(f->model->weights[i], &f->mapped[i], error);
    return status;
}

/* Makes all that was written the device's. */
static pio_status close_way(filler *f, pio_status status, pio_error *error) {
    if (f->upload && !status) status = pio_upload_finish(f->upload, error);
    for (int32_t i = 0; f->mapped && i < f->model->spec.n_weights && !status; i++)
        status = pio_buffer_flush(f->model->weights[i], 0, f->model->weights[i]->bytes, error);
    pio_upload_destroy(f->upload);
    free(f->mapped);
    return status;
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

void *pio_fill_scratch_get(pio_fill_scratch *scratch, uint64_t bytes) {
    if (bytes <= scratch->capacity) return scratch->bytes;
    free(scratch->bytes);
    scratch->capacity = PIO_ROUND_UP(bytes, 64u);
    scratch->bytes = aligned_alloc(64, scratch->capacity);
    if (!scratch->bytes) scratch->capacity = 0;
    return scratch->bytes;
}

/* What a worker keeps from unit to unit. */
typedef struct own {
    int worker;
    pio_fill_scratch rows;   /* canonical ones that are packed from there */
    pio_fill_scratch filler; /* of f->rows */
} own;

/* The unit's rows, in the worker's own memory. */
static pio_status own_rows(own *o, pio_canonical *rows, pio_error *error) {
    const uint64_t codes = PIO_ROUND_UP(pio_canonical_code_bytes(rows->dtype, rows->rows, rows->cols), 64u),
                   subs = PIO_ROUND_UP(pio_canonical_sub_bytes(rows->dtype, rows->rows, rows->cols), 64u),
                   all = codes + subs + pio_canonical_scale_bytes(rows->dtype, rows->rows, rows->cols);
    char *planes = pio_fill_scratch_get(&o->rows, all);
    if (!planes) return pio_fail_memory(error, "rows of weights", all);
    rows->codes = planes;
    rows->subs = (int8_t *)planes + codes;
    rows->scales = (uint16_t *)(void *)(planes + codes + subs);
    return PIO_OK;
}

/* Makes the unit's rows and packs them, or makes them where they go. */
static pio_status fill_unit(filler *f, own *o, const pio_fill_unit *unit, pio_error *error) {
    const pio_weight *weight = &f->model->spec.weights[unit->weight];
    const pio_layout_info *layout = pio_layout_get(weight->layout);
    pio_upload_range ranges[PIO_MAX_PLANES];
    void *to[PIO_MAX_PLANES], *piece = NULL;
    locate(weight, unit, ranges);
    pio_status status = f->upload ? pio_upload_take(f->upload, o->worker, &piece, error) : PIO_OK;
    for (int p = 0; p < PIO_MAX_PLANES; p++)
        to[p] = f->upload ? (char *)piece + ranges[p].at : (char *)f->mapped[unit->weight] + ranges[p].to;
    pio_canonical rows = {weight->dtype, unit->n_rows, weight->cols, to[0], to[1], to[2]};
    if (!status && layout->pack) status = own_rows(o, &rows, error);
    if (!status) status = f->rows(f->user, unit, &o->filler, &rows, error);
    if (status) return status;
    if (layout->pack) layout->pack(&rows, to);
    for (int p = 0; p < PIO_MAX_PLANES; p++) ranges[p].to += f->model->weights[unit->weight]->address;
    return f->upload ? pio_upload_send(f->upload, o->worker, ranges, PIO_MAX_PLANES, error) : PIO_OK;
}

static void work(void *context, int worker, int n_workers) {
    (void)n_workers;
    filler *f = context;
    own o = {.worker = worker};
    pio_error error = {0};
    while (!atomic_load(&f->stop)) {
        int32_t i = atomic_fetch_add(&f->next, 1);
        if (i >= f->n_units) break;
        if (fill_unit(f, &o, &f->units[i], &error)) fail(f, &error);
        atomic_fetch_add(&f->done, 1);
        if (worker == 0) report(f);
    }
    free(o.rows.bytes);
    free(o.filler.bytes);
}

pio_status pio_fill(pio_model *model, const char *what, pio_fill_rows rows, void *user, pio_error *error) {
    filler f = {.model = model, .what = what, .rows = rows, .user = user, .error = error, .reported_ns = now_ns()};
    pio_pool *pool = NULL;
    if (!model->chosen.caps.computes) return PIO_OK;
    pthread_mutex_init(&f.lock, NULL);
    pio_status status = list_units(&f, error);
    if (!status) status = pio_pool_create(model->options.n_threads, &pool, error);
    if (!status) status = open_way(&f, pio_pool_size(pool), error);
    if (!status) {
        pio_pool_run(pool, work, &f);
        status = f.status;
    }
    status = close_way(&f, status, error);
    if (!status && model->options.progress && f.reported_ns && now_ns() - f.reported_ns < 100 * REPORT_NS)
        model->options.progress(model->options.user, what, 1.0);
    pio_pool_destroy(pool);
    pthread_mutex_destroy(&f.lock);
    free(f.units);
    return status;
}
