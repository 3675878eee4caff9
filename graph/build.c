#include "graph/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "kernels/attention/attention.h"
#include "kernels/rope/rope.h"

static bool failed(const pio_spec *spec) {
    return spec->error.status != PIO_OK;
}

static int32_t out_of_memory(pio_spec *spec) {
    pio_fail_memory(&spec->error, "the model's graph", 0);
    return -1;
}

static pio_graph *newest(pio_spec *spec) {
    return &spec->graphs[spec->n_graphs - 1];
}

void pio_build_graph(pio_spec *spec, const char *name) {
    if (failed(spec)) return;
    pio_graph *graph = PIO_PUSH(spec, graphs);
    if (!graph) {
        out_of_memory(spec);
        return;
    }
    snprintf(graph->name, sizeof graph->name, "%s", name);
    spec->layer = -1;
}

/* ---- weights ---- */

int32_t pio_weight_stack(pio_spec *spec, const char *name, pio_weight_kind kind, bool interleaved, int32_t n_matrices,
                         int32_t rows, int32_t cols) {
    if (failed(spec)) return -1;
    pio_weight *weight = PIO_PUSH(spec, weights);
    if (!weight) return out_of_memory(spec);
    snprintf(weight->name, sizeof weight->name, "%s", name);
    weight->kind = kind;
    weight->interleaved = interleaved;
    weight->n_matrices = n_matrices;
    weight->rows = rows;
    weight->cols = cols;
    weight->first_part = spec->n_parts;
    weight->dtype = PIO_DTYPE_F32;
    weight->layout = PIO_LAYOUT_F32_ROWS;
    return spec->n_weights - 1;
}

void pio_weight_part_add(pio_spec *spec, int32_t weight, const pio_weight_part *given) {
    if (failed(spec)) return;
    pio_weight_part *part = PIO_PUSH(spec, parts);
    if (!part) {
        out_of_memory(spec);
        return;
    }
    *part = *given;
    spec->weights[weight].n_parts++;
}

/* A whole tensor. */
static void add_whole(pio_spec *spec, int32_t weight, const char *tensor, int32_t rows) {
    pio_weight_part part = {.from = {.tensor_rows = rows}, .rows = rows};
    snprintf(part.from.tensor, sizeof part.from.tensor, "%s", tensor);
    pio_weight_part_add(spec, weight, &part);
}

int32_t pio_weight_of(pio_spec *spec, pio_weight_kind kind, const char *tensor, int32_t rows, int32_t cols) {
    int32_t weight = pio_weight_stack(spec, tensor, kind, false, 1, rows, cols);
    if (weight >= 0) add_whole(spec, weight, tensor, rows);
    return weight;
}

int32_t pio_weight_matrix(pio_spec *spec, const char *tensor, int32_t rows, int32_t cols) {
    return pio_weight_of(spec, PIO_WEIGHT_MATRIX, tensor, rows, cols);
}

int32_t pio_weight_table(pio_spec *spec, const char *tensor, int32_t rows, int32_t cols) {
    return pio_weight_of(spec, PIO_WEIGHT_TABLE, tensor, rows, cols);
}

int32_t pio_weight_vector(pio_spec *spec, const char *tensor, int32_t n) {
    return pio_weight_of(spec, PIO_WEIGHT_VECTOR, tensor, 1, n);
}

int32_t pio_weight_concat(pio_spec *spec, const char *name, bool interleaved, int n_parts, const char *const tensors[],
                          const int32_t rows[], int32_t cols) {
    int32_t sum = 0;
    for (int i = 0; i < n_parts; i++) sum += rows[i];
    int32_t weight = pio_weight_stack(spec, name, PIO_WEIGHT_MATRIX, interleaved, 1, sum, cols);
    if (weight < 0) return weight;
    for (int i = 0; i < n_parts; i++) add_whole(spec, weight, tensors[i], rows[i]);
    return weight;
}

int32_t pio_weight_values(pio_spec *spec, const char *name, const float *values, int32_t n) {
    int32_t weight = pio_weight_stack(spec, name, PIO_WEIGHT_VALUES, false, 1, 1, n);
    if (weight < 0) return weight;
    float *copy = malloc(sizeof *copy * (size_t)n);
    if (!copy) return out_of_memory(spec);
    memcpy(copy, values, sizeof *copy * (size_t)n);
    spec->weights[weight].values = copy;
    return weight;
}

