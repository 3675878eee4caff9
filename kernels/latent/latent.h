/* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), in the absorbed form: the cache holds one latent a token
 * for all heads, and what would make keys and values of it is applied to the queries and to the results instead.
 *
 *   q_latent[t, h] = W_UK,h^T q_nope[t, h]                                        LINEAR_HEADS
 *   o[t, h]        = sum over c of softmax(scale (q_latent[t, h] . latent[c] + q_rope[t, h] . k_rope[c])) latent[c]
 *   y[t, h]        = W_UV,h o[t, h]                                                LINEAR_HEADS
 *
 * The cache's layouts are in kernels/kv_cache/kv_cache.h. */
#ifndef PIO_KERNELS_LATENT_LATENT_H
#define PIO_KERNELS_LATENT_LATENT_H

#include "kernels/dialect/args.h"

/* LINEAR_HEADS: y[t][h N + n] = sum_k x[t][h head_cols + column + k] w[h][n][k]; x in the row's encoding, F32 or BF16,
 * y float32. */
PIO_ARGS(pio_linear_heads_args) {
    pio_u64 x; /* rows x_stride bytes apart */
    pio_u64 w; /* n_heads matrices [n_out, cols], matrix_bytes apart */
    pio_u64 matrix_bytes;
    pio_u64 y;       /* rows y_stride bytes apart */
    pio_u64 live;    /* i32: the live rows; 0: all */
    pio_u64 scratch; /* what the row's scratch() asked for */
    pio_i32 rows;    /* the bound T */
    pio_i32 n_heads, cols, n_out;
    pio_i32 head_cols, column;
    pio_i32 w_layout; /* pio_layout of w */
    pio_i32 x_stride, y_stride;
};

/* LATENT_APPEND: kv [T, head_dim + rope_dim] float32 -> row step.cache_rows[t] of a latent cache: the latent
 * normalised, x * w / sqrt(mean(x^2) + eps) over its head_dim columns, and the others rotated as ROPE
 * (kernels/rope/rope.h) rotates a head, by its flags. */
PIO_ARGS(pio_latent_append_args) {
    pio_u64 kv;   /* rows kv_stride bytes apart */
    pio_u64 norm; /* float32 [head_dim] */
    pio_u64 cache;
    pio_u64 table; /* float32 [T, rope_dim], rows table_stride bytes apart */
    pio_u64 cache_rows;
    pio_u64 live;
    pio_f32 eps;
    pio_i32 rows;
    pio_i32 kv_stride, table_stride;
    pio_i32 head_dim, rope_dim;
    pio_i32 flags;
};

/* ROPE_LATENT_APPEND: LATENT_APPEND, and ROPE of the heads of q, head_cols columns each, by the same table and flags; y
 * may be q. */
PIO_ARGS(pio_rope_latent_append_args) {
    pio_u64 kv, norm, cache, table, cache_rows, live; /* as LATENT_APPEND's, like all else that has its names */
    pio_u64 q, y;                                     /* f32 [T, heads x head_cols] */
    pio_f32 eps;
    pio_i32 rows;
    pio_i32 kv_stride, table_stride;
    pio_i32 head_dim, rope_dim;
    pio_i32 flags;
    pio_i32 n_heads, head_cols;
    pio_i32 q_stride, y_stride;
};

/* LATENT_QUERIES: ROPE_LATENT_APPEND, and LINEAR_HEADS of the same q as it was, of a head's columns behind the rotated
 * ones. */
PIO_ARGS(pio_latent_queries_args) {
    pio_u64 kv, norm, cache, table, cache_rows, live; /* as ROPE_LATENT_APPEND's, like all else that has its names */
    pio_u64 q, y;
    pio_u64 w;        /* n_heads matrices [head_dim, head_cols - rope_dim], matrix_bytes apart */
    pio_u64 q_latent; /* f32 [T, heads x head_dim] */
    pio_f32 eps;
    pio_i32 rows;
    pio_i32 kv_stride, table_stride;
    pio_i32 head_dim, rope_dim;
    pio_i32 flags; /* and from bit PIO_LATENT_QUERIES_LAYOUT on the pio_layout of w */
    pio_i32 n_heads, head_cols;
    pio_i32 q_stride; /* of y too */
    pio_i32 q_latent_stride;
    pio_i32 matrix_bytes;
};
#define PIO_LATENT_QUERIES_LAYOUT 8

/* What the argument structs of appends share, but flags: an initialiser of one from another. */
#define PIO_LATENT_APPEND_FROM(a)                                                                                      \
    .kv = (a)->kv, .norm = (a)->norm, .cache = (a)->cache, .table = (a)->table, .cache_rows = (a)->cache_rows,         \
    .live = (a)->live, .eps = (a)->eps, .rows = (a)->rows, .kv_stride = (a)->kv_stride,                                \
    .table_stride = (a)->table_stride, .head_dim = (a)->head_dim, .rope_dim = (a)->rope_dim

/* LATENT_ATTENTION: causal, as ATTENTION; q_latent and y float32 [T, heads x head_dim]; q float32 [T, heads x
 * head_cols], whose first rope_dim columns of a head are the rotated ones. */
PIO_ARGS(pio_latent_attention_args) {
    pio_u64 q_latent, q, y;
    pio_u64 cache;
    pio_u64 counts;    /* pio_step_counts */
    pio_u64 sequences; /* pio_step_sequence [counts.n_sequences] */
    pio_u64 pages;     /* i32: physical page numbers, sequence after sequence */
    pio_u64 scratch;   /* as ATTENTION's, like counters, n_parts and phase */
    pio_u64 counters;
    pio_i32 rows; /* the bound T */
    pio_i32 q_latent_stride, q_stride, y_stride;
    pio_i32 n_heads, head_dim, rope_dim, head_cols, page_tokens;
    pio_i32 n_parts, phase;
    pio_f32 scale;
};

#ifndef PIO_GLSL
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct pio_call;
struct pio_recorder;

bool pio_linear_heads_match(const struct pio_call *call);
bool pio_linear_heads_match_few(const struct pio_call *call);
bool pio_linear_heads_match_many(const struct pio_call *call);
bool pio_linear_heads_match_pairs(const struct pio_call *call); /* many rows, heads that begin at pairs of columns */
size_t pio_linear_heads_tiles_scratch(const struct pio_call *call);
size_t pio_linear_heads_tiles_bf16_scratch(const struct pio_call *call);

struct pio_launch;
void pio_linear_heads_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_latent_append_launch(const struct pio_call *call, struct pio_launch *launch);
bool pio_rope_latent_append_match(const struct pio_call *call);
void pio_rope_latent_append_launch(const struct pio_call *call, struct pio_launch *launch);
bool pio_latent_queries_match(const struct pio_call *call);
void pio_latent_queries_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_latent_attention_launch(const struct pio_call *call, struct pio_launch *launch);

/* The row by tiles (latent_avx512bf16.c): latents that it can take apart; partial results, and the two dispatches. */
bool pio_latent_tile_match(const struct pio_call *call);
bool pio_latent_few_match(const struct pio_call *call); /* the row for few tokens, latent_few_avx512bf16.c */
size_t pio_latent_tile_scratch(const struct pio_call *call);
pio_status pio_latent_tile_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);

/* Devices' rows by tiles, without and with matrix units. */
bool pio_latent_device_match(const struct pio_call *call);
size_t pio_latent_device_scratch(const struct pio_call *call);
pio_status pio_latent_device_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);
pio_status pio_latent_matrix_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);
#endif

#endif
