#include "kernels/case_state.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"
#include "kernels/dtype/quantize.h"

/* ---- the row's side ---- */

static bool clone(case_block *block) {
    if (!case_memory_make(&block->row, block->reference.bytes, 0)) return false;
    memcpy(block->row.data, block->reference.data, (size_t)block->reference.bytes);
    return true;
}

/* Activations in the row's encoding; the reference then reads what the encoding kept. */
static bool encode_acts(case_block *block, pio_encoding encoding, pio_operand *operand) {
    const int64_t from = pio_encoding_stride(PIO_ENC_F32, block->cols), to = pio_encoding_stride(encoding, block->cols);
    if (!case_memory_make(&block->row, to * block->rows, CASE_POISON)) return false;
    for (int32_t t = 0; t < block->live; t++) {
        pio_encode_row(encoding, (float *)(block->reference.data + t * from), block->cols, block->row.data + t * to);
        pio_decode_row(encoding, block->row.data + t * to, block->cols, (float *)(block->reference.data + t * from));
    }
    operand->encoding = encoding;
    operand->stride = to;
    return true;
}

static pio_layout rows_layout(pio_dtype dtype) {
    static const pio_layout layouts[PIO_DTYPE_COUNT] = {[PIO_DTYPE_F32] = PIO_LAYOUT_F32_ROWS,
                                                        [PIO_DTYPE_BF16] = PIO_LAYOUT_BF16_ROWS,
                                                        [PIO_DTYPE_Q8] = PIO_LAYOUT_Q8_ROWS,
                                                        [PIO_DTYPE_Q4] = PIO_LAYOUT_Q4_ROWS};
    return layouts[dtype];
}

static bool make_canonical(const float *x, pio_canonical *out) {
    out->codes = calloc(1, pio_canonical_code_bytes(out->dtype, out->rows, out->cols) + 64);
    out->subs = calloc(1, pio_canonical_sub_bytes(out->dtype, out->rows, out->cols) + 64);
    out->scales = calloc(1, pio_canonical_scale_bytes(out->dtype, out->rows, out->cols) + 64);
    void *scratch = aligned_alloc(64, PIO_ROUND_UP(pio_quantize_scratch(out->cols), 64u));
    bool ready = out->codes && out->subs && out->scales && scratch;
    if (ready) pio_quantize(0, PIO_DTYPE_F32, x, out, scratch);
    free(scratch);
    return ready;
}

/* One side's memory: a layout's bytes for each matrix, 64-byte aligned. */
static bool weight_memory(case_memory *memory, const case_block *block, const pio_layout_info *layout,
                          pio_operand *operand) {
    operand->matrix_bytes = (int64_t)PIO_ROUND_UP(layout->bytes(block->rows, block->cols), 64);
    return case_memory_make(memory, operand->matrix_bytes * block->n_matrices, 0);
}

/* The same canonical weights, row-major for the reference and in the row's layout. */
static bool pack_weight(case_block *block, pio_layout layout, pio_operand *reference, pio_operand *row) {
    if (layout == PIO_LAYOUT_ANY) layout = PIO_LAYOUT_BF16_ROWS;
    pio_canonical canonical = {.dtype = pio_layout_get(layout)->dtype, .rows = block->rows, .cols = block->cols};
    reference->layout = rows_layout(canonical.dtype);
    row->layout = layout;
    const pio_layout_info *of_reference = pio_layout_get(reference->layout), *of_row = pio_layout_get(layout);
    case_memory floats = block->reference;
    bool ready = weight_memory(&block->reference, block, of_reference, reference) &&
                 weight_memory(&block->row, block, of_row, row);
    for (int32_t i = 0; i < block->n_matrices && ready; i++) {
        ready = make_canonical((const float *)floats.data + (int64_t)i * block->rows * block->cols, &canonical);
        if (ready) {
            pio_layout_pack(reference->layout, &canonical, 0, block->reference.data + i * reference->matrix_bytes,
                            block->rows, block->cols);
            pio_layout_pack(layout, &canonical, 0, block->row.data + i * row->matrix_bytes, block->rows, block->cols);
        }
        free(canonical.codes);
        free(canonical.subs);
        free(canonical.scales);
    }
    if (block->reference.data != floats.data) case_memory_free(&floats);
    return ready;
}