int32_t pio_cache_add(pio_spec *spec, int32_t n_kv_heads, int32_t head_dim) {
    if (failed(spec)) return -1;
    pio_cache *cache = PIO_PUSH(spec, caches);
    if (!cache) return out_of_memory(spec);
    *cache = (pio_cache){.n_kv_heads = n_kv_heads, .head_dim = head_dim, .layout = PIO_LAYOUT_KV_F32};
    return spec->n_caches - 1;
}

int32_t pio_latent_cache_add(pio_spec *spec, int32_t latent_dim, int32_t rope_dim) {
    int32_t cache = pio_cache_add(spec, 1, latent_dim);
    if (cache >= 0) spec->caches[cache].rope_dim = rope_dim;
    return cache;
}

int32_t pio_patch_cache_add(pio_spec *spec, int32_t n_kv_heads, int32_t head_dim) {
    int32_t cache = pio_cache_add(spec, n_kv_heads, head_dim);
    if (cache >= 0) spec->caches[cache].of_patches = true;
    return cache;
}

int32_t pio_state_add(pio_spec *spec, const char *name, pio_dim rows, int64_t row_bytes) {
    if (failed(spec)) return -1;
    pio_state *state = PIO_PUSH(spec, states);
    if (!state) return out_of_memory(spec);
    snprintf(state->name, sizeof state->name, "%s", name);
    state->rows = rows;
    state->row_bytes = row_bytes;
    return spec->n_states - 1;
}

/* ---- tensors ---- */

static pio_tensor tensor_add(pio_spec *spec, pio_place place, int32_t index, pio_dim rows, int32_t cols,
                             const char *name) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_graph *graph = newest(spec);
    pio_tensor_info *info = PIO_PUSH(graph, tensors);
    if (!info) return out_of_memory(spec);
    info->place = place;
    info->index = index;
    info->rows = rows;
    info->cols = cols;
    snprintf(info->name, sizeof info->name, "%.*s", PIO_MAX_NAME - 1, name);
    return graph->n_tensors - 1;
}

/* The tensor that stands for weight, cache or state `index` in this graph: made once. */
static pio_tensor shared_tensor(pio_spec *spec, pio_place place, int32_t index, pio_dim rows, int32_t cols,
                                const char *name) {
    if (failed(spec) || index < 0) return PIO_NO_TENSOR;
    const pio_graph *graph = newest(spec);
    for (int32_t i = 0; i < graph->n_tensors; i++)
        if (graph->tensors[i].place == place && graph->tensors[i].index == index) return i;
    return tensor_add(spec, place, index, rows, cols, name);
}

pio_tensor pio_weight_use(pio_spec *spec, int32_t weight) {
    if (failed(spec) || weight < 0) return PIO_NO_TENSOR;
    const pio_weight *info = &spec->weights[weight];
    return shared_tensor(spec, PIO_PLACE_WEIGHT, weight, pio_dim_fixed(info->rows), info->cols, info->name);
}

pio_tensor pio_state_use(pio_spec *spec, int32_t state, int32_t cols) {
    if (failed(spec) || state < 0) return PIO_NO_TENSOR;
    return shared_tensor(spec, PIO_PLACE_STATE, state, spec->states[state].rows, cols, spec->states[state].name);
}

static pio_tensor cache_use(pio_spec *spec, int32_t cache) {
    if (failed(spec)) return PIO_NO_TENSOR;
    const pio_cache *info = &spec->caches[cache];
    char name[PIO_MAX_NAME];
    snprintf(name, sizeof name, "cache.%d", cache);
    const int32_t cols = info->rope_dim ? info->head_dim + info->rope_dim : 2 * info->n_kv_heads * info->head_dim;
    return shared_tensor(spec, PIO_PLACE_CACHE, cache, pio_dim_fixed(0), cols, name);
}

pio_tensor pio_columns(pio_spec *spec, pio_tensor x, int32_t first, int32_t cols) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_tensor_info of = newest(spec)->tensors[x];
    pio_tensor view = tensor_add(spec, PIO_PLACE_VIEW, x, of.rows, cols, of.name);
    if (view != PIO_NO_TENSOR) newest(spec)->tensors[view].column = first;
    return view;
}

void pio_tap(pio_spec *spec, pio_tensor x, const char *name) {
    if (failed(spec)) return;
    pio_tensor_info *info = &newest(spec)->tensors[x];
    info->tap = true;
    snprintf(info->name, sizeof info->name, "%s", name);
}

void pio_store(pio_spec *spec, pio_tensor x, int32_t state) {
    if (failed(spec)) return;
    pio_tensor_info *info = &newest(spec)->tensors[x];
    info->place = PIO_PLACE_STATE;
    info->index = state;
}

