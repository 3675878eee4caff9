#include "graph/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t pio_dim_bound(pio_dim dim, const pio_bounds *bounds) {
    return dim.times * (dim.symbol == PIO_FIXED ? 0 : bounds->of[dim.symbol]) + dim.plus;
}

pio_bounds pio_step_bounds(const pio_spec *spec, int32_t tokens, int32_t outs, int32_t patches) {
    return (pio_bounds){{[PIO_TOKENS] = tokens,
                         [PIO_OUTS] = outs,
                         [PIO_CHOICES] = tokens * spec->n_chosen,
                         [PIO_PATCHES] = patches,
                         [PIO_MERGED] = spec->n_merged ? patches / spec->n_merged : 0}};
}

void pio_spec_free(pio_spec *spec) {
    if (!spec) return;
    for (int32_t i = 0; i < spec->n_weights; i++) free(spec->weights[i].values);
    for (int32_t i = 0; i < spec->n_graphs; i++) {
        free(spec->graphs[i].tensors);
        free(spec->graphs[i].nodes);
    }
    free(spec->weights);
    free(spec->parts);
    free(spec->caches);
    free(spec->states);
    free(spec->graphs);
    memset(spec, 0, sizeof *spec);
}

const pio_graph *pio_spec_graph(const pio_spec *spec, const char *name) {
    for (int32_t i = 0; i < spec->n_graphs; i++)
        if (!strcmp(spec->graphs[i].name, name)) return &spec->graphs[i];
    return NULL;
}

int32_t pio_spec_state(const pio_spec *spec, const char *name) {
    for (int32_t i = 0; i < spec->n_states; i++)
        if (!strcmp(spec->states[i].name, name)) return i;
    return -1;
}

pio_dtype pio_weight_dtype(pio_weight_kind kind, pio_dtype matrices, pio_dtype tables) {
    const pio_dtype dtypes[] = {
        [PIO_WEIGHT_MATRIX] = matrices, [PIO_WEIGHT_HALF] = PIO_DTYPE_BF16,  [PIO_WEIGHT_EXACT] = PIO_DTYPE_F32,
        [PIO_WEIGHT_TABLE] = tables,    [PIO_WEIGHT_VECTOR] = PIO_DTYPE_F32, [PIO_WEIGHT_VALUES] = PIO_DTYPE_F32,
    };
    return dtypes[kind];
}

void pio_spec_set_dtypes(pio_spec *spec, pio_dtype matrices, pio_dtype tables) {
    for (int32_t i = 0; i < spec->n_weights; i++)
        spec->weights[i].dtype = pio_weight_dtype(spec->weights[i].kind, matrices, tables);
}

uint64_t pio_weight_stride(const pio_weight *weight) {
    return PIO_ROUND_UP(pio_layout_get(weight->layout)->bytes(weight->rows, weight->cols), 64);
}

uint64_t pio_weight_bytes(const pio_weight *weight) {
    return weight->n_matrices == 1 ? pio_layout_get(weight->layout)->bytes(weight->rows, weight->cols)
                                   : (uint64_t)weight->n_matrices * pio_weight_stride(weight);
}

static void weight_operand(const pio_spec *spec, int32_t index, pio_operand *operand) {
    const pio_weight *weight = &spec->weights[index];
    operand->rows = weight->rows;
    operand->cols = weight->cols;
    operand->layout = weight->layout;
    operand->stride = 4 * (int64_t)weight->cols;
    operand->n_matrices = weight->n_matrices;
    operand->matrix_bytes = (int64_t)pio_weight_stride(weight);
}

/* Bytes between the rows of what a view is columns of. */
static int64_t view_stride(const pio_spec *spec, const pio_tensor_info *of) {
    return of->place == PIO_PLACE_STATE ? spec->states[of->index].row_bytes
                                        : pio_encoding_stride(PIO_ENC_F32, of->cols);
}

void pio_node_call(const pio_spec *spec, const pio_graph *graph, const pio_node *node, const pio_bounds *bounds,
                   pio_call *call) {
    memset(call, 0, sizeof *call);
    call->op = node->op;
    call->n_in = node->n_in;
    call->n_out = node->n_out;
    call->attrs = node->attrs;
    for (int i = 0; i < node->n_in + node->n_out; i++) {
        pio_tensor t = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
        pio_operand *operand = i < node->n_in ? &call->in[i] : &call->out[i - node->n_in];
        if (t == PIO_NO_TENSOR) continue;
        const pio_tensor_info *info = &graph->tensors[t];
        if (info->place == PIO_PLACE_WEIGHT) {
            weight_operand(spec, info->index, operand);
            continue;
        }
        operand->rows = pio_dim_bound(info->rows, bounds);
        operand->cols = info->cols;
        operand->stride = pio_encoding_stride(PIO_ENC_F32, info->cols);
        if (info->place == PIO_PLACE_CACHE) operand->layout = spec->caches[info->index].layout;
        if (info->place == PIO_PLACE_STATE) operand->stride = spec->states[info->index].row_bytes;
        if (info->place == PIO_PLACE_VIEW) operand->stride = view_stride(spec, &graph->tensors[info->index]);
    }
}
