/* Loading a checkpoint: rows are copied from the files window by window, quantised where the user asked for it, and
 * packed, so that the peak stays near the packed size. Quantised rows may come from the cache, or go there on the way.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/fill.h"
#include "engine/source.h"
#include "io/quant_cache.h"
#include "kernels/dtype/quantize.h"

enum { WINDOW_BYTES = 1 << 19 };
enum { CACHE_FORMAT = 2, PLANES = 3 }; /* raise the format when canonical bytes change their meaning */

typedef struct loader {
    pio_model *model;
    const pio_stored_tensor **parts; /* [spec.n_parts] */
    pio_safetensors *cached;         /* NULL: nothing usable */
    pio_safetensors_writer *writer;  /* NULL: nothing is kept */
    int32_t checksum_index;          /* of the checksum among the cache file's tensors */
    _Atomic uint64_t checksum;       /* of the quantised rows so far, in any order */
    int32_t *first_plane; /* [spec.n_weights]: index of its codes among the cache file's tensors, -1: not there */
} loader;

static bool is_quantised(const pio_weight *weight) {
    return weight->dtype == PIO_DTYPE_Q8 || weight->dtype == PIO_DTYPE_Q4;
}

/* ---- the cache ---- */

static const char *const plane_names[PLANES] = {"codes", "subs", "scales"};

static uint64_t plane_bytes(int plane, const pio_weight *weight, int32_t rows) {
    if (plane == 0) return pio_canonical_code_bytes(weight->dtype, rows, weight->cols);
    if (plane == 1) return pio_canonical_sub_bytes(weight->dtype, rows, weight->cols);
    return pio_canonical_scale_bytes(weight->dtype, rows, weight->cols);
}

static void *plane_of(const pio_canonical *rows, int plane) {
    void *const planes[PLANES] = {rows->codes, rows->subs, rows->scales};
    return planes[plane];
}

static const char checksum_name[] = "checksum"; /* u64: the sum of the hashes of all quantised rows' planes */

static void add_to_checksum(loader *l, const pio_fill_unit *unit, const pio_canonical *rows) {
    const pio_weight *weight = &l->model->spec.weights[unit->weight];
    uint64_t sum = 0;
    for (int plane = 0; plane < PLANES; plane++) {
        const size_t row_bytes = (size_t)plane_bytes(plane, weight, 1);
        for (int32_t r = 0; r < unit->n_rows && row_bytes; r++)
            sum +=
                pio_hash((const char *)plane_of(rows, plane) + row_bytes * (size_t)r, row_bytes,
                         pio_hash_mix((uint64_t)unit->weight << 2 | (uint64_t)plane, (uint64_t)(unit->first_row + r)));
    }
    atomic_fetch_add(&l->checksum, sum);
}

/* Whether the cached file has every plane of every quantised weight in its size. */
static bool cache_is_whole(const loader *l) {
    char name[160];
    const pio_stored_tensor *checksum = pio_safetensors_find(l->cached, checksum_name);
    if (!checksum || checksum->bytes != sizeof(uint64_t)) return false;
    for (int32_t i = 0; i < l->model->spec.n_weights; i++) {
        const pio_weight *weight = &l->model->spec.weights[i];
        for (int plane = 0; plane < PLANES && is_quantised(weight); plane++) {
            uint64_t bytes = plane_bytes(plane, weight, weight->n_matrices * weight->rows);
            snprintf(name, sizeof name, "%s.%s", weight->name, plane_names[plane]);
            const pio_stored_tensor *tensor = pio_safetensors_find(l->cached, name);
            if (bytes && (!tensor || tensor->bytes != bytes)) return false;
        }
    }
    return true;
}