void pio_store_columns(pio_spec *spec, pio_tensor x, int32_t state, int32_t cols, int32_t column) {
    pio_tensor whole = pio_state_use(spec, state, cols);
    if (failed(spec)) return;
    pio_tensor_info *info = &newest(spec)->tensors[x];
    info->place = PIO_PLACE_VIEW;
    info->index = whole;
    info->column = column;
}

/* ---- ops ---- */

static pio_node *node_add(pio_spec *spec, pio_op op, int n_in, const pio_tensor in[], int n_out,
                          const pio_tensor out[]) {
    if (failed(spec)) return &spec->ignored;
    pio_node *node = PIO_PUSH(newest(spec), nodes);
    if (!node) {
        out_of_memory(spec);
        return &spec->ignored;
    }
    node->op = op;
    node->n_in = (int8_t)n_in;
    node->n_out = (int8_t)n_out;
    memcpy(node->in, in, sizeof *in * (size_t)n_in);
    memcpy(node->out, out, sizeof *out * (size_t)n_out);
    node->layer = spec->layer;
    node->attrs.page_tokens = spec->page_tokens;
    return node;
}

/* A new float32 tensor [rows of `like`, cols], named after the op that writes it. */
static pio_tensor result(pio_spec *spec, pio_op op, pio_tensor like, int32_t cols) {
    if (failed(spec)) return PIO_NO_TENSOR;
    return tensor_add(spec, PIO_PLACE_ARENA, -1, newest(spec)->tensors[like].rows, cols, pio_op_get(op)->name);
}

static int32_t cols_of(const pio_spec *spec, pio_tensor x) {
    return failed(spec) ? 0 : spec->graphs[spec->n_graphs - 1].tensors[x].cols;
}

#define IN(...)                                                                                                        \
    (int)(sizeof((pio_tensor[]){__VA_ARGS__}) / sizeof(pio_tensor)), (pio_tensor[]) {                                  \
        __VA_ARGS__                                                                                                    \
    }
#define OUT(...) IN(__VA_ARGS__)

pio_tensor pio_embed(pio_spec *spec, int32_t table, int32_t slots) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_tensor weight = pio_weight_use(spec, table), state = pio_state_use(spec, slots, 1);
    pio_tensor y = tensor_add(spec, PIO_PLACE_ARENA, -1, pio_dim_of(PIO_TOKENS), cols_of(spec, weight), "embed");
    node_add(spec, PIO_OP_EMBED, IN(weight, state), OUT(y));
    return y;
}

pio_tensor pio_gather_rows(pio_spec *spec, pio_tensor x) {
    pio_tensor y = tensor_add(spec, PIO_PLACE_ARENA, -1, pio_dim_of(PIO_OUTS), cols_of(spec, x), "gather_rows");
    node_add(spec, PIO_OP_GATHER_ROWS, IN(x), OUT(y));
    return y;
}

pio_tensor pio_rmsnorm(pio_spec *spec, pio_tensor x, int32_t weight, float eps) {
    pio_tensor y = result(spec, PIO_OP_RMSNORM, x, cols_of(spec, x));
    node_add(spec, PIO_OP_RMSNORM, IN(x, pio_weight_use(spec, weight)), OUT(y))->attrs.eps = eps;
    return y;
}

pio_tensor pio_layernorm(pio_spec *spec, pio_tensor x, int32_t weight, int32_t bias, float eps, int32_t merged) {
    pio_tensor y = result(spec, PIO_OP_LAYERNORM, x, merged * cols_of(spec, x));
    pio_tensor w = pio_weight_use(spec, weight), b = pio_weight_use(spec, bias);
    if (merged > 1 && !failed(spec)) newest(spec)->tensors[y].rows = pio_dim_of(PIO_MERGED);
    node_add(spec, PIO_OP_LAYERNORM, IN(x, w, b), OUT(y))->attrs.eps = eps;
    return y;
}

pio_tensor pio_linear(pio_spec *spec, pio_tensor x, int32_t weight, int32_t bias) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_tensor y = result(spec, PIO_OP_LINEAR, x, spec->weights[weight].rows);
    pio_tensor w = pio_weight_use(spec, weight), b = pio_weight_use(spec, bias);
    node_add(spec, PIO_OP_LINEAR, IN(x, w, b), OUT(y));
    return y;
}