/* Random keys and values in the context's rows, as the row's layout keeps them; NaN elsewhere. */
static bool fill_cache(pio_case_builder *b, case_block *block, pio_layout layout) {
    const int32_t n = b->geometry.n_kv_heads * b->geometry.head_dim, page_tokens = b->geometry.page_tokens;
    const int32_t n_floats = pio_kv_row_floats(&b->geometry);
    float *kv = malloc(sizeof *kv * (size_t)n_floats);
    if (!kv ||
        !case_memory_make(&block->row, (int64_t)pio_kv_bytes(layout, &b->geometry, b->cache_pages), CASE_POISON)) {
        free(kv);
        return false;
    }
    const pio_step_counts *counts = (const pio_step_counts *)b->blocks[b->step_blocks[0]].reference.data;
    const pio_step_sequence *sequences = (const pio_step_sequence *)b->blocks[b->step_blocks[4]].reference.data;
    const int32_t *pages = (const int32_t *)b->blocks[b->step_blocks[5]].reference.data;
    for (int32_t s = 0; s < counts->n_sequences; s++) {
        /* Where the cache is only read, the step's own rows are there too. */
        int32_t rows = sequences[s].context + (block->written ? 0 : sequences[s].n_rows);
        for (int32_t t = 0; t < rows; t++) {
            int32_t at = pages[sequences[s].first_page + t / page_tokens] * page_tokens + t % page_tokens;
            const float size = exp2f(b->cache_growth * (float)t);
            for (int32_t i = 0; i < n_floats; i++)
                kv[i] = pio_case_gaussian(b) * (i >= n || b->geometry.rope_dim ? size : 1.0f);
            pio_kv_write_row(layout, &b->geometry, block->row.data, at, kv, kv + n);
            pio_kv_read_row(layout, &b->geometry, block->row.data, at, kv, kv + n);
            pio_kv_write_row(pio_kv_layout_f32(&b->geometry), &b->geometry, block->reference.data, at, kv, kv + n);
        }
    }
    free(kv);
    return true;
}

static pio_addr resolve(const pio_case_builder *b, pio_addr number, bool row) {
    if (!number) return 0;
    const case_block *block = &b->blocks[number - 1];
    return row ? block->row_address : (pio_addr)(uintptr_t)block->reference.data;
}

static void resolve_call(const pio_case_builder *b, pio_call *call, bool row) {
    for (int i = 0; i < call->n_in + call->n_out; i++) {
        pio_operand *operand = i < call->n_in ? &call->in[i] : &call->out[i - call->n_in];
        operand->address = resolve(b, operand->address, row);
        operand->live = resolve(b, operand->live, row);
    }
    pio_addr *const parts[] = {&call->step.counts,       &call->step.ids,       &call->step.positions,
                               &call->step.cache_rows,   &call->step.sequences, &call->step.pages,
                               &call->step.out_rows,     &call->step.draws,     &call->step.taps,
                               &call->step.picture_rows, &call->step.counters};
    for (size_t i = 0; i < PIO_COUNT(parts); i++) *parts[i] = resolve(b, (pio_addr)(b->step_blocks[i] + 1), row);
}

static void resolve_links(pio_case_builder *b) {
    for (int i = 0; i < b->n_blocks; i++) {
        const case_block *block = &b->blocks[i];
        if (block->parent < 0) continue;
        const uint64_t reference = (uintptr_t)block->reference.data, row = block->row_address;
        memcpy(b->blocks[block->parent].reference.data + block->parent_at, &reference, sizeof reference);
        memcpy(b->blocks[block->parent].row.data + block->parent_at, &row, sizeof row);
    }
}

