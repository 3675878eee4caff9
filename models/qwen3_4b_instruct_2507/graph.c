/* Qwen3 (dense), as in transformers' modeling_qwen3.py:
 *
 *   x = embedding[ids]
 *   per layer:  x += W_o attention(rope(norm(q)), rope(norm(k)), v)      q, k, v = W_qkv norm(x)
 *               x += W_down (silu(W_gate n) * W_up n)                    n = norm(x)
 *   logits = W_out norm(x)                                               W_out is the embedding where they are tied */
#include <stdio.h>

#include "models/qwen3_4b_instruct_2507/qwen3.h"

void pio_qwen3_build(const pio_any_config *any, pio_spec *spec) {
    const pio_qwen3_config *c = (const pio_qwen3_config *)any;
    const int32_t hidden = c->common.hidden_size, vocab = c->common.vocab_size;
    const pio_states states = pio_states_add(spec, hidden, vocab);
    const int32_t embedding = pio_weight_table(spec, "model.embed_tokens.weight", vocab, hidden);
    const int32_t output = c->common.tied ? embedding : pio_weight_table(spec, "lm_head.weight", vocab, hidden);

    pio_build_graph(spec, "body");
    pio_tensor x = pio_embed(spec, embedding, states.slots); /* [T, hidden] */
    pio_tensor rope = pio_rope_table(spec, pio_rope_frequencies(spec, c->rope_theta, c->attention.head_dim), 1.0f);
    for (int32_t layer = 0; layer < c->common.n_layers; layer++) {
        char prefix[64], tap[64];
        snprintf(prefix, sizeof prefix, "model.layers.%d", layer);
        snprintf(tap, sizeof tap, "layer.%d", layer);
        spec->layer = layer;
        x = pio_gqa_block(spec, &c->attention, prefix, x, rope);
        x = pio_swiglu_block(spec, prefix, x, hidden, c->intermediate_size, c->eps);
        pio_tap(spec, x, tap);
    }
    pio_store(spec, x, states.hidden);

    pio_head_graph(spec, &states, hidden, "model.norm.weight", c->eps, output);
}
