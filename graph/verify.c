#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

/* What the checks of one graph share. */
typedef struct verifier {
    const pio_spec *spec;
    const pio_graph *graph;
    const pio_node *node;
    int32_t index;
    pio_error *error;
} verifier;

static pio_status wrong(const verifier *v, const char *what, int operand) {
    return pio_fail(v->error, PIO_INTERNAL, "graph '%s', node %d (%s): %s (operand %d)", v->graph->name, v->index,
                    pio_op_get(v->node->op)->name, what, operand);
}

static bool shares_rows(pio_dim a, pio_dim b) {
    return a.symbol == b.symbol && a.times == b.times && a.plus == b.plus;
}

static pio_status check_index(const verifier *v, const pio_tensor_info *info, int operand) {
    int32_t counts[] = {[PIO_PLACE_WEIGHT] = v->spec->n_weights,
                        [PIO_PLACE_CACHE] = v->spec->n_caches,
                        [PIO_PLACE_STATE] = v->spec->n_states,
                        [PIO_PLACE_VIEW] = v->graph->n_tensors};
    if (info->place != PIO_PLACE_ARENA && (info->index < 0 || info->index >= counts[info->place]))
        return wrong(v, "names something that does not exist", operand);
    if (info->place == PIO_PLACE_VIEW) {
        const pio_tensor_info *of = &v->graph->tensors[info->index];
        if (of->place == PIO_PLACE_VIEW || info->column < 0 || info->column > of->cols - info->cols)
            return wrong(v, "views columns that its tensor lacks", operand);
    }
    return PIO_OK;
}

/* The input is defined: a weight, cache or state, or written by an earlier node. */
static pio_status check_input(const verifier *v, const bool *written, int operand) {
    pio_tensor t = v->node->in[operand];
    if (t == PIO_NO_TENSOR) return operand == 0 ? wrong(v, "lacks its first input", 0) : PIO_OK;
    if (t < 0 || t >= v->graph->n_tensors) return wrong(v, "reads a tensor that does not exist", operand);
    const pio_tensor_info *info = &v->graph->tensors[t];
    pio_status status = check_index(v, info, operand);
    if (status) return status;
    pio_tensor root = info->place == PIO_PLACE_VIEW ? info->index : t;
    if (v->graph->tensors[root].place == PIO_PLACE_ARENA && !written[root])
        return wrong(v, "reads what no earlier node wrote", operand);
    return info->cols > 0 ? PIO_OK : wrong(v, "has no columns", operand);
}

static pio_status check_output(const verifier *v, int operand) {
    pio_tensor t = v->node->out[operand];
    if (t < 0 || t >= v->graph->n_tensors) return wrong(v, "writes a tensor that does not exist", operand);
    const pio_tensor_info *info = &v->graph->tensors[t];
    pio_status status = check_index(v, info, operand);
    if (status) return status;
    if (info->place == PIO_PLACE_WEIGHT ||
        (info->place == PIO_PLACE_VIEW && v->graph->tensors[info->index].place != PIO_PLACE_STATE))
        return wrong(v, "writes a weight or a view", operand);
    return PIO_OK;
}

/* Matrix products: the columns of x and w agree, and the rows of w are the columns of y. */
static pio_status check_linear(const verifier *v) {
    const pio_tensor_info *x = &v->graph->tensors[v->node->in[0]], *w = &v->graph->tensors[v->node->in[1]];
    const pio_tensor_info *y = &v->graph->tensors[v->node->out[0]];
    int32_t rows = pio_dim_bound(w->rows, &(pio_bounds){{0}});
    if (x->cols != w->cols) return wrong(v, "multiplies rows of another length", 1);
    if (rows != y->cols * (v->node->op == PIO_OP_LINEAR_SWIGLU ? 2 : 1)) return wrong(v, "writes another width", 0);
    return shares_rows(x->rows, y->rows) ? PIO_OK : wrong(v, "writes another number of rows", 0);
}

/* Products of experts: as check_linear, and a row for each pair of a token and one of its experts, in x or in y. */
static pio_status check_experts(const verifier *v) {
    const pio_tensor_info *x = &v->graph->tensors[v->node->in[0]], *w = &v->graph->tensors[v->node->in[1]];
    const pio_tensor_info *y = &v->graph->tensors[v->node->out[0]];
    const pio_tensor_info *pairs = v->node->op == PIO_OP_EXPERTS_DOWN ? x : y;
    if (w->place != PIO_PLACE_WEIGHT) return wrong(v, "multiplies what is no weight", 1);
    if (x->cols != w->cols) return wrong(v, "multiplies rows of another length", 1);
    if (v->spec->weights[w->index].rows != y->cols * (v->node->op == PIO_OP_EXPERTS_SWIGLU ? 2 : 1))
        return wrong(v, "writes another width", 0);
    if (v->graph->tensors[v->node->in[2]].cols != v->spec->n_chosen)
        return wrong(v, "has another number of choices", 2);
    return pairs->rows.symbol == PIO_CHOICES ? PIO_OK : wrong(v, "has no row for each choice", 0);
}

static pio_status check_node(const verifier *v, bool *written) {
    const pio_node *node = v->node;
    if (node->n_in < 1 || node->n_in > PIO_MAX_IN || node->n_out < 1 || node->n_out > PIO_MAX_OUT)
        return wrong(v, "has too few or too many operands", node->n_in);
    pio_status status = PIO_OK;
    for (int i = 0; i < node->n_in && !status; i++) status = check_input(v, written, i);
    for (int i = 0; i < node->n_out && !status; i++) status = check_output(v, i);
    if (!status && !strcmp(pio_op_get(node->op)->family, "linear")) status = check_linear(v);
    if (!status && node->op != PIO_OP_ROUTE && !strcmp(pio_op_get(node->op)->family, "moe")) status = check_experts(v);
    if (!status && node->op == PIO_OP_ADD && v->graph->tensors[node->in[0]].cols != v->graph->tensors[node->in[1]].cols)
        status = wrong(v, "adds rows of another length", 1);
    for (int i = 0; i < node->n_out && !status; i++) written[node->out[i]] = true;
    return status;
}

static pio_status check_graph(const pio_spec *spec, const pio_graph *graph, pio_error *error) {
    enum { MAX = 1 << 16 };
    bool written[MAX];
    if (graph->n_tensors > MAX) return pio_fail(error, PIO_LIMIT, "graph '%s' has over %d tensors", graph->name, MAX);
    memset(written, 0, (size_t)graph->n_tensors);
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const verifier v = {spec, graph, &graph->nodes[i], i, error};
        pio_status status = check_node(&v, written);
        if (status) return status;
    }
    return PIO_OK;
}

pio_status pio_verify(const pio_spec *spec, pio_error *error) {
    if (spec->error.status) {
        if (error) *error = spec->error;
        return spec->error.status;
    }
    for (int32_t i = 0; i < spec->n_graphs; i++) {
        pio_status status = check_graph(spec, &spec->graphs[i], error);
        if (status) return status;
    }
    return PIO_OK;
}
