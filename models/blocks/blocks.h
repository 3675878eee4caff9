/* Pieces that several architectures share. T is the number of token rows. */
#ifndef PIO_MODELS_BLOCKS_BLOCKS_H
#define PIO_MODELS_BLOCKS_BLOCKS_H

#include "graph/build.h"
#include "io/json.h"
#include "models/model.h"
#include "models/states.h"

/* ---- rotary position embedding ---- */

/* The base of the frequencies: rope_parameters.rope_theta, else rope_scaling.rope_theta, else rope_theta, else 10000.
 * Scaled variants (rope_type other than "default") are refused by name. */
pio_status pio_rope_read(const pio_json_object *config, double *theta, pio_error *error);

/* Frequencies theta^(-2i/dim), i < dim/2, computed in double: returns the weight's index. */
int32_t pio_rope_frequencies(pio_spec *spec, double theta, int32_t dim);

/* Which of the three positions each frequency takes: interleaved, height for i % 3 == 1 and i < 3 section[1], width for
 * i % 3 == 2 and i < 3 section[2], else time. Returns the weight's index. */
int32_t pio_mrope_axes(pio_spec *spec, const int32_t section[3], int32_t dim);

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

/* ---- latent attention (DeepSeek-V2, GLM) ---- */

typedef struct pio_mla {
    int32_t hidden_size, n_heads;
    int32_t q_rank; /* 0: queries are not compressed */
    int32_t latent_dim, rope_dim, nope_dim, v_dim;
    bool interleaved; /* pairs (0, 1), (2, 3), ... are rotated */
    float eps;        /* of the layer's norm */
} pio_mla;

/* x + W_o y, with the absorbed products of kernels/latent/latent.h; the layer's cache of latents is added. Tensors are
 * `prefix`.input_layernorm and .self_attn.{q_a_proj, q_a_layernorm, q_b_proj (or q_proj), kv_a_proj_with_mqa,
 * kv_a_layernorm, kv_b_proj, o_proj}. */
pio_tensor pio_mla_block(pio_spec *spec, const pio_mla *config, const char *prefix, pio_tensor x,
                         pio_tensor rope_table);

/* ---- gated feed-forward ---- */

/* x + W_down (silu(W_gate n) * (W_up n)) with n = norm(x). Tensors are `prefix`.post_attention_layernorm and
 * .mlp.{gate,up,down}_proj. */
pio_tensor pio_swiglu_block(pio_spec *spec, const char *prefix, pio_tensor x, int32_t hidden_size, int32_t width,
                            float eps);

/* ---- mixture of experts ---- */

/* Which of at most 512 layers. */
typedef struct pio_layer_set {
    uint64_t bits[8];
} pio_layer_set;

static inline void pio_layer_set_add(pio_layer_set *set, int32_t layer) {
    set->bits[layer / 64] |= 1ull << layer % 64;
}
static inline bool pio_layer_set_has(const pio_layer_set *set, int32_t layer) {
    return set->bits[layer / 64] >> layer % 64 & 1;
}

typedef struct pio_moe {
    int32_t n_experts, n_chosen, width;
    int32_t n_shared;               /* experts beside them that every token goes through */
    int32_t n_groups, n_top_groups; /* 1 and 1: no groups */
    int32_t flags;                  /* PIO_ROUTE_... */
    bool bias;                      /* .mlp.gate.e_score_correction_bias: decides who is chosen and nothing else */
    float scale;                    /* of the weights of those chosen */
    float eps;                      /* beside their sum, where they are divided by it */
} pio_moe;

/* Refuses counts that do not fit each other; `in` names the file. */
pio_status pio_moe_check(const pio_moe *config, const pio_json_object *in, pio_error *error);

/* x + sum of weight_e W_down,e (silu(W_gate,e n) * (W_up,e n)) over the chosen e, with n = norm(x). The router is
 * float32 throughout. Tensors are `prefix`.post_attention_layernorm, .mlp.gate, .mlp.experts.E.{gate,up,down}_proj or,
 * all in one, .mlp.experts.{gate_up,down}_proj, and .mlp.shared_experts.{gate,up,down}_proj: one feed-forward n_shared
 * experts wide, whose parts are experts that every token chooses with weight 1. */
pio_tensor pio_moe_block(pio_spec *spec, const pio_moe *config, const char *prefix, pio_tensor x, int32_t hidden_size,
                         float eps);

/* ---- vision transformer ---- */

enum { PIO_VIT_MAX_TAPS = 8 };

typedef struct pio_vit {
    int32_t hidden_size, n_heads, n_layers, width; /* width: of the feed-forward */
    int32_t patch_values, merge, table_rows;
    int32_t out_size;                       /* of a merged row: the text model's hidden size */
    int32_t n_taps, taps[PIO_VIT_MAX_TAPS]; /* layers whose output is merged too, for DeepStack; no two equal */
} pio_vit;

/* Graph `vision`: patches of one or more pictures, state "patches" [PATCHES, patch_values], to picture rows, state
 * "pictures" [MERGED, (1 + n_taps) x out_size]: the merged row, then those of the taps. A step's sequences are its
 * pictures, positions (., row, column) of a patch. Tensors are `prefix`.patch_embed.proj, .pos_embed, .blocks.N,
 * .merger and .deepstack_merger_list.N. */
void pio_vit_graph(pio_spec *spec, const pio_vit *config, const char *prefix);

/* ---- the decoder around the layers ----
 *
 *   pio_decoder d = pio_decoder_begin(spec, &c->common, "model");
 *   while (pio_decoder_next(&d)) pio_decoder_put(&d, a_layer(spec, d.layer_prefix, d.x));
 *   pio_decoder_end(&d);
 *
 * Graph `body`: the rows of `prefix`.embed_tokens, the layers, their result to the state "hidden". Graph `head`: the
 * wanted rows of it, normed by `prefix`.norm, times lm_head or the embedding where they are tied, then drawn from. */
typedef struct pio_decoder {
    pio_spec *spec;
    const pio_model_config *common;
    const char *prefix;
    pio_states states;
    int32_t output; /* weight of the output rows */
    pio_tensor x;   /* [T, hidden]: what the next layer reads */
    int32_t layer;
    char layer_prefix[64]; /* `prefix`.layers.<layer> */
} pio_decoder;

pio_decoder pio_decoder_begin(pio_spec *spec, const pio_model_config *common, const char *prefix);
bool pio_decoder_next(pio_decoder *decoder); /* false: no layer is left */
void pio_decoder_put(pio_decoder *decoder, pio_tensor x);
void pio_decoder_end(pio_decoder *decoder);

/* What every decoder's config.json says: all of *out but `eyes`. rms_norm_eps is `default_eps` where it is absent. */
pio_status pio_decoder_read(const pio_json_object *config, double default_eps, pio_model_config *out, pio_error *error);

#endif
