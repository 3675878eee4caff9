/* Models as data: named graphs of ops over shared weights, caches and states.
 *
 *   build -> verify -> fuse -> choose layouts -> select -> plan -> record -> replay
 *
 * Everything is an array and an index into it. A graph is in execution order: a node reads what earlier nodes wrote. */
#ifndef PIO_GRAPH_GRAPH_H
#define PIO_GRAPH_GRAPH_H

#include "kernels/kernel.h"

/* A dimension is fixed or times x symbol + plus. Context length is data, not a symbol. */
typedef enum pio_symbol {
    PIO_FIXED,
    PIO_TOKENS,  /* token rows of a step */
    PIO_OUTS,    /* rows whose logits are wanted */
    PIO_CHOICES, /* (token, chosen expert) pairs: pio_spec.n_chosen a token */
    PIO_PATCHES, /* patches of the pictures of a vision step */
    PIO_MERGED,  /* picture rows as the text model sees them: pio_spec.n_merged patches make one */
    PIO_SYMBOL_COUNT
} pio_symbol;

typedef struct pio_dim {
    pio_symbol symbol;
    int32_t times, plus;
} pio_dim;

/* The largest value of each symbol for which lists are recorded. */
typedef struct pio_bounds {
    int32_t of[PIO_SYMBOL_COUNT];
} pio_bounds;

static inline pio_dim pio_dim_fixed(int32_t n) {
    return (pio_dim){PIO_FIXED, 0, n};
}
static inline pio_dim pio_dim_of(pio_symbol symbol) {
    return (pio_dim){symbol, 1, 0};
}
int32_t pio_dim_bound(pio_dim dim, const pio_bounds *bounds);

struct pio_spec;

/* The bounds of a step: those of TOKENS, OUTS and PATCHES as given, the others as they follow. */
pio_bounds pio_step_bounds(const struct pio_spec *spec, int32_t tokens, int32_t outs, int32_t patches);

/* ---- what outlives a step ---- */

typedef enum pio_weight_kind {
    PIO_WEIGHT_MATRIX, /* multiplied; quantised as the user asks */
    PIO_WEIGHT_HALF,   /* multiplied; keeps the 16 bits that it is stored in */
    PIO_WEIGHT_EXACT,  /* multiplied in float32: what decides between experts */
    PIO_WEIGHT_TABLE,  /* looked up by row, perhaps multiplied too; keeps 8 bits when matrices have 4 */
    PIO_WEIGHT_VECTOR, /* float32 */
    PIO_WEIGHT_VALUES, /* float32, computed by the model, not read */
} pio_weight_kind;

/* Where rows lie in a checkpoint: from `first_row` on in a tensor [tensor_rows, columns], or of rank 3 with as many
 * rows in all, or (a convolution over 2 or 3 axes) of rank 4 or 5, [tensor_rows, ...] with `columns` numbers a row. Of
 * a tensor with more columns than the weight, those from `first_col` on. */
typedef struct pio_tensor_rows {
    char tensor[104];
    int32_t first_row, tensor_rows;
    int32_t first_col, tensor_cols; /* 0 columns: as many as the weight */
} pio_tensor_rows;

/* `rows` rows of a weight. Transposed: row r is column r of the tensor's rows from first_row on, and the tensor has
 * `rows` columns. */
typedef struct pio_weight_part {
    pio_tensor_rows from;
    pio_tensor_rows or_from; /* where the checkpoint lacks `from`'s tensor; no name: nowhere else */
    int32_t rows;
    bool transposed;
} pio_weight_part;

/* A weight is one matrix or several of one shape (experts, heads), `pio_weight_stride` bytes apart. Each is made of as
 * many parts, one below the other, or, two of them, interleaved in blocks of 16 rows (gate and up). */
typedef struct pio_weight {
    char name[120];
    pio_weight_kind kind;
    int32_t n_matrices, rows, cols; /* of each matrix */
    int32_t first_part, n_parts;    /* of all matrices, in their order */
    bool interleaved;
    float *values;     /* PIO_WEIGHT_VALUES: [rows x cols], owned */
    pio_dtype dtype;   /* of its stored form; set by pio_spec_set_dtypes */
    pio_layout layout; /* set by pio_choose_layouts */
} pio_weight;

typedef struct pio_cache {
    int32_t n_kv_heads, head_dim;
    int32_t rope_dim;  /* 0: keys and values; else latents of head_dim columns and as many rotated ones */
    bool of_patches;   /* holds the patches of one vision step, not the tokens of sequences */
    pio_layout layout; /* set by pio_choose_layouts */
} pio_cache;

