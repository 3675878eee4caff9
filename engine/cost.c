#include "engine/cost.h"

#include <string.h>

#include "graph/passes.h"

typedef struct counter {
    const pio_model *model;
    uint64_t n_sequences, n_tokens, context, n_outs;
} counter;

static void add_linear(const counter *c, const pio_tensor_info *stored, bool head, pio_cost *cost) {
    const pio_weight *weight = &c->model->spec.weights[stored->index];
    uint64_t rows = c->n_sequences * (head ? c->n_outs : c->n_tokens);
    cost->ops += 2 * (uint64_t)weight->rows * (uint64_t)weight->cols * rows;
    cost->bytes += pio_model_weight_bytes(c->model, stored->index);
}

/* Each token reads its own experts; no more of them than there are, and those that all share once. */
static void add_experts(const counter *c, const pio_tensor_info *stored, pio_cost *cost) {
    const pio_weight *weight = &c->model->spec.weights[stored->index];
    const pio_spec *spec = &c->model->spec;
    const uint64_t n_experts = (uint64_t)weight->n_matrices, n_shared = (uint64_t)spec->n_shared;
    const uint64_t tokens = c->n_sequences * c->n_tokens, pairs = tokens * (uint64_t)spec->n_chosen;
    const uint64_t n_read = PIO_MIN(pairs - tokens * n_shared, n_experts - n_shared) + n_shared;
    cost->ops += 2 * (uint64_t)weight->rows * (uint64_t)weight->cols * pairs;
    cost->bytes += pio_model_weight_bytes(c->model, stored->index) / n_experts * n_read;
}

/* Summed over a sequence's tokens. */
static uint64_t visible_keys(const counter *c) {
    return c->n_tokens * c->context + c->n_tokens * (c->n_tokens + 1) / 2;
}

static void add_cache_bytes(const counter *c, int32_t cache, pio_cost *cost) {
    uint64_t page = pio_model_cache_bytes(c->model, cache, 2) - pio_model_cache_bytes(c->model, cache, 1);
    cost->bytes += c->n_sequences * page * c->context / (uint64_t)c->model->spec.page_tokens;
}

static void add_attention(const counter *c, const pio_node *node, int32_t cache, pio_cost *cost) {
    cost->ops +=
        c->n_sequences * 2 * (uint64_t)node->attrs.n_heads * 2 * (uint64_t)node->attrs.head_dim * visible_keys(c);
    add_cache_bytes(c, cache, cost);
}

/* Every token by all heads' matrices. */
static void add_heads(const counter *c, const pio_tensor_info *stored, pio_cost *cost) {
    const pio_weight *weight = &c->model->spec.weights[stored->index];
    cost->ops += 2 * (uint64_t)weight->n_matrices * (uint64_t)weight->rows * (uint64_t)weight->cols * c->n_sequences *
                 c->n_tokens;
    cost->bytes += pio_model_weight_bytes(c->model, stored->index);
}

/* Counted as what it stands for, heads with keys and values of their own, both as wide as the queries. */
static void add_latents(const counter *c, const pio_graph *graph, const pio_node *node, int32_t cache, pio_cost *cost) {
    cost->ops += c->n_sequences * 2 * 2 * (uint64_t)graph->tensors[node->in[2]].cols * visible_keys(c);
    add_cache_bytes(c, cache, cost);
}

pio_cost pio_step_cost(const pio_model *model, int32_t n_sequences, int32_t n_tokens, int32_t context, int32_t n_outs) {
    const counter c = {model, (uint64_t)n_sequences, (uint64_t)n_tokens, (uint64_t)context, (uint64_t)n_outs};
    pio_cost cost = {0};
    for (int32_t g = 0; g < model->spec.n_graphs; g++) {
        const pio_graph *graph = &model->spec.graphs[g];
        if (!strcmp(graph->name, "vision")) continue;
        bool head = !strcmp(graph->name, "head");
        for (int32_t i = 0; i < graph->n_nodes && (!head || n_outs); i++) {
            const pio_node *node = &graph->nodes[i];
            const pio_tensor_info *stored = pio_node_stored(graph, node);
            if (!strcmp(pio_op_get(node->op)->family, "linear"))
                add_linear(&c, stored, head, &cost);
            else if (stored && !strcmp(pio_op_get(node->op)->family, "moe"))
                add_experts(&c, stored, &cost);
            else if (node->op == PIO_OP_LINEAR_HEADS)
                add_heads(&c, stored, &cost);
            else if (node->op == PIO_OP_LATENT_ATTENTION)
                add_latents(&c, graph, node, stored->index, &cost);
            else if (node->op == PIO_OP_ATTENTION)
                add_attention(&c, node, stored->index, &cost);
        }
    }
    return cost;
}

pio_cost pio_vision_cost(const pio_model *model, int32_t n_patches) {
    const pio_graph *graph = pio_spec_graph(&model->spec, "vision");
    const pio_bounds bounds = pio_step_bounds(&model->spec, 1, 1, n_patches);
    pio_cost cost = {0};
    for (int32_t i = 0; graph && i < graph->n_nodes; i++) {
        const pio_node *node = &graph->nodes[i];
        const pio_tensor_info *stored = pio_node_stored(graph, node);
        if (!strcmp(pio_op_get(node->op)->family, "linear")) {
            const pio_weight *weight = &model->spec.weights[stored->index];
            const uint64_t rows = (uint64_t)pio_dim_bound(graph->tensors[node->in[0]].rows, &bounds);
            cost.ops += 2 * (uint64_t)weight->rows * (uint64_t)weight->cols * rows;
            cost.bytes += pio_model_weight_bytes(model, stored->index);
        } else if (node->op == PIO_OP_ATTENTION) {
            cost.ops += 4 * (uint64_t)node->attrs.n_heads * (uint64_t)node->attrs.head_dim * (uint64_t)n_patches *
                        (uint64_t)n_patches;
        }
    }
    return cost;
}