static pio_status begin_writing(loader *l, const pio_quant_cache_key *key, pio_error *error) {
    const pio_spec *spec = &l->model->spec;
    size_t n = 0, most = (size_t)spec->n_weights * PLANES;
    pio_safetensors_spec *tensors = calloc(most + 1, sizeof *tensors);
    char(*names)[160] = calloc(most + 1, sizeof *names);
    pio_status status = tensors && names ? PIO_OK : pio_fail_memory(error, "the cache", most * sizeof *tensors);
    for (int32_t i = 0; i < spec->n_weights && !status; i++) {
        const pio_weight *weight = &spec->weights[i];
        l->first_plane[i] = is_quantised(weight) ? (int32_t)n : -1;
        for (int plane = 0; plane < PLANES && is_quantised(weight); plane++) {
            if (!plane_bytes(plane, weight, 1)) continue;
            snprintf(names[n], sizeof names[n], "%s.%s", weight->name, plane_names[plane]);
            tensors[n] = (pio_safetensors_spec){
                .name = names[n],
                .dtype = PIO_STORED_U8,
                .rank = 2,
                .dims = {(uint64_t)weight->n_matrices * (uint64_t)weight->rows, plane_bytes(plane, weight, 1)}};
            n++;
        }
    }
    l->checksum_index = (int32_t)n;
    if (!status) {
        tensors[n++] = (pio_safetensors_spec){checksum_name, PIO_STORED_U64, 1, {1}};
        status = pio_quant_cache_begin(key, tensors, n, &l->writer, error);
    }
    free(tensors);
    free(names);
    return status;
}

/* Reads what is kept, or, where there is nothing that fits, or it must not be used, keeps what is made. A cache that
 * cannot be used or written is a note, never a failure. */
static void open_cache(loader *l, bool use) {
    const pio_model *model = l->model;
    pio_error why = {0};
    if (!model->options.cache_directory || model->options.weights == PIO_DTYPE_BF16) return;
    const pio_quant_cache_key key = {model->options.cache_directory, model->checkpoint,
                                     pio_dtype_name(model->options.weights), CACHE_FORMAT};
    pio_status status = use ? pio_quant_cache_open(&key, &l->cached, &why) : PIO_NOT_FOUND;
    if (!status && cache_is_whole(l)) return;
    pio_safetensors_close(l->cached);
    l->cached = NULL;
    l->checksum = 0;
    if (begin_writing(l, &key, &why)) pio_model_note(model, true, "quantised weights are not kept: %s", why.text);
}

static void close_cache(loader *l, pio_status status) {
    pio_error why = {0};
    const uint64_t checksum = atomic_load(&l->checksum);
    if (l->writer && !status &&
        (pio_safetensors_writer_write(l->writer, (size_t)l->checksum_index, 0, &checksum, sizeof checksum, &why) ||
         pio_safetensors_writer_finish(l->writer, &why)))
        pio_model_note(l->model, true, "quantised weights are not kept: %s", why.text);
    pio_safetensors_writer_destroy(l->writer);
    pio_safetensors_close(l->cached);
    l->writer = NULL;
    l->cached = NULL;
}

/* Whether what was read is what was once written. */
static bool cache_was_right(const loader *l) {
    uint64_t written;
    memcpy(&written, pio_safetensors_find(l->cached, checksum_name)->data, sizeof written);
    return written == atomic_load(&l->checksum);
}

static void read_cached(const loader *l, const pio_fill_unit *unit, pio_canonical *rows) {
    const pio_weight *weight = &l->model->spec.weights[unit->weight];
    for (int plane = 0; plane < PLANES; plane++) {
        char name[160];
        snprintf(name, sizeof name, "%s.%s", weight->name, plane_names[plane]);
        uint64_t row_bytes = plane_bytes(plane, weight, 1), bytes = row_bytes * (uint64_t)unit->n_rows;
        if (!bytes) continue;
        const pio_stored_tensor *tensor = pio_safetensors_find(l->cached, name);
        uint64_t at = row_bytes * (uint64_t)unit->first_row;
        memcpy(plane_of(rows, plane), (const char *)tensor->data + at, bytes);
        pio_file_release(tensor->file, tensor->offset + at, bytes);
    }
}

static pio_status write_cached(const loader *l, const pio_fill_unit *unit, const pio_canonical *rows,
                               pio_error *error) {
    const pio_weight *weight = &l->model->spec.weights[unit->weight];
    size_t tensor = (size_t)l->first_plane[unit->weight];
    pio_status status = PIO_OK;
    for (int plane = 0; plane < PLANES && !status; plane++) {
        uint64_t row_bytes = plane_bytes(plane, weight, 1);
        if (!row_bytes) continue;
        status = pio_safetensors_writer_write(l->writer, tensor++, row_bytes * (uint64_t)unit->first_row,
                                              plane_of(rows, plane), row_bytes * (uint64_t)unit->n_rows, error);
    }
    return status;
}

