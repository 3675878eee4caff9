#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "graph/passes.h"

enum { ALIGNMENT = 256 };

void pio_plan_free(pio_plan *plan) {
    if (!plan) return;
    free(plan->placed);
    free(plan->nodes);
    memset(plan, 0, sizeof *plan);
}

static const pio_placed *root_of(const pio_plan *plan, pio_tensor t) {
    while (plan->placed[t].root != t) t = plan->placed[t].root;
    return &plan->placed[t];
}

static void placed_operand(const pio_plan *plan, pio_tensor t, pio_operand *operand) {
    const pio_placed *placed = &plan->placed[t];
    operand->encoding = placed->encoding;
    if (placed->encoding != PIO_ENC_F32) operand->stride = pio_encoding_stride(placed->encoding, placed->info.cols);
}

void pio_planned_call(const pio_plan *plan, const pio_planned *planned, pio_call *call) {
    pio_node node = {.op = planned->op, .n_in = planned->n_in, .n_out = planned->n_out, .attrs = planned->attrs};
    /* A graph whose tensors are the plan's, so that converted ones are described like the others. */
    memcpy(node.in, planned->in, sizeof node.in);
    memcpy(node.out, planned->out, sizeof node.out);
    pio_node at_home = node;
    for (int i = 0; i < node.n_in; i++)
        if (node.in[i] >= plan->graph->n_tensors) at_home.in[i] = plan->placed[node.in[i]].info.index;
    for (int i = 0; i < node.n_out; i++)
        if (node.out[i] >= plan->graph->n_tensors) at_home.out[i] = plan->placed[node.out[i]].info.index;
    pio_node_call(plan->spec, plan->graph, &at_home, &plan->bounds, call);
    for (int i = 0; i < node.n_in; i++)
        if (node.in[i] != PIO_NO_TENSOR) placed_operand(plan, node.in[i], &call->in[i]);
    for (int i = 0; i < node.n_out; i++) placed_operand(plan, node.out[i], &call->out[i]);
    call->n_workers = plan->n_workers;
    call->subgroup_size = plan->subgroup_size;
}

/* ---- rows ---- */

static pio_status choose_row(const pio_plan *plan, const pio_selector *selector, pio_planned *planned,
                             pio_error *error) {
    pio_call call;
    pio_planned_call(plan, planned, &call);
    int stored = pio_op_get(planned->op)->stored;
    pio_layout layout = stored < 0 ? PIO_LAYOUT_ANY : call.in[stored].layout;
    planned->row = pio_select(selector, &call, layout);
    if (!planned->row) return pio_select_fail(selector, &call, layout, error);
    planned->scratch_bytes =
        planned->row->scratch ? PIO_ROUND_UP((uint64_t)planned->row->scratch(&call), ALIGNMENT) : 0;
    return PIO_OK;
}

static pio_status copy_nodes(pio_plan *plan, const pio_selector *selector, const pio_graph *fused, pio_error *error) {
    for (int32_t t = 0; t < plan->graph->n_tensors; t++) {
        pio_placed *placed = PIO_PUSH(plan, placed);
        if (!placed) return pio_fail_memory(error, "a plan", sizeof *placed);
        placed->info = plan->graph->tensors[t];
        placed->root = placed->info.place == PIO_PLACE_VIEW ? placed->info.index : t;
    }
    for (int32_t i = 0; i < fused->n_nodes; i++) {
        const pio_node *node = &fused->nodes[i];
        pio_planned *planned = PIO_PUSH(plan, nodes);
        if (!planned) return pio_fail_memory(error, "a plan", sizeof *planned);
        *planned = (pio_planned){
            .op = node->op, .n_in = node->n_in, .n_out = node->n_out, .attrs = node->attrs, .layer = node->layer};
        memcpy(planned->in, node->in, sizeof node->in);
        memcpy(planned->out, node->out, sizeof node->out);
        pio_status status = choose_row(plan, selector, planned, error);
        if (status) return status;
    }
    return PIO_OK;
}

/* The graph's nodes, some of them fused for this plan alone. */
static pio_status fuse_and_copy(pio_plan *plan, const pio_selector *selector, pio_error *error) {
    pio_graph fused = *plan->graph;
    const size_t bytes = sizeof *fused.nodes * (size_t)PIO_MAX(1, fused.n_nodes);
    fused.nodes = malloc(bytes);
    if (!fused.nodes) return pio_fail_memory(error, "a plan", bytes);
    memcpy(fused.nodes, plan->graph->nodes, sizeof *fused.nodes * (size_t)fused.n_nodes);
    pio_status status = pio_fuse_step(plan->spec, selector, &plan->bounds, &fused, error);
    if (!status) status = copy_nodes(plan, selector, &fused, error);
    free(fused.nodes);
    return status;
}

/* ---- encodings ---- */