/* A buffer that the host or another graph reads: hidden rows, logits, sampler slots, the token ring. */
typedef struct pio_state {
    char name[32];
    pio_dim rows;
    int64_t row_bytes;
} pio_state;

typedef int32_t pio_tensor; /* index into a graph's tensors */
enum { PIO_NO_TENSOR = -1, PIO_MAX_NAME = 64 };

typedef enum pio_place {
    PIO_PLACE_ARENA,
    PIO_PLACE_WEIGHT,
    PIO_PLACE_CACHE,
    PIO_PLACE_STATE,
    PIO_PLACE_VIEW
} pio_place;

typedef struct pio_tensor_info {
    pio_place place;
    int32_t index;  /* of the weight, cache, state, or (view) the tensor of which it is columns */
    int32_t column; /* view: its first column; states alone are written through views */
    pio_dim rows;
    int32_t cols;
    bool tap; /* kept to the end of the step, in memory of its own, float32 */
    char name[PIO_MAX_NAME];
} pio_tensor_info;

typedef struct pio_node {
    pio_op op;
    int8_t n_in, n_out;
    pio_tensor in[PIO_MAX_IN], out[PIO_MAX_OUT];
    pio_attrs attrs;
    int32_t layer; /* -1: of no layer */
} pio_node;

typedef struct pio_graph {
    char name[16];
    pio_tensor_info *tensors;
    int32_t n_tensors, tensors_capacity;
    pio_node *nodes;
    int32_t n_nodes, nodes_capacity;
} pio_graph;

enum { PIO_MAX_GRAPHS = 4 };

/* A model's graphs and what they share. */
typedef struct pio_spec {
    pio_weight *weights;
    int32_t n_weights, weights_capacity;
    pio_weight_part *parts;
    int32_t n_parts, parts_capacity;
    pio_cache *caches;
    int32_t n_caches, caches_capacity;
    pio_state *states;
    int32_t n_states, states_capacity;
    pio_graph *graphs;
    int32_t n_graphs, graphs_capacity;
    int32_t page_tokens; /* tokens a cache page, the same for all caches */
    int32_t n_chosen;    /* experts that a token is sent to, the shared ones included; 0: there are none */
    int32_t n_shared;    /* of them those that every token is sent to, the last ones */
    int32_t n_merged;    /* patches that make one picture row; 0: there are none */
    int32_t layer;       /* of the nodes being built */
    pio_error error;     /* the first failure while building; later calls do nothing */
    pio_node ignored;    /* takes the attributes of nodes that are not added after a failure */
} pio_spec;

void pio_spec_free(pio_spec *spec);
const pio_graph *pio_spec_graph(const pio_spec *spec, const char *name); /* NULL: none of that name */
int32_t pio_spec_state(const pio_spec *spec, const char *name);          /* -1: none of that name */

/* Bytes of a weight in its layout, and from one of its matrices to the next. */
uint64_t pio_weight_stride(const pio_weight *weight);
uint64_t pio_weight_bytes(const pio_weight *weight);

/* The data type in which a kind of weight is stored; those that keep 16 bits as bf16. */
pio_dtype pio_weight_dtype(pio_weight_kind kind, pio_dtype matrices, pio_dtype tables);

/* Stores matrices as `matrices` and tables as `tables`. */
void pio_spec_set_dtypes(pio_spec *spec, pio_dtype matrices, pio_dtype tables);

/* ---- passes, in their order ---- */

/* Every operand defined before its use, shapes and kinds as the ops want them. */
pio_status pio_verify(const pio_spec *spec, pio_error *error);

struct pio_selector;

/* Replaces patterns by fused ops for which the selector has a row (the rules are a table in fuse.c). */
pio_status pio_fuse(pio_spec *spec, const struct pio_selector *selector, pio_error *error);

/* Gives each weight and cache one layout that serves all its uses, the rows for one token deciding. */
pio_status pio_choose_layouts(pio_spec *spec, const struct pio_selector *selector, pio_error *error);

/* The graphs as text, a node a line. Returns the length that the whole text has (snprintf's rule). */
size_t pio_graph_dump(const pio_spec *spec, const pio_graph *graph, char *text, size_t bytes);

/* A call for `node` under `bounds`, without addresses. */
void pio_node_call(const pio_spec *spec, const pio_graph *graph, const pio_node *node, const pio_bounds *bounds,
                   pio_call *call);

#endif
