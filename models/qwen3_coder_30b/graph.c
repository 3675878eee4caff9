/* Qwen3 with a mixture of experts, as in transformers' modeling_qwen3_moe.py:
 *
 *   x = embedding[ids]
 *   per layer:  x += W_o attention(rope(norm(q)), rope(norm(k)), v)      q, k, v = W_qkv norm(x)
 *               p = softmax(W_router n), the k largest, perhaps brought to a sum of 1     n = norm(x)
 *               x += sum over them of p_e W_down,e (silu(W_gate,e n) * W_up,e n)
 *   logits = W_out norm(x)
 *
 * Dense layers have Qwen3's feed-forward instead of experts. */
#include "models/qwen3_coder_30b/qwen3_moe.h"

void pio_qwen3_moe_build(const pio_any_config *any, pio_spec *spec) {
    const pio_qwen3_moe_config *c = (const pio_qwen3_moe_config *)any;
    const pio_qwen3_config *base = &c->base;
    const pio_model_config *common = &base->common;
    pio_decoder d = pio_decoder_begin(spec, common, "model");
    pio_tensor rope =
        pio_rope_table(spec, pio_rope_frequencies(spec, common->rope_theta, base->attention.head_dim), 1.0f);
    while (pio_decoder_next(&d)) {
        pio_tensor x = pio_gqa_block(spec, &base->attention, d.layer_prefix, d.x, rope);
        x = pio_layer_set_has(&c->dense, d.layer)
                ? pio_swiglu_block(spec, d.layer_prefix, x, common->hidden_size, common->intermediate_size, common->eps)
                : pio_moe_block(spec, &c->moe, d.layer_prefix, x, common->hidden_size, common->eps);
        pio_decoder_put(&d, x);
    }
    pio_decoder_end(&d);
}