/* Whether every reader of `t` wants it as `encoding`, as its first input. */
static bool all_read_as(const pio_plan *plan, pio_tensor t, pio_encoding encoding) {
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const pio_planned *node = &plan->nodes[i];
        for (int j = 0; j < node->n_in; j++) {
            if (node->in[j] == t && (j || node->row->acts != encoding)) return false;
            if (node->in[j] != PIO_NO_TENSOR && plan->placed[node->in[j]].info.place == PIO_PLACE_VIEW &&
                plan->placed[node->in[j]].info.index == t)
                return false;
        }
    }
    return true;
}

static pio_planned *writer_of(const pio_plan *plan, pio_tensor t) {
    for (int32_t i = 0; i < plan->n_nodes; i++)
        for (int j = 0; j < plan->nodes[i].n_out; j++)
            if (plan->nodes[i].out[j] == t) return &plan->nodes[i];
    return NULL;
}

/* Lets the node that writes `t` write `encoding` at once, where all agree. */
static bool encode_at_source(pio_plan *plan, const pio_selector *selector, pio_tensor t, pio_encoding encoding) {
    pio_placed *placed = &plan->placed[t];
    if (placed->info.place != PIO_PLACE_ARENA || placed->info.tap || !all_read_as(plan, t, encoding)) return false;
    pio_planned *writer = writer_of(plan, t);
    if (!writer || writer->out[0] != t || !(writer->row->out_encodings & 1u << encoding)) return false;
    placed->encoding = encoding;
    pio_planned again = *writer;
    if (choose_row(plan, selector, &again, NULL) || again.row->acts != writer->row->acts) {
        placed->encoding = PIO_ENC_F32;
        return false;
    }
    *writer = again;
    return true;
}

/* The tensor that holds `t` as `encoding`: made by a CONVERT node appended to `plan`. */
static pio_status convert(pio_plan *plan, const pio_selector *selector, pio_tensor t, pio_encoding encoding,
                          pio_tensor *out, pio_error *error) {
    for (pio_tensor i = plan->graph->n_tensors; i < plan->n_placed; i++) {
        if (plan->placed[i].info.index == t && plan->placed[i].encoding == encoding) {
            *out = i;
            return PIO_OK;
        }
    }
    pio_placed *placed = PIO_PUSH(plan, placed);
    pio_planned *node = placed ? PIO_PUSH(plan, nodes) : NULL;
    if (!node) return pio_fail_memory(error, "a plan", sizeof *node);
    *out = plan->n_placed - 1;
    placed->info = plan->placed[t].info;
    placed->info.place = PIO_PLACE_ARENA;
    placed->info.index = t;
    placed->info.tap = false;
    placed->encoding = encoding;
    placed->root = *out;
    *node = (pio_planned){.op = PIO_OP_CONVERT, .n_in = 1, .n_out = 1, .in = {t}, .out = {*out}, .layer = -1};
    return choose_row(plan, selector, node, error);
}

/* Gives every node its first input in the encoding that its row reads. */
static pio_status encode(pio_plan *plan, const pio_selector *selector, pio_error *error) {
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        pio_planned *node = &plan->nodes[i];
        pio_tensor t = node->in[0];
        if (t != PIO_NO_TENSOR && node->row->acts != plan->placed[t].encoding &&
            plan->placed[t].info.place != PIO_PLACE_WEIGHT)
            encode_at_source(plan, selector, t, node->row->acts);
    }
    /* The nodes are copied one by one, a conversion before the first that needs it. */
    pio_planned *before = plan->nodes;
    int32_t n_before = plan->n_nodes;
    plan->nodes = NULL;
    plan->n_nodes = plan->nodes_capacity = 0;
    pio_status status = PIO_OK;
    for (int32_t i = 0; i < n_before && !status; i++) {
        pio_planned node = before[i];
        pio_tensor t = node.in[0];
        bool activations = t != PIO_NO_TENSOR && plan->placed[t].info.place != PIO_PLACE_WEIGHT;
        if (activations && node.row->acts != plan->placed[t].encoding)
            status = convert(plan, selector, t, node.row->acts, &node.in[0], error);
        pio_planned *copy = status ? NULL : PIO_PUSH(plan, nodes);
        if (copy)
            *copy = node;
        else if (!status)
            status = pio_fail_memory(error, "a plan", sizeof *copy);
    }
    free(before);
    return status;
}

/* ---- places ---- */

static void touch(pio_plan *plan, pio_tensor t, int32_t node) {
    if (t == PIO_NO_TENSOR) return;
    pio_placed *root = (pio_placed *)root_of(plan, t);
    root->first = PIO_MIN(root->first, node);
    root->last = PIO_MAX(root->last, node);
}

