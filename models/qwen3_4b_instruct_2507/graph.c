/* Qwen3 (dense), as in transformers' modeling_qwen3.py:
 *
 *   x = embedding[ids]
 *   per layer:  x += W_o attention(rope(norm(q)), rope(norm(k)), v)      q, k, v = W_qkv norm(x)
 *               x += W_down (silu(W_gate n) * W_up n)                    n = norm(x)
 *   logits = W_out norm(x)                                               W_out is the embedding where they are tied */
#include "models/qwen3_4b_instruct_2507/qwen3.h"

void pio_qwen3_build(const pio_any_config *any, pio_spec *spec) {
    const pio_qwen3_config *c = (const pio_qwen3_config *)any;
    const pio_model_config *common = &c->common;
    pio_decoder d = pio_decoder_begin(spec, common, "model");
    pio_tensor rope = pio_rope_table(spec, pio_rope_frequencies(spec, common->rope_theta, c->attention.head_dim), 1.0f);
    while (pio_decoder_next(&d)) {
        pio_tensor x = pio_gqa_block(spec, &c->attention, d.layer_prefix, d.x, rope);
        x = pio_swiglu_block(spec, d.layer_prefix, x, common->hidden_size, common->intermediate_size, common->eps);
        pio_decoder_put(&d, x);
    }
    pio_decoder_end(&d);
}