pio_tensor pio_add(pio_spec *spec, pio_tensor a, pio_tensor b) {
    pio_tensor y = result(spec, PIO_OP_ADD, a, cols_of(spec, a));
    node_add(spec, PIO_OP_ADD, IN(a, b), OUT(y));
    return y;
}

pio_tensor pio_swiglu(pio_spec *spec, pio_tensor gate_up) {
    pio_tensor y = result(spec, PIO_OP_SWIGLU, gate_up, cols_of(spec, gate_up) / 2);
    node_add(spec, PIO_OP_SWIGLU, IN(gate_up), OUT(y));
    return y;
}

pio_tensor pio_gelu(pio_spec *spec, pio_tensor x, int32_t flags) {
    pio_tensor y = result(spec, PIO_OP_GELU, x, cols_of(spec, x));
    node_add(spec, PIO_OP_GELU, IN(x), OUT(y))->attrs.flags = flags;
    return y;
}

pio_tensor pio_route(pio_spec *spec, pio_tensor logits, int32_t bias, int32_t n_chosen, const pio_attrs *attrs,
                     pio_tensor *weights) {
    pio_tensor experts = result(spec, PIO_OP_ROUTE, logits, n_chosen);
    *weights = result(spec, PIO_OP_ROUTE, logits, n_chosen);
    pio_node *node = node_add(spec, PIO_OP_ROUTE, IN(logits, pio_weight_use(spec, bias)), OUT(experts, *weights));
    node->attrs = *attrs;
    return experts;
}

pio_tensor pio_experts_linear(pio_spec *spec, pio_tensor x, int32_t weight, pio_tensor experts) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_tensor y = result(spec, PIO_OP_EXPERTS_LINEAR, x, spec->weights[weight].rows);
    pio_tensor w = pio_weight_use(spec, weight);
    if (!failed(spec)) newest(spec)->tensors[y].rows = pio_dim_of(PIO_CHOICES);
    node_add(spec, PIO_OP_EXPERTS_LINEAR, IN(x, w, experts), OUT(y));
    return y;
}

pio_tensor pio_experts_down(pio_spec *spec, pio_tensor h, int32_t weight, pio_tensor experts, pio_tensor weights,
                            pio_tensor residual) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_tensor y = result(spec, PIO_OP_EXPERTS_DOWN, residual, spec->weights[weight].rows);
    pio_tensor w = pio_weight_use(spec, weight);
    node_add(spec, PIO_OP_EXPERTS_DOWN, IN(h, w, experts, weights, residual), OUT(y));
    return y;
}

pio_tensor pio_rope_table(pio_spec *spec, int32_t frequencies, float scale) {
    return pio_rope_table_of(spec, PIO_TOKENS, frequencies, -1, scale);
}

pio_tensor pio_rope_table_of(pio_spec *spec, pio_symbol rows, int32_t frequencies, int32_t axes, float scale) {
    if (failed(spec)) return PIO_NO_TENSOR;
    pio_tensor weight = pio_weight_use(spec, frequencies);
    int32_t cols = 2 * cols_of(spec, weight);
    pio_tensor y = tensor_add(spec, PIO_PLACE_ARENA, -1, pio_dim_of(rows), cols, "rope_table");
    pio_node *node = node_add(spec, PIO_OP_ROPE_TABLE, IN(weight, pio_weight_use(spec, axes)), OUT(y));
    node->attrs.scale = scale;
    node->attrs.rope_dim = cols;
    return y;
}

pio_tensor pio_rope(pio_spec *spec, pio_tensor x, pio_tensor table, int32_t head_dim) {
    pio_tensor y = result(spec, PIO_OP_ROPE, x, cols_of(spec, x));
    pio_node *node = node_add(spec, PIO_OP_ROPE, IN(x, table), OUT(y));
    node->attrs.head_dim = head_dim;
    node->attrs.n_heads = cols_of(spec, x) / PIO_MAX(1, head_dim);
    node->attrs.rope_dim = cols_of(spec, table);
    return y;
}

void pio_kv_append(pio_spec *spec, pio_tensor k, pio_tensor v, int32_t cache) {
    if (failed(spec)) return;
    pio_tensor c = cache_use(spec, cache);
    pio_node *node = node_add(spec, PIO_OP_KV_APPEND, IN(k, v, c), OUT(c));
    node->attrs.n_kv_heads = spec->caches[cache].n_kv_heads;
    node->attrs.head_dim = spec->caches[cache].head_dim;
}