/* Which operand `block` is, or -1. */
static int input_of(const pio_case_builder *b, int block) {
    for (int i = 0; i < PIO_MAX_IN; i++)
        if (b->in_block[i] == block) return i;
    return -1;
}

static bool make_block(pio_case_builder *b, int index, pio_encoding written) {
    case_block *block = &b->blocks[index];
    const int in = input_of(b, index);
    const pio_row *row = b->under_test;
    if (block->kind == CASE_ACTS && in == 0 && row->acts != PIO_ENC_F32)
        return encode_acts(block, row->acts, &b->row_call.in[0]);
    if (block->kind == CASE_WEIGHT)
        return pack_weight(block, block->layout ? block->layout : row->layout, &b->reference_call.in[in],
                           &b->row_call.in[in]);
    if (block->kind == CASE_CACHE) {
        const pio_layout exact = pio_kv_layout_f32(&b->geometry);
        for (int i = 0; i < PIO_MAX_OUT; i++)
            if (b->out_cache[i] == in) b->reference_call.out[i].layout = exact, b->row_call.out[i].layout = row->layout;
        b->reference_call.in[in].layout = exact;
        b->row_call.in[in].layout = row->layout;
        return fill_cache(b, block, row->layout);
    }
    if (block->kind == CASE_OUTPUT && index == b->out_block[0] && written != PIO_ENC_F32 && !b->out_exact_encoding[0]) {
        b->row_call.out[0].encoding = written;
        b->row_call.out[0].stride = pio_encoding_stride(written, block->cols);
        return case_memory_make(&block->row, b->row_call.out[0].stride * block->rows, CASE_POISON);
    }
    return clone(block);
}

static pio_status place(pio_case_builder *b, pio_error *error) {
    if (b->device) return case_device_place(b, error);
    for (int i = 0; i < b->n_blocks; i++) b->blocks[i].row_address = (pio_addr)(uintptr_t)b->blocks[i].row.data;
    return PIO_OK;
}

static bool make_memory(pio_case_builder *b, pio_encoding written) {
    int64_t widest = pio_kv_row_floats(&b->geometry);
    b->reference_call = b->row_call = b->call;
    for (int i = 0; i < b->n_blocks; i++) widest = PIO_MAX(widest, b->blocks[i].cols);
    if (!case_memory_make(&b->values, 2 * (int64_t)sizeof(float) * PIO_MAX(1, widest), 0)) return false;
    for (int i = 0; i < b->n_blocks; i++)
        if (!make_block(b, i, written)) return false;
    return true;
}

static pio_status make_sides(pio_case_builder *b, pio_encoding written, pio_error *error) {
    if (!make_memory(b, written)) return pio_fail(error, PIO_OUT_OF_MEMORY, "not enough memory to try a kernel");
    pio_status status = place(b, error);
    if (status) return status;
    resolve_call(b, &b->reference_call, false);
    resolve_call(b, &b->row_call, true);
    resolve_links(b);
    for (int i = 0; i < b->n_blocks; i++) {
        case_block *block = &b->blocks[i];
        if (!case_memory_make(&block->before, block->row.bytes, 0))
            return pio_fail_memory(error, "a case", (uint64_t)block->row.bytes);
        memcpy(block->before.data, block->row.data, (size_t)block->row.bytes);
    }
    return PIO_OK;
}

/* ---- running ---- */

/* Who runs a dispatch: workers that take turns on this thread, the last one first, so that none may wait for another;
 * or, to be timed, the threads of a pool. */
typedef struct case_workers {
    int n;
    pio_pool *pool; /* NULL: turns */
    char *scratch;  /* PIO_WORKER_SCRATCH_BYTES, of each thread of the pool */
} case_workers;

