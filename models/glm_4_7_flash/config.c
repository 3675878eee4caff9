#include <string.h>

#include "base/compiler.h"
#include "kernels/moe/moe.h"
#include "models/blocks/numbers.h"
#include "models/glm_4_7_flash/glm.h"

_Static_assert(sizeof(pio_glm_config) <= PIO_MODEL_CONFIG_BYTES, "the config fits pio_any_config");

/* What the published checkpoint leaves at one value. */
static const pio_setting settings[] = {
    {"hidden_act", "silu"}, {"topk_method", "noaux_tc"}, {"scoring_func", "sigmoid"}, {"attention_bias"}};

/* Dense are the layers of that type in mlp_layer_types, else the first first_k_dense_replace, else the first. */
static pio_status read_dense_layers(const pio_json_object *root, pio_glm_config *c, pio_error *error) {
    const char *types[PIO_MAX_LAYERS];
    int64_t first = 1;
    size_t n = 0;
    pio_status status = pio_json_get_strings(root, "mlp_layer_types", types, PIO_COUNT(types), &n, error);
    if (!status) status = pio_json_get_int_or(root, "first_k_dense_replace", 0, PIO_MAX_LAYERS, 1, &first, error);
    if (status) return status;
    if (n && n < (size_t)c->common.n_layers)
        return pio_fail(error, PIO_CORRUPT, "'%s': mlp_layer_types has %zu layers of %d", root->file, n,
                        c->common.n_layers);
    for (int32_t i = 0; i < c->common.n_layers; i++) {
        if (n && strcmp(types[i], "dense") && strcmp(types[i], "sparse"))
            return pio_fail(error, PIO_UNSUPPORTED,
                            "'%s': mlp_layer_types '%.40s' is not supported, only 'dense' and 'sparse' are", root->file,
                            types[i]);
        if (n ? !strcmp(types[i], "dense") : i < first) pio_layer_set_add(&c->dense, i);
    }
    return PIO_OK;
}

static pio_status read_experts(const pio_json_object *root, pio_glm_config *c, pio_error *error) {
    static const char *const names[] = {"n_routed_experts", "num_experts", "num_local_experts"};
    pio_moe *moe = &c->moe;
    const char *experts = names[0];
    for (size_t i = 0; i < PIO_COUNT(names) && !pio_json_has(root, experts); i++) experts = names[i];
    if (!pio_json_has(root, experts)) experts = names[0];
    const pio_number numbers[] = {
        {experts, 1, PIO_MAX_EXPERTS, PIO_REQUIRED, &moe->n_experts},
        {"num_experts_per_tok", 1, PIO_MAX_EXPERTS, PIO_REQUIRED, &moe->n_chosen},
        {"moe_intermediate_size", 1, PIO_MAX_WIDTH / 16, PIO_REQUIRED, &moe->width},
        {"n_shared_experts", 0, 16, 1, &moe->n_shared},
        {"n_group", 1, PIO_MAX_EXPERTS, 1, &moe->n_groups},
        {"topk_group", 1, PIO_MAX_EXPERTS, 1, &moe->n_top_groups},
    };
    bool normalised = true;
    double scale = 1;
    pio_status status = pio_numbers_read(root, numbers, PIO_COUNT(numbers), error);
    if (!status) status = pio_json_get_bool_or(root, "norm_topk_prob", true, &normalised, error);
    if (!status) status = pio_json_get_double_or(root, "routed_scaling_factor", 0, 1e6, 1.8, &scale, error);
    if (status) return status;
    moe->flags = PIO_ROUTE_SIGMOID | (normalised ? PIO_ROUTE_NORMALISE : 0);
    moe->bias = true;
    moe->scale = (float)scale;
    moe->eps = 1e-20f;
    return pio_moe_check(moe, root, error);
}

static pio_status read_attention(const pio_json_object *root, pio_glm_config *c, pio_error *error) {
    pio_mla *mla = &c->attention;
    const pio_number numbers[] = {
        {"num_attention_heads", 1, PIO_MAX_HEADS, PIO_REQUIRED, &mla->n_heads},
        {"q_lora_rank", 1, PIO_MAX_WIDTH, 0, &mla->q_rank},
        {"kv_lora_rank", 1, PIO_MAX_HEAD_DIM, PIO_REQUIRED, &mla->latent_dim},
        {"qk_rope_head_dim", 2, 256, PIO_REQUIRED, &mla->rope_dim},
        {"qk_nope_head_dim", 1, PIO_MAX_HEAD_DIM, PIO_REQUIRED, &mla->nope_dim},
        {"v_head_dim", 1, PIO_MAX_HEAD_DIM, PIO_REQUIRED, &mla->v_dim},
    };
    pio_status status = pio_numbers_read(root, numbers, PIO_COUNT(numbers), error);
    double rotated = 1;
    if (!status) status = pio_json_get_bool_or(root, "rope_interleave", true, &mla->interleaved, error);
    if (!status) status = pio_json_get_double_or(root, "partial_rotary_factor", 0, 1, 1, &rotated, error);
    if (!status && rotated != 1)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': partial_rotary_factor %g is not supported, only 1 is",
                        root->file, rotated);
    if (!status && mla->rope_dim % 2)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': qk_rope_head_dim %d is odd, so it cannot be rotated in pairs",
                        root->file, mla->rope_dim);
    mla->hidden_size = c->common.hidden_size;
    mla->eps = c->common.eps;
    return status;
}

pio_status pio_glm_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error) {
    pio_glm_config *c = (pio_glm_config *)out;
    memset(out, 0, sizeof *out);
    pio_status status = pio_settings_check(root, settings, PIO_COUNT(settings), error);
    if (!status) status = pio_decoder_read(root, 1e-5, &c->common, error);
    if (!status) status = read_attention(root, c, error);
    if (!status) status = read_experts(root, c, error);
    if (!status) status = read_dense_layers(root, c, error);
    return status;
}
