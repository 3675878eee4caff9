/* Qwen3-VL, as in transformers' modeling_qwen3_vl.py: Qwen3, with the rows of pictures in place of the embeddings of
 * their tokens, rotary positions of three axes, and DeepStack: what layers of the vision tower saw is added to the
 * tokens of pictures behind the first layers of text. */
#include <stdio.h>

#include "kernels/vision/vision.h"
#include "models/qwen3_vl_2b/qwen3_vl.h"

void pio_qwen3_vl_build(const pio_any_config *any, pio_spec *spec) {
    const pio_qwen3_vl_config *c = (const pio_qwen3_vl_config *)any;
    const int32_t hidden = c->text.common.hidden_size, vocab = c->text.common.vocab_size;
    const int32_t head_dim = c->text.attention.head_dim;
    const pio_states states = pio_states_add(spec, hidden, vocab);
    const int32_t embedding = pio_weight_table(spec, "model.language_model.embed_tokens.weight", vocab, hidden);
    const int32_t output = c->text.common.tied ? embedding : pio_weight_table(spec, "lm_head.weight", vocab, hidden);

    pio_build_graph(spec, "body");
    pio_tensor x = pio_picture_rows(spec, pio_embed(spec, embedding, states.slots), 0, PIO_PICTURE_REPLACE);
    pio_tensor rope = pio_rope_table_of(spec, PIO_TOKENS, pio_rope_frequencies(spec, c->text.rope_theta, head_dim),
                                        pio_mrope_axes(spec, c->mrope_section, head_dim), 1.0f);
    for (int32_t layer = 0; layer < c->text.common.n_layers; layer++) {
        char prefix[64], tap[64];
        snprintf(prefix, sizeof prefix, "model.language_model.layers.%d", layer);
        snprintf(tap, sizeof tap, "layer.%d", layer);
        spec->layer = layer;
        x = pio_gqa_block(spec, &c->text.attention, prefix, x, rope);
        x = pio_swiglu_block(spec, prefix, x, hidden, c->text.intermediate_size, c->text.eps);
        pio_tap(spec, x, tap);
        if (layer < c->vision.n_taps) x = pio_picture_rows(spec, x, (1 + layer) * hidden, 0);
    }
    pio_store(spec, x, states.hidden);

    pio_head_graph(spec, &states, hidden, "model.language_model.norm.weight", c->text.eps, output);
    pio_vit_graph(spec, &c->vision, "model.visual");
}
