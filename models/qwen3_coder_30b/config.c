#include <string.h>

#include "base/compiler.h"
#include "kernels/moe/moe.h"
#include "models/blocks/numbers.h"
#include "models/qwen3_coder_30b/qwen3_moe.h"

_Static_assert(sizeof(pio_qwen3_moe_config) <= PIO_MODEL_CONFIG_BYTES, "the config fits pio_any_config");

/* Routers of other families. */
static const pio_setting settings[] = {{"scoring_func", "softmax"}, {"topk_method", "greedy"}};

/* Dense are the layers of mlp_only_layers, and those whose number, from 1, decoder_sparse_step does not divide. */
static pio_status read_dense_layers(const pio_json_object *root, pio_qwen3_moe_config *c, pio_error *error) {
    int64_t dense[PIO_MAX_LAYERS], step = 1;
    size_t n = 0;
    pio_status status = pio_json_get_int_or(root, "decoder_sparse_step", 1, PIO_MAX_LAYERS, 1, &step, error);
    if (!status)
        status = pio_json_get_ints(root, "mlp_only_layers", 0, PIO_MAX_LAYERS - 1, dense, PIO_COUNT(dense), &n, error);
    for (int32_t i = 0; i < c->base.common.n_layers && !status; i++)
        if ((i + 1) % step) pio_layer_set_add(&c->dense, i);
    for (size_t i = 0; i < n && !status; i++) pio_layer_set_add(&c->dense, (int32_t)dense[i]);
    return status;
}

pio_status pio_qwen3_moe_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error) {
    pio_qwen3_moe_config *c = (pio_qwen3_moe_config *)out;
    pio_moe *moe = &c->moe;
    const char *experts = pio_json_has(root, "num_experts") ? "num_experts" : "num_local_experts";
    const pio_number numbers[] = {
        {experts, 1, PIO_MAX_EXPERTS, PIO_REQUIRED, &moe->n_experts},
        {"num_experts_per_tok", 1, PIO_MAX_EXPERTS, PIO_REQUIRED, &moe->n_chosen},
        {"moe_intermediate_size", 1, PIO_MAX_WIDTH, PIO_REQUIRED, &moe->width},
    };
    bool normalised = false;
    pio_status status = pio_qwen3_read_config(root, out, error);
    if (!status) status = pio_settings_check(root, settings, PIO_COUNT(settings), error);
    if (!status) status = pio_numbers_read(root, numbers, PIO_COUNT(numbers), error);
    if (!status) status = pio_json_get_bool_or(root, "norm_topk_prob", false, &normalised, error);
    if (!status) status = read_dense_layers(root, c, error);
    if (status) return status;
    if (!pio_json_has(root, "head_dim"))
        c->base.attention.head_dim = c->base.common.hidden_size / c->base.attention.n_heads;
    moe->n_groups = moe->n_top_groups = 1;
    moe->flags = normalised ? PIO_ROUTE_NORMALISE : 0;
    moe->scale = 1;
    return pio_moe_check(moe, root, error);
}
