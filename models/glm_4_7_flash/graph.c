/* GLM-4.7-Flash, as in transformers' modeling_glm4_moe_lite.py:
 *
 *   x = embedding[ids]
 *   per layer:  x += W_o MLA(norm(x))                                    latent attention: kernels/latent/latent.h
 *               s = sigmoid(W_router n); the k of the largest s + bias, their s brought to a sum of 1.8    n = norm(x)
 *               x += sum over them and the shared ones (s_e = 1) of s_e W_down,e (silu(W_gate,e n) * W_up,e n)
 *   logits = W_out norm(x)
 *
 * The first layers are dense. */
#include "models/glm_4_7_flash/glm.h"

void pio_glm_build(const pio_any_config *any, pio_spec *spec) {
    const pio_glm_config *c = (const pio_glm_config *)any;
    const pio_model_config *common = &c->common;
    pio_decoder d = pio_decoder_begin(spec, common, "model");
    pio_tensor rope = pio_rope_table(spec, pio_rope_frequencies(spec, common->rope_theta, c->attention.rope_dim), 1.0f);
    while (pio_decoder_next(&d)) {
        pio_tensor x = pio_mla_block(spec, &c->attention, d.layer_prefix, d.x, rope);
        x = pio_layer_set_has(&c->dense, d.layer)
                ? pio_swiglu_block(spec, d.layer_prefix, x, common->hidden_size, common->intermediate_size, common->eps)
                : pio_moe_block(spec, &c->moe, d.layer_prefix, x, common->hidden_size, common->eps);
        pio_decoder_put(&d, x);
    }
    pio_decoder_end(&d);
}
