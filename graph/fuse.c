/* Fusion: tables of rules for all backends. A rule is anchored at the last node of its pattern; it names the fused node
 * and the nodes that it replaces, and is applied where the selector has a row for the fused op. What is fused for all
 * steps has rows for any number of tokens; what is fused for one plan, after the layouts are chosen, has one for that
 * plan's. */
#include <stdlib.h>
#include <string.h>

#include "graph/passes.h"
#include "kernels/linear/linear.h"
#include "kernels/moe/moe.h"

typedef struct fuser {
    const pio_spec *spec;
    const pio_selector *selector;
    pio_graph *graph;
    const pio_bounds *bounds; /* of the plan; NULL: for all steps */
    int32_t *writer;          /* [n_tensors]: the node that writes it, -1: none */
    int32_t *uses; /* [n_tensors]: how often it is read; views count for their tensor, taps and states once more */
    bool *dead;    /* [n_nodes] */
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

/* q's heads rotated; cache <- norm(latent), rope(k), by the same table */
static bool rope_latent_append(const fuser *f, const pio_node *rope, proposal *p) {
    int32_t i = f->writer[rope->out[0]];
    while (--i >= 0) {
        const pio_node *append = &f->graph->nodes[i];
        if (f->dead[i] || append->op != PIO_OP_LATENT_APPEND || append->in[3] != rope->in[1]) continue;
        if (append->layer != rope->layer || append->attrs.flags != rope->attrs.flags) return false;
        p->replaced[p->n_replaced++] = i;
        p->fused = *append;
        p->fused.op = PIO_OP_ROPE_LATENT_APPEND;
        p->fused.n_in = 5;
        p->fused.in[4] = rope->in[0];
        p->fused.n_out = 2;
        memcpy(p->fused.out, (pio_tensor[]){rope->out[0], append->out[0]}, 2 * sizeof(pio_tensor));
        p->fused.attrs.n_heads = rope->attrs.n_heads;
        p->fused.attrs.column = rope->attrs.head_dim;
        return true;
    }
    return false;
}

/* q's heads rotated, latents appended, and a product of q as it was */
static bool latent_queries(const fuser *f, const pio_node *heads, proposal *p) {
    for (int32_t i = f->writer[heads->out[0]] - 1; i >= 0; i--) {
        const pio_node *append = &f->graph->nodes[i];
        if (f->dead[i] || append->op != PIO_OP_ROPE_LATENT_APPEND || append->in[4] != heads->in[0]) continue;
        if (heads->attrs.head_dim != append->attrs.column || heads->attrs.column != append->attrs.rope_dim ||
            f->graph->tensors[heads->out[0]].cols != append->attrs.n_heads * append->attrs.head_dim)
            return false;
        p->replaced[p->n_replaced++] = i;
        p->fused = *append;
        p->fused.op = PIO_OP_LATENT_QUERIES;
        p->fused.in[p->fused.n_in++] = heads->in[1];
        p->fused.out[p->fused.n_out++] = heads->out[0];
        return true;
    }
    return false;
}

/* What reads a norm's rows norms them itself; the norm goes with its last reader. */
static bool take_norm(const fuser *f, const pio_node *reader, int operand, proposal *p) {
    const int32_t index = f->writer[reader->in[0]];
    const pio_node *norm = index < 0 ? NULL : &f->graph->nodes[index];
    if (!norm || norm->op != PIO_OP_RMSNORM || reader->n_in > operand) return false;
    if (f->graph->tensors[norm->in[0]].cols != f->graph->tensors[norm->in[1]].cols) return false;
    p->fused = *reader;
    p->fused.in[0] = norm->in[0];
    while (p->fused.n_in < operand) p->fused.in[p->fused.n_in++] = PIO_NO_TENSOR;
    p->fused.in[p->fused.n_in++] = norm->in[1];
    p->fused.attrs.norm_eps = norm->attrs.eps;
    if (f->uses[reader->in[0]] == 1) p->replaced[p->n_replaced++] = index;
    return true;
}

static bool linear_norm(const fuser *f, const pio_node *linear, proposal *p) {
    return take_norm(f, linear, PIO_LINEAR_NORM, p);
}

static bool experts_norm(const fuser *f, const pio_node *experts, proposal *p) {
    return take_norm(f, experts, PIO_EXPERTS_NORM, p);
}

/* The experts of x W, perhaps of norm(x) W. */
static bool router(const fuser *f, const pio_node *route, proposal *p) {
    const pio_node *linear = only_feeds(f, route->in[0], PIO_OP_LINEAR, p);
    if (!linear || linear->in[2] != PIO_NO_TENSOR) return false;
    p->fused = *route;
    p->fused.op = PIO_OP_ROUTER;
    p->fused.n_in = 4;
    memcpy(p->fused.in, (pio_tensor[]){linear->in[0], linear->in[1], route->in[1], PIO_NO_TENSOR},
           4 * sizeof(pio_tensor));
    if (linear->n_in > PIO_LINEAR_NORM) p->fused.in[PIO_ROUTER_NORM] = linear->in[PIO_LINEAR_NORM];
    p->fused.attrs.norm_eps = linear->attrs.norm_eps;
    return true;
}

typedef struct rule {
    pio_op anchor;
    bool (*propose)(const fuser *, const pio_node *anchor, proposal *);
} rule;

static const rule rules[] = {
    {PIO_OP_ADD, linear_add},          {PIO_OP_SWIGLU, linear_swiglu},
    {PIO_OP_SWIGLU, experts_swiglu},   {PIO_OP_KV_APPEND, qk_norm_rope_append},
    {PIO_OP_ROPE, rope_latent_append},
};

/* For one plan: with few tokens a launch costs more than what several workgroups do alike. */
static const rule step_rules[] = {
    {PIO_OP_LINEAR, linear_norm}, {PIO_OP_LINEAR_SWIGLU, linear_norm},   {PIO_OP_EXPERTS_SWIGLU, experts_norm},
    {PIO_OP_ROUTE, router},       {PIO_OP_LINEAR_HEADS, latent_queries},
};

static bool goes(const fuser *f, const proposal *p, int32_t index) {
    bool found = f->dead[index];
    for (int j = 0; j < p->n_replaced; j++) found |= p->replaced[j] == index;
    return found;
}

/* Nobody reads what the fused node writes between the first node that goes and the fused node's place. */
static bool outputs_are_later(const fuser *f, const proposal *p, int32_t anchor) {
    int32_t first = anchor;
    for (int j = 0; j < p->n_replaced; j++) first = PIO_MIN(first, p->replaced[j]);
    for (int32_t i = first; i < anchor; i++) {
        const pio_node *node = &f->graph->nodes[i];
        for (int j = 0; j < node->n_in && !goes(f, p, i); j++)
            for (int o = 0; o < p->fused.n_out; o++)
                if (node->in[j] == p->fused.out[o]) return false;
    }
    return true;
}

static const pio_row *row_of(const fuser *f, const pio_node *node) {
    pio_call call;
    pio_node_call(f->spec, f->graph, node, f->bounds, &call);
    call.n_workers = f->selector->n_workers;
    const int stored = pio_op_get(node->op)->stored;
    return pio_select(f->selector, &call, stored < 0 ? PIO_LAYOUT_ANY : call.in[stored].layout);
}

/* A node that takes another along is not to get a worse row for it. */
static bool has_row(const fuser *f, const pio_node *anchor, const pio_node *fused) {
    const pio_row *row = row_of(f, fused), *before = anchor->op == fused->op ? row_of(f, anchor) : NULL;
    return row && (!before || row->rank >= before->rank);
}

static bool has_rows(const fuser *f, const pio_node *anchor, const pio_node *fused) {
    if (f->bounds) return has_row(f, anchor, fused);
    for (int i = 0; i < PIO_N_PROBES; i++) {
        pio_call call;
        const pio_bounds bounds = pio_probe_bounds(f->spec, i);
        pio_node_call(f->spec, f->graph, fused, &bounds, &call);
        call.n_workers = f->selector->n_workers;
        call.subgroup_size = f->selector->subgroup_size;
        const pio_tensor_info *stored = pio_node_stored(f->graph, fused);
        bool weight = stored && stored->place == PIO_PLACE_WEIGHT;
        if (weight ? !pio_select_dtype(f->selector, &call, f->spec->weights[stored->index].dtype)
                   : !pio_select(f->selector, &call, PIO_LAYOUT_ANY))
            return false;
    }
    return true;
}

/* Adds `times` to the uses of what node `index` reads, and notes what it writes. */
static void count_node(fuser *f, int32_t index, int32_t times) {
    const pio_node *node = &f->graph->nodes[index];
    for (int j = 0; j < node->n_out; j++) f->writer[node->out[j]] = index;
    for (int j = 0; j < node->n_in; j++) {
        pio_tensor t = node->in[j];
        if (t == PIO_NO_TENSOR) continue;
        f->uses[t] += times;
        if (f->graph->tensors[t].place == PIO_PLACE_VIEW) f->uses[f->graph->tensors[t].index] += times;
    }
}

static void count_uses(fuser *f) {
    const pio_graph *graph = f->graph;
    for (int32_t t = 0; t < graph->n_tensors; t++) {
        f->writer[t] = -1;
        f->uses[t] = graph->tensors[t].tap || graph->tensors[t].place == PIO_PLACE_STATE;
    }
    for (int32_t i = 0; i < graph->n_nodes; i++) count_node(f, i, 1);
}

/* The fused node stands in the place of the anchor, node i. */
static void apply(fuser *f, const proposal *p, int32_t i) {
    for (int j = 0; j < p->n_replaced; j++) {
        count_node(f, p->replaced[j], -1);
        f->dead[p->replaced[j]] = true;
    }
    count_node(f, i, -1);
    f->graph->nodes[i] = p->fused;
    count_node(f, i, 1);
}

static void fuse_nodes(fuser *f) {
    const rule *table = f->bounds ? step_rules : rules;
    const size_t n_rules = f->bounds ? PIO_COUNT(step_rules) : PIO_COUNT(rules);
    for (int32_t i = 0; i < f->graph->n_nodes; i++) {
        for (size_t r = 0; r < n_rules; r++) {
            const pio_node *node = &f->graph->nodes[i];
            proposal p = {0};
            if (f->dead[i] || node->op != table[r].anchor || !table[r].propose(f, node, &p)) continue;
            if (outputs_are_later(f, &p, i) && has_rows(f, node, &p.fused)) apply(f, &p, i);
        }
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < f->graph->n_nodes; i++)
        if (!f->dead[i]) f->graph->nodes[kept++] = f->graph->nodes[i];
    f->graph->n_nodes = kept;
}

static pio_status fuse_graph(fuser *f, pio_error *error) {
    const pio_graph *graph = f->graph;
    f->writer = malloc(sizeof *f->writer * (size_t)PIO_MAX(1, graph->n_tensors));
    f->uses = malloc(sizeof *f->uses * (size_t)PIO_MAX(1, graph->n_tensors));
    f->dead = calloc((size_t)PIO_MAX(1, graph->n_nodes), 1);
    const bool ready = f->writer && f->uses && f->dead;
    if (ready) {
        count_uses(f);
        fuse_nodes(f);
    }
    free(f->writer);
    free(f->uses);
    free(f->dead);
    return ready ? PIO_OK : pio_fail_memory(error, "fusing a graph", sizeof(int32_t) * 2 * (size_t)graph->n_tensors);
}

pio_status pio_fuse(pio_spec *spec, const pio_selector *selector, pio_error *error) {
    pio_status status = PIO_OK;
    for (int32_t g = 0; g < spec->n_graphs && !status; g++)
        status = fuse_graph(&(fuser){.spec = spec, .selector = selector, .graph = &spec->graphs[g]}, error);
    return status;
}

pio_status pio_fuse_step(const pio_spec *spec, const pio_selector *selector, const pio_bounds *bounds, pio_graph *graph,
                         pio_error *error) {
    return fuse_graph(&(fuser){.spec = spec, .selector = selector, .graph = graph, .bounds = bounds}, error);
}
