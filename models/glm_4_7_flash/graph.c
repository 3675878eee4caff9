/* GLM-4.7-Flash, as in transformers' modeling_glm4_moe_lite.py:
 *
 *   x = embedding[ids]
 *   per layer:  x += W_o MLA(norm(x))                                    latent attention: kernels/latent/latent.h
 *               s = sigmoid(W_router n); the k of the largest s + bias, their s brought to a sum of 1.8    n = norm(x)
 *               x += shared(n) + sum over them of s_e W_down,e (silu(W_gate,e n) * W_up,e n)
 *   logits = W_out norm(x)
 *
 * The first layers are dense. */
#include <stdio.h>

#include "models/glm_4_7_flash/glm.h"

void pio_glm_build(const pio_any_config *any, pio_spec *spec) {
    const pio_glm_config *c = (const pio_glm_config *)any;
    const int32_t hidden = c->common.hidden_size, vocab = c->common.vocab_size;
    const pio_states states = pio_states_add(spec, hidden, vocab);
    const int32_t embedding = pio_weight_table(spec, "model.embed_tokens.weight", vocab, hidden);
    const int32_t output = c->common.tied ? embedding : pio_weight_table(spec, "lm_head.weight", vocab, hidden);

    pio_build_graph(spec, "body");
    pio_tensor x = pio_embed(spec, embedding, states.slots); /* [T, hidden] */
    pio_tensor rope = pio_rope_table(spec, pio_rope_frequencies(spec, c->rope_theta, c->attention.rope_dim), 1.0f);
    for (int32_t layer = 0; layer < c->common.n_layers; layer++) {
        char prefix[64], tap[64];
        snprintf(prefix, sizeof prefix, "model.layers.%d", layer);
        snprintf(tap, sizeof tap, "layer.%d", layer);
        spec->layer = layer;
        x = pio_mla_block(spec, &c->attention, prefix, x, rope);
        x = pio_layer_set_has(&c->dense, layer)
                ? pio_swiglu_block(spec, prefix, x, hidden, c->intermediate_size, c->eps)
                : pio_moe_block(spec, &c->moe, prefix, x, hidden, c->eps);
        pio_tap(spec, x, tap);
    }
    pio_store(spec, x, states.hidden);

    pio_head_graph(spec, &states, hidden, "model.norm.weight", c->eps, output);
}