/* ---- rows of the checkpoint ---- */

static pio_status not_finite(const loader *l, const pio_fill_unit *unit, int32_t row, int32_t col, pio_error *error) {
    const pio_source_row at = pio_source_find(l->model, l->parts, unit->weight, unit->first_row + row);
    const pio_stored_tensor *tensor = at.tensor;
    const uint64_t element_bytes = pio_stored_dtype_bits(tensor->dtype) / 8;
    const uint64_t element = (uint64_t)((const char *)at.data - (const char *)tensor->data) / element_bytes +
                             (uint64_t)col * (uint64_t)at.stride;
    const uint64_t cols = tensor->dims[tensor->rank - 1]; /* of the file, be the weight its transpose */
    return pio_fail(error, PIO_CORRUPT,
                    "'%s': tensor '%s' holds a value that is not finite (NaN or infinity) in row %llu, column %llu: "
                    "the file is damaged, download it again",
                    pio_file_path(tensor->file), tensor->name, (unsigned long long)(element / cols),
                    (unsigned long long)(element % cols));
}

/* The type of a checkpoint's tensor, which pio_source_check let through. */
static pio_dtype dtype_of(const pio_stored_tensor *tensor) {
    return tensor->dtype == PIO_STORED_BF16  ? PIO_DTYPE_BF16
           : tensor->dtype == PIO_STORED_F16 ? PIO_DTYPE_F16
                                             : PIO_DTYPE_F32;
}

/* Row `r` of canonical rows. */
static pio_canonical one_row(const pio_canonical *rows, int32_t r) {
    const pio_dtype dtype = rows->dtype;
    pio_canonical row = *rows;
    row.rows = 1;
    row.codes = (char *)rows->codes + pio_canonical_code_bytes(dtype, 1, rows->cols) * (uint64_t)r;
    row.subs = rows->subs + pio_canonical_sub_bytes(dtype, 1, rows->cols) * (uint64_t)r;
    row.scales = rows->scales + pio_canonical_scale_bytes(dtype, 1, rows->cols) / sizeof *rows->scales * (uint64_t)r;
    return row;
}

/* The row's elements side by side. */
static const void *gather(const pio_source_row *row, int32_t cols, void *to) {
    const size_t bytes = pio_stored_dtype_bits(row->tensor->dtype) / 8;
    for (size_t i = 0; i < (size_t)cols; i++)
        memcpy((char *)to + i * bytes, (const char *)row->data + i * bytes * (size_t)row->stride, bytes);
    return to;
}

/* Bytes of one tensor as they were read last, for the rows that follow. They are copied, not mapped: a file that
 * becomes shorter meanwhile is then an error, and its elements are aligned. */
typedef struct window {
    char *bytes;
    uint64_t capacity;
    const pio_stored_tensor *tensor; /* NULL: nothing was read yet */
    uint64_t from, to;               /* of the tensor */
} window;

/* A row's place in its tensor. */
typedef struct extent {
    uint64_t from, to;
} extent;

static extent extent_of(const pio_source_row *row, int32_t cols) {
    const uint64_t element_bytes = pio_stored_dtype_bits(row->tensor->dtype) / 8;
    const uint64_t from = (uint64_t)((const char *)row->data - (const char *)row->tensor->data);
    return (extent){from, from + ((uint64_t)(cols - 1) * (uint64_t)row->stride + 1) * element_bytes};
}

/* Reads the unit's row `r`, and those behind it that follow it in the tensor without a gap. */
static pio_status read_window(const loader *l, const pio_fill_unit *unit, int32_t r, const pio_source_row *row,
                              int32_t cols, window *w, pio_error *error) {
    const extent first = extent_of(row, cols);
    w->tensor = NULL;
    w->from = first.from;
    w->to = first.to;
    if (w->to - w->from + WINDOW_BYTES > w->capacity) {
        free(w->bytes);
        w->capacity = w->to - w->from + WINDOW_BYTES;
        w->bytes = malloc(w->capacity);
        if (!w->bytes) return pio_fail_memory(error, "reading weights", w->capacity);
    }
    while (++r < unit->n_rows) {
        const pio_source_row next = pio_source_find(l->model, l->parts, unit->weight, unit->first_row + r);
        const extent its = extent_of(&next, cols);
        if (next.tensor != row->tensor || its.from < w->from || its.from > w->to || its.to - w->from > w->capacity)
            break;
        w->to = PIO_MAX(w->to, its.to);
    }
    pio_status status =
        pio_file_copy(row->tensor->file, row->tensor->offset + w->from, w->to - w->from, w->bytes, error);
    if (!status) w->tensor = row->tensor;
    return status;
}

