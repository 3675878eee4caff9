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

enum { WINDOW_BYTES = 1 << 18 };       /* stays in a second-level cache from the reading to the packing */
enum { CACHE_FORMAT = 3, PLANES = 3 }; /* raise the format when canonical bytes change their meaning */

typedef struct loader {
    pio_model *model;
    const pio_stored_tensor **parts; /* [spec.n_parts] */
    pio_safetensors *cached;         /* NULL: nothing usable */
    pio_safetensors_writer *writer;  /* NULL: nothing is kept */
    int32_t checksum_index;          /* of the checksum among the cache file's tensors */
    _Atomic uint64_t checksum;       /* of the quantised rows so far, in any order */
    _Atomic uint64_t read_bytes;     /* of checkpoint and cache */
    atomic_bool cache_fails;         /* it could not be read */
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

static pio_status read_cached(loader *l, const pio_fill_unit *unit, const pio_canonical *rows, pio_error *error) {
    const pio_weight *weight = &l->model->spec.weights[unit->weight];
    pio_status status = PIO_OK;
    for (int plane = 0; plane < PLANES && !status; plane++) {
        char name[160];
        snprintf(name, sizeof name, "%s.%s", weight->name, plane_names[plane]);
        uint64_t row_bytes = plane_bytes(plane, weight, 1), bytes = row_bytes * (uint64_t)unit->n_rows;
        if (!bytes) continue;
        const pio_stored_tensor *tensor = pio_safetensors_find(l->cached, name);
        uint64_t at = row_bytes * (uint64_t)unit->first_row;
        status = pio_file_copy(tensor->file, tensor->offset + at, bytes, plane_of(rows, plane), error);
        atomic_fetch_add(&l->read_bytes, bytes);
    }
    return status;
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

/* The canonical rows [r, r + n) of `rows`. */
static pio_canonical some_rows(const pio_canonical *rows, int32_t r, int32_t n) {
    const pio_dtype dtype = rows->dtype;
    pio_canonical some = *rows;
    some.rows = n;
    some.codes = (char *)rows->codes + pio_canonical_code_bytes(dtype, r, rows->cols);
    some.subs = rows->subs + pio_canonical_sub_bytes(dtype, r, rows->cols);
    some.scales = rows->scales + pio_canonical_scale_bytes(dtype, r, rows->cols) / sizeof *rows->scales;
    return some;
}

/* A row's place in its tensor. */
typedef struct extent {
    uint64_t from, to;
} extent;

static uint64_t element_bytes_of(const pio_source_row *row) {
    return pio_stored_dtype_bits(row->tensor->dtype) / 8;
}

static extent extent_of(const pio_source_row *row, int32_t cols) {
    const uint64_t from = (uint64_t)((const char *)row->data - (const char *)row->tensor->data);
    return (extent){from, from + ((uint64_t)(cols - 1) * (uint64_t)row->stride + 1) * element_bytes_of(row)};
}

/* Rows of a unit that lie in the file as they follow each other: one behind the other, or, of a transposed tensor, one
 * beside the other. `bytes` is a copy of where they lie, not the mapped file: one that becomes shorter meanwhile is
 * then an error, page faults cost more than reading, and elements are aligned. */
typedef struct window {
    pio_source_row first;
    int32_t n_rows;
    char *bytes;
    void *row, *quantize_scratch; /* room for one gathered row, and what pio_quantize wants */
} window;

/* Finds the window that begins with the unit's row `r`, some WINDOW_BYTES large, and reads it: where bf16 stays bf16,
 * to where the rows stay, else into the thread's own memory. */
static pio_status read_window(loader *l, const pio_fill_unit *unit, int32_t r, const pio_canonical *rows,
                              pio_fill_scratch *own, window *w, pio_error *error) {
    const int32_t cols = rows->cols;
    *w = (window){.first = pio_source_find(l->model, l->parts, unit->weight, unit->first_row + r), .n_rows = 1};
    const pio_source_row *first = &w->first;
    const extent begin = extent_of(first, cols);
    const uint64_t element_bytes = element_bytes_of(first), most = begin.to - begin.from + WINDOW_BYTES,
                   step = element_bytes * (first->stride == 1 ? (uint64_t)cols : 1);
    extent its = begin;
    while (r + w->n_rows < unit->n_rows) {
        const pio_source_row next = pio_source_find(l->model, l->parts, unit->weight, unit->first_row + r + w->n_rows);
        const extent after = extent_of(&next, cols);
        if (next.tensor != first->tensor || next.stride != first->stride || after.from != its.from + step ||
            after.to - begin.from > most)
            break;
        its = after;
        w->n_rows++;
    }
    const uint64_t scratch_bytes = PIO_ROUND_UP(pio_quantize_scratch(cols), 64u),
                   row_bytes = PIO_ROUND_UP(sizeof(float) * (uint64_t)cols, 64u);
    char *room = pio_fill_scratch_get(own, scratch_bytes + row_bytes + most);
    if (!room) return pio_fail_memory(error, "reading weights", scratch_bytes + row_bytes + most);
    w->quantize_scratch = room;
    w->row = room + scratch_bytes;
    w->bytes = room + scratch_bytes + row_bytes;
    if (rows->dtype == PIO_DTYPE_BF16 && first->tensor->dtype == PIO_STORED_BF16 && first->stride == 1)
        w->bytes = some_rows(rows, r, w->n_rows).codes;
    atomic_fetch_add(&l->read_bytes, (uint64_t)w->n_rows * (uint64_t)cols * element_bytes);
    return pio_file_copy(first->tensor->file, first->tensor->offset + begin.from, its.to - begin.from, w->bytes, error);
}

/* The elements of the window's row `i`, side by side. */
static const void *gather(const window *w, int32_t i, int32_t cols) {
    const size_t bytes = element_bytes_of(&w->first);
    for (size_t c = 0; c < (size_t)cols; c++)
        memcpy((char *)w->row + c * bytes, w->bytes + bytes * ((size_t)i + c * (size_t)w->first.stride), bytes);
    return w->row;
}

/* Converts the unit's rows to the stored type. */
static pio_status read_rows(loader *l, const pio_fill_unit *unit, pio_fill_scratch *own, const pio_canonical *rows,
                            pio_error *error) {
    const uint32_t features = l->model->chosen.cpu_features;
    const int32_t cols = rows->cols;
    window w;
    for (int32_t r = 0; r < unit->n_rows; r += w.n_rows) {
        pio_status status = read_window(l, unit, r, rows, own, &w, error);
        if (status) return status;
        const int32_t at_once = w.first.stride == 1 ? w.n_rows : 1;
        for (int32_t i = 0; i < w.n_rows; i += at_once) {
            const pio_canonical to = some_rows(rows, r + i, at_once);
            const void *data = w.first.stride == 1 ? w.bytes : gather(&w, i, cols);
            const int64_t bad = pio_quantize(features, dtype_of(w.first.tensor), data, &to, w.quantize_scratch);
            if (bad >= 0) return not_finite(l, unit, r + i + (int32_t)(bad / cols), (int32_t)(bad % cols), error);
        }
    }
    return PIO_OK;
}

static pio_status fill_rows(void *user, const pio_fill_unit *unit, pio_fill_scratch *own, pio_canonical *rows,
                            pio_error *error) {
    loader *l = user;
    const pio_weight *weight = &l->model->spec.weights[unit->weight];
    if (weight->kind == PIO_WEIGHT_VALUES) {
        memcpy(rows->codes, weight->values, sizeof *weight->values * (size_t)weight->cols);
        return PIO_OK;
    }
    if (l->cached && is_quantised(weight)) {
        pio_status status = read_cached(l, unit, rows, error);
        if (status)
            atomic_store(&l->cache_fails, true);
        else
            add_to_checksum(l, unit, rows);
        return status;
    }
    pio_status status = read_rows(l, unit, own, rows, error);
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
        if (l.cached && (atomic_load(&l.cache_fails) || (!status && !cache_was_right(&l)))) {
            pio_model_note(model, true, "the kept quantised weights are damaged and made anew");
            close_cache(&l, PIO_CORRUPT);
            open_cache(&l, false);
            status = pio_fill(model, "loading weights", fill_rows, &l, error);
        }
        close_cache(&l, status);
    }
    model->read_bytes = atomic_load(&l.read_bytes);
    free(l.parts);
    free(l.first_plane);
    return status;
}
