/* Pieces that several architectures share. T is the number of token rows. */
#ifndef PIO_MODELS_BLOCKS_BLOCKS_H
#define PIO_MODELS_BLOCKS_BLOCKS_H

#include "graph/build.h"
#include "io/json.h"
#include "models/states.h"

/* ---- rotary position embedding ---- */

/* The base of the frequencies: rope_parameters.rope_theta, else rope_scaling.rope_theta, else rope_theta, else 10000.
 * Scaled variants (rope_type other than "default") are refused by name. */
pio_status pio_rope_read(const pio_json_object *config, double *theta, pio_error *error);

/* Frequencies theta^(-2i/dim), i < dim/2, computed in double: returns the weight's index. */
int32_t pio_rope_frequencies(pio_spec *spec, double theta, int32_t dim);

/* ---- grouped-query attention, with a norm per head (Qwen3) ---- */

typedef struct pio_gqa {
    int32_t hidden_size, n_heads, n_kv_heads, head_dim;
    float eps;
} pio_gqa;

/* x + W_o attention(rope(norm(W_q n)), rope(norm(W_k n)), W_v n) with n = norm(x). x [T, hidden] -> [T, hidden].
 * Tensors are `prefix`.input_layernorm, .self_attn.{q,k,v,o}_proj, .self_attn.{q,k}_norm; the layer's cache is added.
 */
pio_tensor pio_gqa_block(pio_spec *spec, const pio_gqa *config, const char *prefix, pio_tensor x,
                         pio_tensor rope_table);

/* ---- gated feed-forward ---- */

/* x + W_down (silu(W_gate n) * (W_up n)) with n = norm(x). Tensors are `prefix`.post_attention_layernorm and
 * .mlp.{gate,up,down}_proj. */
pio_tensor pio_swiglu_block(pio_spec *spec, const char *prefix, pio_tensor x, int32_t hidden_size, int32_t width,
                            float eps);

/* ---- the two ends ---- */

/* Graph `head`: the wanted rows of the hidden state, normed by `norm`, times the rows of `output`, then drawn from. */
void pio_head_graph(pio_spec *spec, const pio_states *states, int32_t hidden_size, const char *norm, float eps,
                    int32_t output);

#endif