/* Runs dispatches at once. */
typedef struct direct_recorder {
    pio_recorder base;
    const pio_row *row;
    const case_workers *workers;
} direct_recorder;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

typedef struct dispatch {
    pio_cpu_function function;
    const void *args;
    atomic_int next;
    char *scratch;
} dispatch;

static void run_share(void *context, int index, int n_workers) {
    dispatch *d = context;
    pio_worker worker = {.index = index,
                         .n_workers = n_workers,
                         .next = &d->next,
                         .scratch = d->scratch + (size_t)index * PIO_WORKER_SCRATCH_BYTES,
                         .scratch_bytes = PIO_WORKER_SCRATCH_BYTES,
                         .reads_far = true};
    d->function(d->args, &worker);
}

static void run_function(pio_cpu_function function, const void *args, const case_workers *workers) {
    dispatch d = {.function = function, .args = args, .scratch = workers->scratch};
    if (workers->pool) {
        pio_pool_run(workers->pool, run_share, &d);
        return;
    }
    for (int i = workers->n - 1; i >= 0; i--) {
        pio_worker worker = {.index = i,
                             .n_workers = workers->n,
                             .next = &d.next,
                             .scratch = workers->scratch,
                             .scratch_bytes = PIO_WORKER_SCRATCH_BYTES,
                             .reads_far = i % 2}; /* either way is tried */
        function(args, &worker);
    }
}

static pio_status dispatch_now(pio_recorder *recorder, int index, const pio_launch *launch, const void *args,
                               size_t args_bytes, pio_error *error) {
    (void)launch, (void)error;
    direct_recorder *r = (direct_recorder *)recorder;
    PIO_ALIGNED(16) char copy[PIO_ARGS_MAX_BYTES] = {0};
    memcpy(copy, args, args_bytes);
    run_function(r->row->functions[index], copy, r->workers);
    return PIO_OK;
}

static pio_status barrier_now(pio_recorder *recorder, pio_error *error) {
    (void)recorder, (void)error;
    return PIO_OK;
}

static pio_status run_row(pio_case_builder *b, const case_workers *workers, pio_error *error) {
    const pio_row *row = b->under_test;
    case_memory scratch = {0};
    size_t bytes = row->scratch ? row->scratch(&b->row_call) : 0;
    if (bytes && !case_memory_make(&scratch, (int64_t)bytes, CASE_POISON))
        return pio_fail_memory(error, "a case's scratch", bytes);
    b->row_call.scratch = (pio_addr)(uintptr_t)scratch.data;
    direct_recorder recorder = {{dispatch_now, barrier_now}, row, workers};
    pio_status status = pio_row_record(row, &recorder.base, &b->row_call, error);
    if (!status && bytes && !case_guards_are_whole(&scratch))
        status = pio_fail(error, PIO_INTERNAL, "it writes past its scratch");
    case_memory_free(&scratch);
    return status;
}

static void run_reference(pio_case_builder *b, const case_workers *workers) {
    PIO_ALIGNED(16) char args[PIO_ARGS_MAX_BYTES] = {0};
    const pio_op_info *op = pio_op_get(b->call.op);
    op->bind(&b->reference_call, args);
    run_function(op->reference, args, workers);
}

/* ---- comparing ---- */

/* Of a number just above a power of two, half a unit in the last of 8 places: 2^-8, squared. */
static const double BF16_ROUNDING = 1.6e-5;

static bool wrong(pio_case_result *result, const char *format, ...) PIO_PRINTF(2, 3);
static bool wrong(pio_case_result *result, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(result->text, sizeof result->text, format, args);
    va_end(args);
    result->outcome = PIO_CASE_FAILED;
    return false;
}

typedef struct error_sum {
    double error, power;
    bool not_finite;
} error_sum;

static void add_row(error_sum *sum, const float *x, const float *reference, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        double d = (double)x[i] - reference[i];
        sum->error += d * d;
        sum->power += (double)reference[i] * reference[i];
        if (!isfinite(x[i])) sum->not_finite = true;
    }
}

