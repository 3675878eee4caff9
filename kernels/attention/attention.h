/* ATTENTION: causal attention of a step's rows over the paged KV cache, several query heads to a KV head.
 *
 *   y[t, h] = sum over c of softmax(scale * q[t, h] . k[c, h / group]) v[c, h / group]
 *
 * q and y are float32 [T, heads x head_dim]. Row r of a sequence (row first_row + r of the step) sees the cache rows
 * 0 .. context + r of its sequence; its own K and V have been appended before. With PIO_ATTENTION_FULL in attrs.flags
 * every row sees all rows of its sequence, the later ones too: attention within a picture. Physical page p of the
 * sequence's page i stands at step.pages[first_page + i]. Rows of the step that belong to no sequence are not written.
 * Layouts of the cache are those of kernels/kv_cache/kv_cache.h. */
#ifndef PIO_KERNELS_ATTENTION_ATTENTION_H
#define PIO_KERNELS_ATTENTION_ATTENTION_H

#include "kernels/dialect/args.h"

#define PIO_ATTENTION_FULL 1

PIO_ARGS(pio_attention_args) {
    pio_u64 q, y; /* rows q_stride and y_stride bytes apart */
    pio_u64 cache;
    pio_u64 counts;    /* pio_step_counts */
    pio_u64 sequences; /* pio_step_sequence [counts.n_sequences] */
    pio_u64 pages;     /* i32: physical page numbers, sequence after sequence */
    pio_u64 scratch;   /* partial results of items that are split over the context; 0: nothing is split */
    pio_u64 counters;  /* u32 [PIO_STEP_COUNTERS], by which devices find the last of an item's parts */
    pio_i32 rows;      /* the bound T */
    pio_i32 q_stride, y_stride;
    pio_i32 n_heads, n_kv_heads, head_dim, page_tokens;
    pio_i32 n_parts; /* pieces that a step's work is cut into where it has few items */
    pio_i32 phase;   /* 0: attention; 1: combines the partial results */
    pio_f32 scale;
    pio_i32 flags;
};

#ifndef PIO_GLSL
#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernel.h"

void pio_attention_portable(const void *args, pio_worker *worker);
void pio_attention_avx2(const void *args, pio_worker *worker);
void pio_attention_avx512(const void *args, pio_worker *worker);
void pio_attention_avx512bf16(const void *args, pio_worker *worker);

/* Bytes of partial results, and the two dispatches with the barrier between them, of the CPU's rows. */
size_t pio_attention_scratch(const pio_call *call);
pio_status pio_attention_record(pio_recorder *recorder, const pio_call *call, pio_error *error);
bool pio_attention_match(const pio_call *call);

/* Devices' rows (attention_launch.c). Heads of multiples of 8 columns; the parts' results; one dispatch each. */
bool pio_attention_match_device(const pio_call *call);
size_t pio_attention_device_scratch(const pio_call *call);
pio_status pio_attention_few_record(pio_recorder *recorder, const pio_call *call, pio_error *error);
bool pio_attention_match_tile(const pio_call *call);
pio_status pio_attention_tile_record(pio_recorder *recorder, const pio_call *call, pio_error *error);
bool pio_attention_match_matrix(const pio_call *call);
pio_status pio_attention_matrix_record(pio_recorder *recorder, const pio_call *call, pio_error *error);
pio_status pio_attention_half_record(pio_recorder *recorder, const pio_call *call, pio_error *error);

/* Into how many parts, at most, a device cuts each of `n_items` that it has at once, so that all its processors read;
 * and the bytes of the parts' results for rows of `n_heads` heads of `dim` columns. */
int32_t pio_attention_device_parts(const pio_call *call, int64_t n_items);
size_t pio_attention_device_parts_bytes(const pio_call *call, int64_t n_items, int32_t dim);

/* Into how many parts a step of few items is cut, `group` query heads to a KV head, and the bytes of their results. */
int32_t pio_attention_parts(int32_t rows, int32_t group, int n_workers);
size_t pio_attention_parts_bytes(int32_t rows, int32_t group, int32_t head_dim, int n_workers);
#endif

#endif
