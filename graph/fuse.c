/* Fusion: one table of rules for all backends. A rule is anchored at the last node of its pattern; it names the fused
 * node and the nodes that it replaces, and is applied where the selector has a row for the fused op. */
#include <stdlib.h>
#include <string.h>

#include "graph/passes.h"

typedef struct fuser {
    const pio_spec *spec;
    const pio_selector *selector;
    pio_graph *graph;
    int32_t *writer; /* [n_tensors]: the node that writes it, -1: none */
    int32_t *uses;   /* [n_tensors]: how often it is read; views count for their tensor, taps and states once more */
    bool *dead;      /* [n_nodes] */
} fuser;

enum { MAX_REPLACED = 6 };

/* What a rule proposes. */
typedef struct proposal {
    pio_node fused;
    int32_t replaced[MAX_REPLACED]; /* nodes that go, beside the anchor, in whose place the fused node stands */
    int n_replaced;
} proposal;

/* The node that writes `t` if it is `op` and nobody else reads `t`; NULL otherwise. */
static const pio_node *only_feeds(const fuser *f, pio_tensor t, pio_op op, proposal *p) {
    if (t == PIO_NO_TENSOR || f->writer[t] < 0 || f->uses[t] != 1) return NULL;
    int32_t index = f->writer[t];
    if (f->dead[index] || f->graph->nodes[index].op != op) return NULL;
    p->replaced[p->n_replaced++] = index;
    return &f->graph->nodes[index];
}

/* y = x W + r */
static bool linear_add(const fuser *f, const pio_node *add, proposal *p) {
    for (int side = 1; side >= 0; side--) {
        p->n_replaced = 0;
        const pio_node *linear = only_feeds(f, add->in[side], PIO_OP_LINEAR, p);
        if (!linear) continue;
        p->fused = *add;
        p->fused.op = PIO_OP_LINEAR_ADD;
        p->fused.n_in = 4;
        memcpy(p->fused.in, linear->in, 3 * sizeof *linear->in);
        p->fused.in[3] = add->in[!side];
        return true;
    }
    return false;
}

/* y = silu(x G) * (x U), the rows of G and U interleaved in one weight */
static bool linear_swiglu(const fuser *f, const pio_node *swiglu, proposal *p) {
    const pio_node *linear = only_feeds(f, swiglu->in[0], PIO_OP_LINEAR, p);
    if (!linear || linear->in[2] != PIO_NO_TENSOR) return false;
    p->fused = *swiglu;
    p->fused.op = PIO_OP_LINEAR_SWIGLU;
    p->fused.n_in = 2;
    memcpy(p->fused.in, linear->in, 2 * sizeof *linear->in);
    return true;
}

/* The same of experts' products. */
static bool experts_swiglu(const fuser *f, const pio_node *swiglu, proposal *p) {
    const pio_node *linear = only_feeds(f, swiglu->in[0], PIO_OP_EXPERTS_LINEAR, p);
    if (!linear) return false;
    p->fused = *swiglu;
    p->fused.op = PIO_OP_EXPERTS_SWIGLU;
    p->fused.n_in = 3;
    memcpy(p->fused.in, linear->in, 3 * sizeof *linear->in);
    return true;
}

/* One of q and k on its way: columns of qkv -> RMSNORM? -> ROPE. */
typedef struct rotated {
    pio_tensor qkv, norm, table;
    int32_t column, cols;
    float eps;
} rotated;

static bool trace_rotated(const fuser *f, const pio_node *rope, rotated *r, proposal *p) {
    pio_tensor x = rope->in[0];
    *r = (rotated){.norm = PIO_NO_TENSOR, .table = rope->in[1]};
    const pio_node *norm = only_feeds(f, x, PIO_OP_RMSNORM, p);
    if (norm) {
        r->norm = norm->in[1];
        r->eps = norm->attrs.eps;
        x = norm->in[0];
    }
    const pio_tensor_info *view = &f->graph->tensors[x];
    if (view->place != PIO_PLACE_VIEW) return false;
    r->qkv = view->index;
    r->column = view->column;
    r->cols = view->cols;
    return true;
}

/* The rope node, other than k's, that rotates the first columns of qkv with the same table. */
static const pio_node *find_q(const fuser *f, const rotated *k, int32_t k_rope, rotated *q, proposal *p) {
    for (int32_t i = 0; i < f->graph->n_nodes; i++) {
        const pio_node *rope = &f->graph->nodes[i];
        if (f->dead[i] || i == k_rope || rope->op != PIO_OP_ROPE) continue;
        int before = p->n_replaced;
        if (trace_rotated(f, rope, q, p) && q->qkv == k->qkv && q->table == k->table && q->column == 0) {
            p->replaced[p->n_replaced++] = i;
            return rope;
        }
        p->n_replaced = before;
    }
    return NULL;
}