static bool judge(const pio_case_builder *b, const error_sum *sum, double tolerance, pio_case_result *result) {
    double nmse = sum->power > 0 ? sum->error / sum->power : sum->error;
    result->nmse = fmax(result->nmse, nmse);
    if (sum->not_finite) return wrong(result, "it writes values that are not finite, or leaves some unwritten");
    if (!(nmse <= tolerance)) return wrong(result, "nmse %.3g is over %.3g (%s)", nmse, tolerance, b->reason);
    return true;
}

static bool compare_acts(const pio_case_builder *b, int out, const case_block *block, pio_case_result *result) {
    const pio_operand *of_row = &b->row_call.out[out], *of_reference = &b->reference_call.out[out];
    const int64_t used = pio_encoding_bytes(of_row->encoding, block->cols); /* the rest keeps its poison */
    float *x = (float *)b->values.data, *reference = x + block->cols;
    error_sum sum = {0};
    for (int32_t t = 0; t < block->live; t++) {
        pio_decode_row(of_row->encoding, block->row.data + t * of_row->stride, block->cols, x);
        pio_decode_row(of_reference->encoding, block->reference.data + t * of_reference->stride, block->cols,
                       reference);
        add_row(&sum, x, reference, block->cols);
    }
    for (int32_t t = 0; t < block->rows; t++) {
        int64_t from = t * of_row->stride + (t < block->live ? used : 0), n = (t + 1) * of_row->stride - from;
        if (memcmp(block->row.data + from, block->before.data + from, (size_t)n))
            return wrong(result, "it writes outside the live rows' columns (row %d)", t);
    }
    /* An encoding of the row's own choice adds its own rounding; float16's is 2^-11 at most. */
    static const double roundings[PIO_ENC_COUNT] = {
        [PIO_ENC_BF16] = 1.6e-5, [PIO_ENC_S8] = 3e-3, [PIO_ENC_F16] = 2.4e-7};
    const double rounding = of_row->encoding == of_reference->encoding ? 0 : roundings[of_row->encoding];
    return judge(b, &sum, b->tolerance + rounding, result);
}

static bool compare_cache(const pio_case_builder *b, const case_block *block, pio_case_result *result) {
    const int32_t n = b->geometry.n_kv_heads * b->geometry.head_dim;
    const pio_step_counts *counts = (const pio_step_counts *)b->blocks[b->step_blocks[0]].reference.data;
    const int32_t *cache_rows = (const int32_t *)b->blocks[b->step_blocks[3]].reference.data;
    const int32_t n_floats = pio_kv_row_floats(&b->geometry);
    const pio_layout layout = b->under_test->layout, exact = pio_kv_layout_f32(&b->geometry);
    float *x = (float *)b->values.data, *reference = x + n_floats;
    error_sum sum = {0};
    for (int32_t t = 0; t < counts->n_tokens; t++) {
        pio_kv_read_row(layout, &b->geometry, block->row.data, cache_rows[t], x, x + n);
        pio_kv_read_row(exact, &b->geometry, block->reference.data, cache_rows[t], reference, reference + n);
        add_row(&sum, x, reference, n_floats);
        pio_kv_read_row(layout, &b->geometry, block->before.data, cache_rows[t], x, x + n);
        pio_kv_write_row(layout, &b->geometry, block->row.data, cache_rows[t], x, x + n);
    }
    /* With the step's own rows as they were, everything but page 0 must be as before. NaN rows are not restored bit by
     * bit, so they are compared as poison against poison by value. */
    const int64_t page = (int64_t)(pio_kv_bytes(layout, &b->geometry, 2) - pio_kv_bytes(layout, &b->geometry, 1));
    int64_t differing = 0;
    for (int64_t i = page; i < block->row.bytes; i++)
        differing += block->row.data[i] != block->before.data[i] && (unsigned char)block->before.data[i] != CASE_POISON;
    if (differing)
        return wrong(result, "it changes %lld bytes of the cache that are not the step's", (long long)differing);
    return judge(b, &sum, b->tolerance + (layout == exact ? 0 : BF16_ROUNDING), result);
}

