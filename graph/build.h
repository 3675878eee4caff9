/* Building graphs. A model's graph.c declares weights, caches and states, then calls one function an op, in execution
 * order. The first failure is kept in spec->error; after it every call returns PIO_NO_TENSOR (or -1) at once, so that a
 * model reads without checks and asks once at the end.
 *
 * Shapes: T is the rows of x. Weight names may hold one %d for the layer: see pio_spec.layer. */
#ifndef PIO_GRAPH_BUILD_H
#define PIO_GRAPH_BUILD_H

#include "graph/graph.h"

/* Starts graph `name`; the functions below add to the newest one. */
void pio_build_graph(pio_spec *spec, const char *name);

/* ---- weights: return an index ---- `tensor` is the checkpoint's name; rows and cols its shape there */
int32_t pio_weight_of(pio_spec *spec, pio_weight_kind kind, const char *tensor, int32_t rows, int32_t cols);
int32_t pio_weight_matrix(pio_spec *spec, const char *tensor, int32_t rows, int32_t cols);
int32_t pio_weight_table(pio_spec *spec, const char *tensor, int32_t rows, int32_t cols);
int32_t pio_weight_vector(pio_spec *spec, const char *tensor, int32_t n);
/* n_parts tensors, one below the other, or (`interleaved`, two of equal rows) in blocks of 16 rows in turn. */
int32_t pio_weight_concat(pio_spec *spec, const char *name, bool interleaved, int n_parts, const char *const tensors[],
                          const int32_t rows[], int32_t cols);
/* n_matrices matrices [rows, cols]: their parts follow by pio_weight_part_add, in order, as many of each. */
int32_t pio_weight_stack(pio_spec *spec, const char *name, pio_weight_kind kind, bool interleaved, int32_t n_matrices,
                         int32_t rows, int32_t cols);
void pio_weight_part_add(pio_spec *spec, int32_t weight, const pio_weight_part *part);
/* n float32 numbers, copied. */
int32_t pio_weight_values(pio_spec *spec, const char *name, const float *values, int32_t n);

int32_t pio_cache_add(pio_spec *spec, int32_t n_kv_heads, int32_t head_dim);
int32_t pio_patch_cache_add(pio_spec *spec, int32_t n_kv_heads, int32_t head_dim); /* for one vision step */
int32_t pio_latent_cache_add(pio_spec *spec, int32_t latent_dim, int32_t rope_dim);
int32_t pio_state_add(pio_spec *spec, const char *name, pio_dim rows, int64_t row_bytes);

/* ---- tensors ---- */
pio_tensor pio_weight_use(pio_spec *spec, int32_t weight);
pio_tensor pio_state_use(pio_spec *spec, int32_t state, int32_t cols);
pio_tensor pio_columns(pio_spec *spec, pio_tensor x, int32_t first, int32_t cols); /* a view */
void pio_tap(pio_spec *spec, pio_tensor x, const char *name);                      /* keeps x readable after the step */
void pio_store(pio_spec *spec, pio_tensor x, int32_t state); /* x is written into the state's rows */

/* x is written into columns [column, column + x's) of the state's rows, of which it has `cols`. */
void pio_store_columns(pio_spec *spec, pio_tensor x, int32_t state, int32_t cols, int32_t column);

/* ---- ops ---- contracts in kernels/ops.def; `weight` arguments are indices of weights, -1: absent */
pio_tensor pio_embed(pio_spec *spec, int32_t table, int32_t slots);
pio_tensor pio_gather_rows(pio_spec *spec, pio_tensor x);
pio_tensor pio_rmsnorm(pio_spec *spec, pio_tensor x, int32_t weight, float eps);
/* merged > 1: as many rows of x side by side become one row, [T, N] -> [T / merged, merged N], T being PIO_PATCHES. */
pio_tensor pio_layernorm(pio_spec *spec, pio_tensor x, int32_t weight, int32_t bias, float eps, int32_t merged);
pio_tensor pio_linear(pio_spec *spec, pio_tensor x, int32_t weight, int32_t bias);
pio_tensor pio_add(pio_spec *spec, pio_tensor a, pio_tensor b);
pio_tensor pio_swiglu(pio_spec *spec, pio_tensor gate_up);
pio_tensor pio_gelu(pio_spec *spec, pio_tensor x, int32_t flags);
/* ROUTE; `attrs`: its flags, scale, eps and groups. Writes *weights [T, n_chosen], returns the experts [T, n_chosen].
 */
pio_tensor pio_route(pio_spec *spec, pio_tensor logits, int32_t bias, int32_t n_chosen, const pio_attrs *attrs,
                     pio_tensor *weights);
/* x [T, K] times the matrices of its experts -> [T x n_chosen, N]; `weight` has one matrix an expert. */
pio_tensor pio_experts_linear(pio_spec *spec, pio_tensor x, int32_t weight, pio_tensor experts);
/* residual + the weighted sum of h's rows times their experts' matrices -> [T, N] */
pio_tensor pio_experts_down(pio_spec *spec, pio_tensor h, int32_t weight, pio_tensor experts, pio_tensor weights,
                            pio_tensor residual);
pio_tensor pio_rope_table(pio_spec *spec, int32_t frequencies, float scale);
/* Of the rows of another symbol, each frequency with its own of the three positions (axes: -1: the first). */
pio_tensor pio_rope_table_of(pio_spec *spec, pio_symbol rows, int32_t frequencies, int32_t axes, float scale);
pio_tensor pio_rope(pio_spec *spec, pio_tensor x, pio_tensor table, int32_t head_dim);
pio_tensor pio_rope_interleaved(pio_spec *spec, pio_tensor x, pio_tensor table, int32_t head_dim);
/* Each head by its own matrix of `weight`: of a head's head_cols columns of x, those from `column` on. */
pio_tensor pio_linear_heads(pio_spec *spec, pio_tensor x, int32_t weight, int32_t head_cols, int32_t column);
void pio_latent_append(pio_spec *spec, pio_tensor kv, int32_t norm, pio_tensor table, int32_t cache, float eps,
                       int32_t flags);
/* q_latent [T, heads x latent], and q [T, heads x ..], whose heads begin with the rotated columns. */
pio_tensor pio_latent_attention(pio_spec *spec, pio_tensor q_latent, pio_tensor q, int32_t cache, float scale);
void pio_kv_append(pio_spec *spec, pio_tensor k, pio_tensor v, int32_t cache);
pio_tensor pio_attention(pio_spec *spec, pio_tensor q, int32_t cache, float scale);
pio_tensor pio_attention_full(pio_spec *spec, pio_tensor q, int32_t cache, float scale); /* sees later rows too */
pio_tensor pio_add_positions(pio_spec *spec, pio_tensor x, int32_t table);
pio_tensor pio_picture_rows(pio_spec *spec, pio_tensor x, int32_t column, int32_t flags);
void pio_sample(pio_spec *spec, pio_tensor logits, int32_t slots, int32_t ring);

#endif
