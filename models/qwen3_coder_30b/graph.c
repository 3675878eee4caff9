/* Qwen3 with a mixture of experts, as in transformers' modeling_qwen3_moe.py:
 *
 *   x = embedding[ids]
 *   per layer:  x += W_o attention(rope(norm(q)), rope(norm(k)), v)      q, k, v = W_qkv norm(x)
 *               p = softmax(W_router n), the k largest, perhaps brought to a sum of 1     n = norm(x)
 *               x += sum over them of p_e W_down,e (silu(W_gate,e n) * W_up,e n)
 *   logits = W_out norm(x)
 *
 * Dense layers have Qwen3's feed-forward instead of experts. */
#include <stdio.h>

#include "models/qwen3_coder_30b/qwen3_moe.h"

void pio_qwen3_moe_build(const pio_any_config *any, pio_spec *spec) {
    const pio_qwen3_moe_config *c = (const pio_qwen3_moe_config *)any;
    const pio_qwen3_config *base = &c->base;
    const int32_t hidden = base->common.hidden_size, vocab = base->common.vocab_size;
    const pio_states states = pio_states_add(spec, hidden, vocab);
    const int32_t embedding = pio_weight_table(spec, "model.embed_tokens.weight", vocab, hidden);
    const int32_t output = base->common.tied ? embedding : pio_weight_table(spec, "lm_head.weight", vocab, hidden);

    pio_build_graph(spec, "body");
    pio_tensor x = pio_embed(spec, embedding, states.slots); /* [T, hidden] */
    const int32_t frequencies = pio_rope_frequencies(spec, base->rope_theta, base->attention.head_dim);
    pio_tensor rope = pio_rope_table(spec, frequencies, 1.0f);
    for (int32_t layer = 0; layer < base->common.n_layers; layer++) {
        char prefix[64], tap[64];
        snprintf(prefix, sizeof prefix, "model.layers.%d", layer);
        snprintf(tap, sizeof tap, "layer.%d", layer);
        spec->layer = layer;
        x = pio_gqa_block(spec, &base->attention, prefix, x, rope);
        x = pio_layer_set_has(&c->dense, layer)
                ? pio_swiglu_block(spec, prefix, x, hidden, base->intermediate_size, base->eps)
                : pio_moe_block(spec, &c->moe, prefix, x, hidden, base->eps);
        pio_tap(spec, x, tap);
    }
    pio_store(spec, x, states.hidden);

    pio_head_graph(spec, &states, hidden, "model.norm.weight", base->eps, output);
}
