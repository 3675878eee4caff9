#include <stdio.h>

#include "kernels/moe/moe.h"
#include "models/blocks/blocks.h"
#include "models/blocks/name.h"

pio_status pio_moe_check(const pio_moe *c, const pio_json_object *in, pio_error *error) {
    if (c->n_chosen > c->n_experts)
        return pio_fail(error, PIO_CORRUPT, "'%s': %snum_experts_per_tok %d is more than the %d experts", in->file,
                        in->prefix, c->n_chosen, c->n_experts);
    if (c->n_experts % c->n_groups || (c->n_groups > 1 && c->n_experts / c->n_groups < 2))
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': %sn_group %d does not cut %d experts into equal groups of two or more", in->file,
                        in->prefix, c->n_groups, c->n_experts);
    if (c->n_top_groups > c->n_groups)
        return pio_fail(error, PIO_CORRUPT, "'%s': %stopk_group %d is more than n_group %d", in->file, in->prefix,
                        c->n_top_groups, c->n_groups);
    if (c->n_chosen > c->n_experts / c->n_groups * c->n_top_groups)
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': %snum_experts_per_tok %d is more than the %d experts of topk_group %d groups", in->file,
                        in->prefix, c->n_chosen, c->n_experts / c->n_groups * c->n_top_groups, c->n_top_groups);
    return PIO_OK;
}

/* `rows` rows of expert `expert`: of a tensor of its own, or of the one that holds all experts, whose share is
 * `all_rows` rows an expert, from `first` on. */
static void add_part(pio_spec *spec, int32_t weight, const char *mlp, int32_t expert, const char *own, const char *all,
                     int32_t rows, int32_t first, int32_t all_rows, int32_t n_experts) {
    pio_weight_part part = {.from = {.tensor_rows = rows},
                            .or_from = {.first_row = expert * all_rows + first, .tensor_rows = n_experts * all_rows},
                            .rows = rows};
    snprintf(part.from.tensor, sizeof part.from.tensor, "%.60s.experts.%d.%.12s.weight", mlp, expert, own);
    snprintf(part.or_from.tensor, sizeof part.or_from.tensor, "%.60s.experts.%.16s", mlp, all);
    pio_weight_part_add(spec, weight, &part);
}

/* Part `index` of the shared experts' tensor `own`, which holds them side by side: their rows, or (down) their columns.
 */
static void add_shared(pio_spec *spec, int32_t weight, const pio_moe *c, const char *mlp, int32_t index,
                       const char *own, int32_t hidden_size, bool down) {
    const int32_t all = c->n_shared * c->width, first = index * c->width;
    pio_weight_part part = {.rows = down ? hidden_size : c->width};
    if (down)
        part.from = (pio_tensor_rows){.tensor_rows = hidden_size, .first_col = first, .tensor_cols = all};
    else
        part.from = (pio_tensor_rows){.first_row = first, .tensor_rows = all};
    snprintf(part.from.tensor, sizeof part.from.tensor, "%.60s.shared_experts.%.12s.weight", mlp, own);
    pio_weight_part_add(spec, weight, &part);
}

/* All experts' gate and up rows, in blocks in turn: [n_experts + n_shared][2 width, hidden]. */
static int32_t gate_up_weight(pio_spec *spec, const pio_moe *c, const char *mlp, int32_t hidden_size) {
    PIO_NAME(name, mlp, "experts.gate_up");
    int32_t weight =
        pio_weight_stack(spec, name, PIO_WEIGHT_MATRIX, true, c->n_experts + c->n_shared, 2 * c->width, hidden_size);
    for (int32_t e = 0; e < c->n_experts; e++) {
        add_part(spec, weight, mlp, e, "gate_proj", "gate_up_proj", c->width, 0, 2 * c->width, c->n_experts);
        add_part(spec, weight, mlp, e, "up_proj", "gate_up_proj", c->width, c->width, 2 * c->width, c->n_experts);
    }
    for (int32_t i = 0; i < c->n_shared; i++) {
        add_shared(spec, weight, c, mlp, i, "gate_proj", hidden_size, false);
        add_shared(spec, weight, c, mlp, i, "up_proj", hidden_size, false);
    }
    return weight;
}

/* [n_experts + n_shared][hidden, width] */
static int32_t down_weight(pio_spec *spec, const pio_moe *c, const char *mlp, int32_t hidden_size) {
    PIO_NAME(name, mlp, "experts.down");
    int32_t weight =
        pio_weight_stack(spec, name, PIO_WEIGHT_MATRIX, false, c->n_experts + c->n_shared, hidden_size, c->width);
    for (int32_t e = 0; e < c->n_experts; e++)
        add_part(spec, weight, mlp, e, "down_proj", "down_proj", hidden_size, 0, hidden_size, c->n_experts);
    for (int32_t i = 0; i < c->n_shared; i++) add_shared(spec, weight, c, mlp, i, "down_proj", hidden_size, true);
    return weight;
}

pio_tensor pio_moe_block(pio_spec *spec, const pio_moe *c, const char *prefix, pio_tensor x, int32_t hidden_size,
                         float eps) {
    PIO_NAME(norm, prefix, "post_attention_layernorm.weight");
    PIO_NAME(mlp, prefix, "mlp");
    PIO_NAME(router, mlp, "gate.weight");
    PIO_NAME(bias, mlp, "gate.e_score_correction_bias");
    spec->n_chosen = c->n_chosen + c->n_shared;
    spec->n_shared = c->n_shared;

    pio_tensor n = pio_rmsnorm(spec, x, pio_weight_vector(spec, norm, hidden_size), eps);
    int32_t router_weight = pio_weight_of(spec, PIO_WEIGHT_EXACT, router, c->n_experts, hidden_size);
    pio_tensor logits = pio_linear(spec, n, router_weight, -1); /* [T, n_experts] */
    const pio_attrs attrs = {.flags = c->flags,
                             .scale = c->scale,
                             .eps = c->eps,
                             .n_groups = c->n_groups,
                             .n_top_groups = c->n_top_groups,
                             .n_shared = c->n_shared};
    pio_tensor weights;
    pio_tensor experts = pio_route(spec, logits, c->bias ? pio_weight_vector(spec, bias, c->n_experts) : -1,
                                   spec->n_chosen, &attrs, &weights); /* [T, n_chosen + n_shared] */

    pio_tensor gate_up = pio_experts_linear(spec, n, gate_up_weight(spec, c, mlp, hidden_size), experts);
    pio_tensor h = pio_swiglu(spec, gate_up); /* [T x (n_chosen + n_shared), width], by experts */
    return pio_experts_down(spec, h, down_weight(spec, c, mlp, hidden_size), experts, weights, x);
}