/* Converts the unit's rows to the stored type. */
static pio_status read_rows(const loader *l, const pio_fill_unit *unit, pio_canonical *rows, pio_error *error) {
    const size_t scratch_bytes = PIO_ROUND_UP(pio_quantize_scratch(rows->cols), 64u);
    char *scratch = aligned_alloc(64, scratch_bytes + PIO_ROUND_UP(sizeof(float) * (size_t)rows->cols, 64u));
    void *gathered = scratch ? scratch + scratch_bytes : NULL;
    window w = {0};
    pio_status status = scratch ? PIO_OK : pio_fail_memory(error, "quantising", scratch_bytes);
    for (int32_t r = 0; r < unit->n_rows && !status; r++) {
        pio_source_row row = pio_source_find(l->model, l->parts, unit->weight, unit->first_row + r);
        const extent its = extent_of(&row, rows->cols);
        if (w.tensor != row.tensor || its.from < w.from || its.to > w.to)
            status = read_window(l, unit, r, &row, rows->cols, &w, error);
        if (status) break;
        row.data = w.bytes + (its.from - w.from);
        const pio_canonical to = one_row(rows, r);
        const void *data = row.stride == 1 ? row.data : gather(&row, rows->cols, gathered);
        int64_t bad = pio_quantize(l->model->chosen.caps.features, dtype_of(row.tensor), data, &to, scratch);
        if (bad >= 0) status = not_finite(l, unit, r, (int32_t)bad, error);
    }
    free(w.bytes);
    free(scratch);
    return status;
}

static pio_status fill_rows(void *user, const pio_fill_unit *unit, pio_canonical *rows, pio_error *error) {
    loader *l = user;
    const pio_weight *weight = &l->model->spec.weights[unit->weight];
    if (weight->kind == PIO_WEIGHT_VALUES) {
        memcpy(rows->codes, weight->values, sizeof *weight->values * (size_t)weight->cols);
        return PIO_OK;
    }
    if (l->cached && is_quantised(weight)) {
        read_cached(l, unit, rows);
        add_to_checksum(l, unit, rows);
        return PIO_OK;
    }
    pio_status status = read_rows(l, unit, rows, error);
    if (status || !l->writer || !is_quantised(weight)) return status;
    add_to_checksum(l, unit, rows);
    return write_cached(l, unit, rows, error);
}

pio_status pio_model_fill_weights(pio_model *model, pio_error *error) {
    const pio_spec *spec = &model->spec;
    loader l = {.model = model};
    l.parts = calloc((size_t)spec->n_parts + 1, sizeof *l.parts);
    l.first_plane = calloc((size_t)spec->n_weights + 1, sizeof *l.first_plane);
    pio_status status = l.parts && l.first_plane
                            ? PIO_OK
                            : pio_fail_memory(error, "the loader's tables", sizeof *l.parts * (size_t)spec->n_parts);
    for (int32_t i = 0; i < spec->n_parts && !status; i++)
        l.parts[i] = pio_checkpoint_find(model->checkpoint, spec->parts[i].from.tensor);
    if (!status) {
        open_cache(&l, true);
        status = pio_fill(model, l.cached ? "reading quantised weights" : "loading weights", fill_rows, &l, error);
        if (!status && l.cached && !cache_was_right(&l)) {
            pio_model_note(model, true, "the kept quantised weights are damaged and made anew");
            close_cache(&l, PIO_CORRUPT);
            open_cache(&l, false);
            status = pio_fill(model, "loading weights", fill_rows, &l, error);
        }
        close_cache(&l, status);
    }
    free(l.parts);
    free(l.first_plane);
    return status;
}