static void find_lifetimes(pio_plan *plan) {
    for (pio_tensor t = 0; t < plan->n_placed; t++) {
        plan->placed[t].first = INT32_MAX;
        plan->placed[t].last = -1;
    }
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        for (int j = 0; j < plan->nodes[i].n_in; j++) touch(plan, plan->nodes[i].in[j], i);
        for (int j = 0; j < plan->nodes[i].n_out; j++) touch(plan, plan->nodes[i].out[j], i);
    }
}

/* Lays outputs on inputs that nobody reads any more, where the op allows it. */
static void overwrite_inputs(pio_plan *plan, bool keep_taps) {
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const pio_planned *node = &plan->nodes[i];
        int in_place = pio_op_get(node->op)->in_place;
        if (in_place < 0 || in_place >= node->n_in || node->in[in_place] == PIO_NO_TENSOR) continue;
        pio_placed *in = (pio_placed *)root_of(plan, node->in[in_place]), *out = &plan->placed[node->out[0]];
        if (in->info.place != PIO_PLACE_ARENA || out->info.place != PIO_PLACE_ARENA || in->last != i) continue;
        if (plan->placed[node->in[in_place]].info.place == PIO_PLACE_VIEW || in->info.cols != out->info.cols) continue;
        if (in->encoding != PIO_ENC_F32 || out->encoding != PIO_ENC_F32) continue;
        if (keep_taps && (in->info.tap || out->info.tap)) continue;
        out->root = (pio_tensor)(in - plan->placed);
        in->last = PIO_MAX(in->last, out->last);
    }
}

/* Something to place: a tensor, or (t < 0) the scratch of node -1 - t. */
typedef struct item {
    int32_t t, first, last;
    uint64_t bytes, offset;
} item;

static int larger_first(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : (x->t > y->t) - (x->t < y->t);
}

/* The lowest offset at which `it` overlaps none of the n placed items that live when it lives. */
static uint64_t lowest_free(const item *placed, int32_t n, const item *it) {
    uint64_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int32_t i = 0; i < n; i++) {
            const item *other = &placed[i];
            if (other->last < it->first || it->last < other->first) continue;
            if (offset + it->bytes <= other->offset || other->offset + other->bytes <= offset) continue;
            offset = other->offset + other->bytes;
            moved = true;
        }
    }
    return offset;
}

static int32_t list_items(pio_plan *plan, bool keep_taps, item *items) {
    int32_t n = 0;
    for (pio_tensor t = 0; t < plan->n_placed; t++) {
        pio_placed *placed = &plan->placed[t];
        if (placed->info.place != PIO_PLACE_ARENA || placed->root != t || placed->last < 0) continue;
        int64_t rows = pio_dim_bound(placed->info.rows, &plan->bounds);
        placed->bytes = PIO_ROUND_UP(
            (uint64_t)rows * (uint64_t)pio_encoding_stride(placed->encoding, placed->info.cols), (uint64_t)ALIGNMENT);
        if (keep_taps && placed->info.tap) placed->last = plan->n_nodes;
        items[n++] = (item){t, placed->first, placed->last, placed->bytes, 0};
    }
    for (int32_t i = 0; i < plan->n_nodes; i++)
        if (plan->nodes[i].scratch_bytes) items[n++] = (item){-1 - i, i, i, plan->nodes[i].scratch_bytes, 0};
    return n;
}

static pio_status pack_arena(pio_plan *plan, bool keep_taps, pio_error *error) {
    item *items = malloc(sizeof *items * (size_t)(plan->n_placed + plan->n_nodes + 1));
    if (!items) return pio_fail_memory(error, "packing the arena", sizeof *items * (size_t)plan->n_placed);
    int32_t n = list_items(plan, keep_taps, items);
    qsort(items, (size_t)n, sizeof *items, larger_first);
    for (int32_t i = 0; i < n; i++) {
        items[i].offset = lowest_free(items, i, &items[i]);
        plan->arena_bytes = PIO_MAX(plan->arena_bytes, items[i].offset + items[i].bytes);
        if (items[i].t >= 0)
            plan->placed[items[i].t].offset = items[i].offset;
        else
            plan->nodes[-1 - items[i].t].scratch_offset = items[i].offset;
    }
    free(items);
    return PIO_OK;
}

pio_status pio_plan_make(const pio_spec *spec, const pio_graph *graph, const pio_selector *selector,
                         const pio_bounds *bounds, bool keep_taps, pio_plan *plan, pio_error *error) {
    *plan = (pio_plan){.spec = spec,
                       .graph = graph,
                       .bounds = *bounds,
                       .n_workers = selector->n_workers,
                       .subgroup_size = selector->subgroup_size};
    pio_status status = fuse_and_copy(plan, selector, error);
    if (!status) status = encode(plan, selector, error);
    if (!status) {
        find_lifetimes(plan);
        overwrite_inputs(plan, keep_taps);
        status = pack_arena(plan, keep_taps, error);
    }
    if (status) pio_plan_free(plan);
    return status;
}