static pio_tensor attention(pio_spec *spec, pio_tensor q, int32_t cache, float scale, int32_t flags) {
    if (failed(spec)) return PIO_NO_TENSOR;
    const pio_cache *info = &spec->caches[cache];
    pio_tensor y = result(spec, PIO_OP_ATTENTION, q, cols_of(spec, q));
    pio_node *node = node_add(spec, PIO_OP_ATTENTION, IN(q, cache_use(spec, cache)), OUT(y));
    node->attrs.n_kv_heads = info->n_kv_heads;
    node->attrs.head_dim = info->head_dim;
    node->attrs.n_heads = cols_of(spec, q) / PIO_MAX(1, info->head_dim);
    node->attrs.scale = scale;
    node->attrs.flags = flags;
    return y;
}

pio_tensor pio_attention(pio_spec *spec, pio_tensor q, int32_t cache, float scale) {
    return attention(spec, q, cache, scale, 0);
}

pio_tensor pio_attention_full(pio_spec *spec, pio_tensor q, int32_t cache, float scale) {
    return attention(spec, q, cache, scale, PIO_ATTENTION_FULL);
}

pio_tensor pio_rope_interleaved(pio_spec *spec, pio_tensor x, pio_tensor table, int32_t head_dim) {
    pio_tensor y = pio_rope(spec, x, table, head_dim);
    if (!failed(spec)) newest(spec)->nodes[newest(spec)->n_nodes - 1].attrs.flags = PIO_ROPE_INTERLEAVED;
    return y;
}

pio_tensor pio_linear_heads(pio_spec *spec, pio_tensor x, int32_t weight, int32_t head_cols, int32_t column) {
    if (failed(spec)) return PIO_NO_TENSOR;
    const pio_weight *w = &spec->weights[weight];
    pio_tensor y = result(spec, PIO_OP_LINEAR_HEADS, x, w->n_matrices * w->rows);
    pio_node *node = node_add(spec, PIO_OP_LINEAR_HEADS, IN(x, pio_weight_use(spec, weight)), OUT(y));
    node->attrs.head_dim = head_cols;
    node->attrs.column = column;
    return y;
}

void pio_latent_append(pio_spec *spec, pio_tensor kv, int32_t norm, pio_tensor table, int32_t cache, float eps,
                       int32_t flags) {
    if (failed(spec)) return;
    pio_tensor c = cache_use(spec, cache);
    pio_node *node = node_add(spec, PIO_OP_LATENT_APPEND, IN(kv, pio_weight_use(spec, norm), c, table), OUT(c));
    node->attrs.head_dim = spec->caches[cache].head_dim;
    node->attrs.rope_dim = spec->caches[cache].rope_dim;
    node->attrs.eps = eps;
    node->attrs.flags = flags;
}

pio_tensor pio_latent_attention(pio_spec *spec, pio_tensor q_latent, pio_tensor q, int32_t cache, float scale) {
    if (failed(spec)) return PIO_NO_TENSOR;
    const pio_cache *info = &spec->caches[cache];
    pio_tensor y = result(spec, PIO_OP_LATENT_ATTENTION, q_latent, cols_of(spec, q_latent));
    pio_node *node = node_add(spec, PIO_OP_LATENT_ATTENTION, IN(q_latent, cache_use(spec, cache), q), OUT(y));
    node->attrs.head_dim = info->head_dim;
    node->attrs.rope_dim = info->rope_dim;
    node->attrs.n_heads = cols_of(spec, q_latent) / PIO_MAX(1, info->head_dim);
    node->attrs.scale = scale;
    return y;
}

pio_tensor pio_add_positions(pio_spec *spec, pio_tensor x, int32_t table) {
    pio_tensor y = result(spec, PIO_OP_ADD_POSITIONS, x, cols_of(spec, x));
    node_add(spec, PIO_OP_ADD_POSITIONS, IN(x, pio_weight_use(spec, table)), OUT(y));
    return y;
}

pio_tensor pio_picture_rows(pio_spec *spec, pio_tensor x, int32_t column, int32_t flags) {
    pio_tensor y = result(spec, PIO_OP_PICTURE_ROWS, x, cols_of(spec, x));
    pio_node *node = node_add(spec, PIO_OP_PICTURE_ROWS, IN(x), OUT(y));
    node->attrs.column = column;
    node->attrs.flags = flags;
    return y;
}

void pio_sample(pio_spec *spec, pio_tensor logits, int32_t slots, int32_t ring) {
    pio_tensor out = pio_state_use(spec, ring, 1);
    node_add(spec, PIO_OP_SAMPLE, IN(logits, pio_state_use(spec, slots, 1)), OUT(out));
}
