/* One layout a weight: the decode rows decide, since decoding reads every weight for every token; the weights of a
 * vision graph are read for many patches at once, so there the first probe has many. */
#include "graph/passes.h"

pio_bounds pio_probe_bounds(const pio_spec *spec, int probe) {
    static const struct { int32_t tokens, outs, merged; } steps[PIO_N_PROBES] = {{1, 1, 256}, {16, 4, 4}, {512, 16, 1}};
    return pio_step_bounds(spec, steps[probe].tokens, steps[probe].outs,
                           steps[probe].merged * PIO_MAX(1, spec->n_merged));
}

const pio_tensor_info *pio_node_stored(const pio_graph *graph, const pio_node *node) {
    int stored = pio_op_get(node->op)->stored;
    return stored < 0 ? NULL : &graph->tensors[node->in[stored]];
}

const pio_row *pio_select_dtype(const pio_selector *selector, const pio_call *call, pio_dtype dtype) {
    const pio_row *best = NULL;
    for (int layout = PIO_LAYOUT_NONE + 1; layout < PIO_LAYOUT_COUNT; layout++) {
        if (pio_layout_get((pio_layout)layout)->dtype != dtype) continue;
        const pio_row *row = pio_select(selector, call, (pio_layout)layout);
        if (row && (!best || row->rank > best->rank)) best = row;
    }
    return best;
}

/* What is being laid out: a weight, or a cache. */
typedef struct subject {
    const pio_spec *spec;
    const pio_selector *selector;
    pio_place place;
    int32_t index;
} subject;

/* A call that no row serves in a layout. */
typedef struct refusal {
    pio_call call;
    pio_layout layout; /* PIO_LAYOUT_NONE: there was no such call yet */
} refusal;

/* How well a refusal explains itself: a forced row that reads the layout is to blame, before one that does not. */
static int blame(const pio_selector *selector, const refusal *r) {
    if (r->layout == PIO_LAYOUT_NONE) return -1;
    const pio_row *forced = selector->forced[r->call.op];
    return !forced ? 0 : forced->layout == r->layout || forced->layout == PIO_LAYOUT_ANY ? 2 : 1;
}

/* Adds the ranks of the rows that serve `node` in `layout`; the first probe, one token, outweighs the others. False:
 * some probe has no row, and `refused` says which call, unless it holds one that explains more. */
static bool node_score(const subject *s, const pio_graph *graph, const pio_node *node, pio_layout layout,
                       int64_t *score, refusal *refused) {
    for (int probe = 0; probe < PIO_N_PROBES; probe++) {
        pio_call call;
        const pio_bounds bounds = pio_probe_bounds(s->spec, probe);
        pio_node_call(s->spec, graph, node, &bounds, &call);
        call.n_workers = s->selector->n_workers;
        call.subgroup_size = s->selector->subgroup_size;
        const pio_row *row = pio_select(s->selector, &call, layout);
        if (!row) {
            const refusal now = {call, layout};
            if (blame(s->selector, &now) > blame(s->selector, refused)) *refused = now;
            return false;
        }
        *score += (int64_t)row->rank * (probe ? 1 : 1000);
    }
    return true;
}

static bool layout_score(const subject *s, pio_layout layout, int64_t *score, refusal *refused) {
    *score = 0;
    for (int32_t g = 0; g < s->spec->n_graphs; g++) {
        const pio_graph *graph = &s->spec->graphs[g];
        for (int32_t i = 0; i < graph->n_nodes; i++) {
            const pio_tensor_info *stored = pio_node_stored(graph, &graph->nodes[i]);
            if (!stored || stored->place != s->place || stored->index != s->index) continue;
            if (!node_score(s, graph, &graph->nodes[i], layout, score, refused)) return false;
        }
    }
    return true;
}

/* The layout of the highest score, among those of `dtype` or among the caches'. */
static pio_status choose(const subject *s, bool cache, pio_dtype dtype, pio_layout *chosen, pio_error *error) {
    int64_t best = -1;
    refusal refused = {.layout = PIO_LAYOUT_NONE};
    for (int i = PIO_LAYOUT_NONE + 1; i < PIO_LAYOUT_COUNT; i++) {
        const pio_layout_info *info = pio_layout_get((pio_layout)i);
        int64_t score;
        if ((info->panel_rows == 0) != cache || (!cache && info->dtype != dtype)) continue;
        if (cache && s->selector->cache_layouts && !(s->selector->cache_layouts & 1u << i)) continue;
        if (!layout_score(s, (pio_layout)i, &score, &refused) || score <= best) continue;
        best = score;
        *chosen = (pio_layout)i;
    }
    return best >= 0 ? PIO_OK : pio_select_fail(s->selector, &refused.call, refused.layout, error);
}

pio_status pio_choose_layouts(pio_spec *spec, const pio_selector *selector, pio_error *error) {
    for (int32_t i = 0; i < spec->n_weights; i++) {
        pio_weight *weight = &spec->weights[i];
        weight->layout = PIO_LAYOUT_F32_ROWS;
        if (weight->kind == PIO_WEIGHT_VECTOR || weight->kind == PIO_WEIGHT_VALUES) continue;
        const subject s = {spec, selector, PIO_PLACE_WEIGHT, i};
        pio_status status = choose(&s, false, weight->dtype, &weight->layout, error);
        if (status) return pio_fail_prefix(error, "%s in %s", weight->name, pio_dtype_name(weight->dtype));
    }
    for (int32_t i = 0; i < spec->n_caches; i++) {
        const subject s = {spec, selector, PIO_PLACE_CACHE, i};
        pio_status status = choose(&s, true, PIO_DTYPE_COUNT, &spec->caches[i].layout, error);
        if (status) return selector->cache_layouts ? pio_fail_prefix(error, "the kv_cache asked for") : status;
    }
    return PIO_OK;
}
