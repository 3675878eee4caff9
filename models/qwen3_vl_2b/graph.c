/* Qwen3-VL, as in transformers' modeling_qwen3_vl.py: Qwen3, with the rows of pictures in place of the embeddings of
 * their tokens, rotary positions of three axes, and DeepStack: what layers of the vision tower saw is added to the
 * tokens of pictures behind the first layers of text. */
#include "kernels/vision/vision.h"
#include "models/qwen3_vl_2b/qwen3_vl.h"

void pio_qwen3_vl_build(const pio_any_config *any, pio_spec *spec) {
    const pio_qwen3_vl_config *c = (const pio_qwen3_vl_config *)any;
    const pio_qwen3_config *text = &c->text;
    const pio_model_config *common = &text->common;
    const int32_t hidden = common->hidden_size, head_dim = text->attention.head_dim;
    pio_decoder d = pio_decoder_begin(spec, common, "model.language_model");
    d.x = pio_picture_rows(spec, d.x, 0, PIO_PICTURE_REPLACE);
    pio_tensor rope = pio_rope_table_of(spec, PIO_TOKENS, pio_rope_frequencies(spec, common->rope_theta, head_dim),
                                        pio_mrope_axes(spec, c->mrope_section, head_dim), 1.0f);
    while (pio_decoder_next(&d)) {
        pio_tensor x = pio_gqa_block(spec, &text->attention, d.layer_prefix, d.x, rope);
        x = pio_swiglu_block(spec, d.layer_prefix, x, hidden, common->intermediate_size, common->eps);
        pio_decoder_put(&d, x);
        if (d.layer < c->vision.n_taps) d.x = pio_picture_rows(spec, d.x, (1 + d.layer) * hidden, 0);
    }
    pio_decoder_end(&d);
    pio_vit_graph(spec, &c->vision, "model.visual");
}