/* States, compared word by word but for the addresses in them. */
static bool compare_words(const pio_case_builder *b, int index, pio_case_result *result) {
    const case_block *block = &b->blocks[index];
    for (int64_t at = 0; at < block->reference.bytes; at++) {
        bool is_address = false;
        for (int i = 0; i < b->n_blocks; i++)
            is_address |=
                b->blocks[i].parent == index && at >= b->blocks[i].parent_at && at < b->blocks[i].parent_at + 8;
        if (!is_address && block->row.data[at] != block->reference.data[at])
            return wrong(result, "byte %lld of its words differs from the reference's", (long long)at);
    }
    return true;
}

static bool compare(const pio_case_builder *b, pio_case_result *result) {
    for (int i = 0; i < b->n_blocks; i++) {
        const case_block *block = &b->blocks[i];
        if (!case_guards_are_whole(&block->row)) return wrong(result, "it writes outside its operands");
        if (!block->written && memcmp(block->row.data, block->before.data, (size_t)block->row.bytes))
            return wrong(result, "it changes an input");
        if (block->kind == CASE_WORDS && block->written && !compare_words(b, i, result)) return false;
    }
    for (int out = 0; out < b->call.n_out; out++) {
        const int index = b->out_block[out];
        if (b->out_words[out]        ? !compare_words(b, index, result)
            : b->out_cache[out] >= 0 ? !compare_cache(b, &b->blocks[index], result)
                                     : !compare_acts(b, out, &b->blocks[index], result))
            return false;
    }
    return true;
}

/* Whether the row takes that many rows. Asked first: filling the operands of a case that the row does not take would
 * cost more than most cases do. PIO_NOT_FOUND: there is no such case. */
static pio_status takes_rows(const pio_row *row, int index, pio_case_builder *b, bool *takes, pio_error *error) {
    case_builder_init(b, row, 1, true);
    pio_status status = case_describe(b, pio_op_get(row->op)->make_case, index, error);
    *takes = b->call.in[0].rows >= row->min_rows && b->call.in[0].rows <= row->max_rows;
    case_builder_free(b);
    return status;
}

static bool is_served(const pio_case_builder *b) {
    const pio_encoding written = b->row_call.out[0].encoding;
    if (written != PIO_ENC_F32 && !(b->under_test->out_encodings & 1u << written)) return false;
    return !b->under_test->match || b->under_test->match(&b->row_call);
}

/* Makes case `index` with both its sides, where the row takes it; builder_free even then. */
static pio_status make_case(pio_case_builder *b, const pio_row *row, const pio_case_device *device, int index,
                            uint64_t seed, int n_workers, pio_encoding written, bool *served, pio_error *error) {
    pio_status status = takes_rows(row, index, b, served, error);
    case_builder_init(b, row, seed, false);
    *served &= !status;
    if (!*served) return status;
    b->device = device;
    status = case_describe(b, pio_op_get(row->op)->make_case, index, error);
    if (!status) status = make_sides(b, written, error);
    b->reference_call.n_workers = b->row_call.n_workers = n_workers;
    if (!status && device) {
        pio_device_caps caps;
        pio_device_get_caps(device->device, &caps);
        b->row_call.subgroup_size = caps.subgroup_size;
    }
    *served = !status && is_served(b);
    return status;
}