/* q = rope(norm(q)); cache <- rope(norm(k)), v, all from one qkv row */
static bool qk_norm_rope_append(const fuser *f, const pio_node *append, proposal *p) {
    rotated k, q;
    const pio_node *k_rope = only_feeds(f, append->in[0], PIO_OP_ROPE, p);
    if (!k_rope || !trace_rotated(f, k_rope, &k, p)) return false;
    const pio_node *q_rope = find_q(f, &k, f->writer[append->in[0]], &q, p);
    const pio_tensor_info *v = &f->graph->tensors[append->in[1]];
    if (!q_rope || v->place != PIO_PLACE_VIEW || v->index != k.qkv) return false;
    if (k.column != q.cols || v->column != k.column + k.cols || v->cols != k.cols) return false;
    if ((q.norm == PIO_NO_TENSOR) != (k.norm == PIO_NO_TENSOR) || q.eps != k.eps) return false;
    if (k_rope->attrs.flags || q_rope->attrs.flags) return false;
    p->fused = *append;
    p->fused.op = PIO_OP_QK_NORM_ROPE_APPEND;
    p->fused.n_in = 5;
    memcpy(p->fused.in, (pio_tensor[]){k.qkv, q.norm, k.norm, append->in[2], k.table}, 5 * sizeof *p->fused.in);
    p->fused.n_out = 2;
    memcpy(p->fused.out, (pio_tensor[]){q_rope->out[0], append->out[0]}, 2 * sizeof *p->fused.out);
    p->fused.attrs.eps = k.eps;
    p->fused.attrs.n_heads = q_rope->attrs.n_heads;
    p->fused.attrs.rope_dim = q_rope->attrs.rope_dim;
    return true;
}

static const struct rule {
    pio_op anchor;
    bool (*propose)(const fuser *, const pio_node *anchor, proposal *);
} rules[] = {
    {PIO_OP_ADD, linear_add},
    {PIO_OP_SWIGLU, linear_swiglu},
    {PIO_OP_SWIGLU, experts_swiglu},
    {PIO_OP_KV_APPEND, qk_norm_rope_append},
};

/* Nobody reads what the fused node writes before the fused node's place. */
static bool outputs_are_later(const fuser *f, const proposal *p, int32_t anchor) {
    for (int32_t i = 0; i < anchor; i++) {
        const pio_node *node = &f->graph->nodes[i];
        for (int j = 0; j < node->n_in && !f->dead[i]; j++)
            if (node->in[j] == p->fused.out[0]) return false;
    }
    return true;
}

static bool has_rows(const fuser *f, const pio_node *fused) {
    for (int i = 0; i < PIO_N_PROBES; i++) {
        pio_call call;
        const pio_bounds bounds = pio_probe_bounds(f->spec, i);
        pio_node_call(f->spec, f->graph, fused, &bounds, &call);
        call.n_workers = f->selector->n_workers;
        const pio_tensor_info *stored = pio_node_stored(f->graph, fused);
        bool weight = stored && stored->place == PIO_PLACE_WEIGHT;
        if (weight ? !pio_select_dtype(f->selector, &call, f->spec->weights[stored->index].dtype)
                   : !pio_select(f->selector, &call, PIO_LAYOUT_ANY))
            return false;
    }
    return true;
}

static void count_uses(fuser *f) {
    const pio_graph *graph = f->graph;
    for (int32_t t = 0; t < graph->n_tensors; t++) {
        f->writer[t] = -1;
        f->uses[t] = graph->tensors[t].tap || graph->tensors[t].place == PIO_PLACE_STATE;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const pio_node *node = &graph->nodes[i];
        if (f->dead[i]) continue;
        for (int j = 0; j < node->n_out; j++) f->writer[node->out[j]] = i;
        for (int j = 0; j < node->n_in; j++) {
            pio_tensor t = node->in[j];
            if (t == PIO_NO_TENSOR) continue;
            f->uses[t]++;
            if (graph->tensors[t].place == PIO_PLACE_VIEW) f->uses[graph->tensors[t].index]++;
        }
    }
}

static void fuse_graph(fuser *f) {
    for (int32_t i = 0; i < f->graph->n_nodes; i++) {
        for (size_t r = 0; r < PIO_COUNT(rules); r++) {
            pio_node *node = &f->graph->nodes[i];
            proposal p = {0};
            if (f->dead[i] || node->op != rules[r].anchor || !rules[r].propose(f, node, &p)) continue;
            if (!outputs_are_later(f, &p, i) || !has_rows(f, &p.fused)) continue;
            *node = p.fused;
            for (int j = 0; j < p.n_replaced; j++) f->dead[p.replaced[j]] = true;
            count_uses(f);
        }
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < f->graph->n_nodes; i++)
        if (!f->dead[i]) f->graph->nodes[kept++] = f->graph->nodes[i];
    f->graph->n_nodes = kept;
}

pio_status pio_fuse(pio_spec *spec, const pio_selector *selector, pio_error *error) {
    for (int32_t g = 0; g < spec->n_graphs; g++) {
        pio_graph *graph = &spec->graphs[g];
        fuser f = {.spec = spec, .selector = selector, .graph = graph};
        f.writer = malloc(sizeof *f.writer * (size_t)PIO_MAX(1, graph->n_tensors));
        f.uses = malloc(sizeof *f.uses * (size_t)PIO_MAX(1, graph->n_tensors));
        f.dead = calloc((size_t)PIO_MAX(1, graph->n_nodes), 1);
        bool ready = f.writer && f.uses && f.dead;
        if (ready) {
            count_uses(&f);
            fuse_graph(&f);
        }
        free(f.writer);
        free(f.uses);
        free(f.dead);
        if (!ready) return pio_fail_memory(error, "fusing a graph", sizeof(int32_t) * 2 * (size_t)graph->n_tensors);
    }
    return PIO_OK;
}