/* Runs both sides and compares. */
static pio_status try_case(pio_case_builder *b, int n_workers, char *scratch, pio_case_result *result,
                           pio_error *error) {
    result->outcome = PIO_CASE_PASSED;
    const case_workers workers = {.n = n_workers, .scratch = scratch};
    memset(scratch, CASE_POISON, PIO_WORKER_SCRATCH_BYTES);
    run_reference(b, &workers);
    memset(scratch, CASE_POISON, PIO_WORKER_SCRATCH_BYTES);
    pio_error failed = {0};
    pio_status status = b->device ? case_device_run(b, &failed) : run_row(b, &workers, &failed);
    if (status == PIO_OUT_OF_MEMORY || status == PIO_DEVICE_LOST) /* no fault of the row's */
        return pio_fail(error, status, "%s", failed.text);
    if (status)
        wrong(result, "%.400s", failed.text);
    else
        compare(b, result);
    return PIO_OK;
}

pio_status pio_case_run(const pio_row *row, const pio_case_device *device, int index, uint64_t seed, int n_workers,
                        pio_encoding written, pio_case_result *result, pio_error *error) {
    pio_case_builder *b = malloc(sizeof *b);
    char *scratch = aligned_alloc(64, PIO_WORKER_SCRATCH_BYTES);
    bool served = false;
    *result = (pio_case_result){.outcome = PIO_CASE_NOT_SERVED};
    pio_status status = b && scratch ? PIO_OK : pio_fail_memory(error, "a case", sizeof *b + PIO_WORKER_SCRATCH_BYTES);
    if (!status) {
        status = make_case(b, row, device, index, seed, n_workers, written, &served, error);
        snprintf(result->name, sizeof result->name, "%s", b->name);
        if (served) status = try_case(b, n_workers, scratch, result, error);
        case_builder_free(b);
    }
    free(b);
    free(scratch);
    return status;
}

pio_status pio_case_record(const pio_row *row, const pio_case_device *device, int index, uint64_t seed, int n_workers,
                           pio_list *list, bool *served, pio_error *error) {
    pio_case_builder *b = malloc(sizeof *b);
    *served = false;
    if (!b) return pio_fail_memory(error, "a case", sizeof *b);
    pio_status status = make_case(b, row, device, index, seed, n_workers, PIO_ENC_F32, served, error);
    if (*served) {
        b->row_call.scratch = row->scratch ? CASE_GUARD_BYTES : 0; /* an address like any other: nothing will run */
        status = pio_kernels_record(device->kernels, list, row, &b->row_call, error);
    }
    case_builder_free(b);
    free(b);
    return status;
}

pio_status pio_case_time(const pio_row *row, bool (*describe)(pio_case_builder *, int), int index, pio_pool *pool,
                         double *seconds, int n_times, pio_case_result *result, pio_error *error) {
    pio_case_builder *b = malloc(sizeof *b);
    case_workers workers = {.n = pio_pool_size(pool), .pool = pool};
    const size_t scratch_bytes = PIO_WORKER_SCRATCH_BYTES * (size_t)workers.n;
    workers.scratch = aligned_alloc(64, scratch_bytes);
    *result = (pio_case_result){.outcome = PIO_CASE_NOT_SERVED};
    pio_status status = b && workers.scratch ? PIO_OK : pio_fail_memory(error, "a case", sizeof *b + scratch_bytes);
    if (!status) {
        case_builder_init(b, row, 1, false);
        status = case_describe(b, describe, index, error);
        if (!status) status = make_sides(b, PIO_ENC_F32, error);
        snprintf(result->name, sizeof result->name, "%s", b->name);
        b->row_call.n_workers = workers.n;
        const int32_t rows = b->call.in[0].rows;
        if (!status && rows >= row->min_rows && rows <= row->max_rows && is_served(b))
            result->outcome = PIO_CASE_PASSED;
        for (int i = 0; i < n_times && !status && result->outcome == PIO_CASE_PASSED; i++) {
            double start = now_s();
            status = run_row(b, &workers, error);
            seconds[i] = now_s() - start;
        }
        case_builder_free(b);
    }
    free(b);
    free(workers.scratch);
    return status;
}
