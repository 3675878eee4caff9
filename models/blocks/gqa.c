#include <math.h>

#include "models/blocks/blocks.h"
#include "models/blocks/name.h"

pio_tensor pio_gqa_block(pio_spec *spec, const pio_gqa *c, const char *prefix, pio_tensor x, pio_tensor rope_table) {
    const int32_t q_cols = c->n_heads * c->head_dim, kv_cols = c->n_kv_heads * c->head_dim;
    PIO_NAME(norm, prefix, "input_layernorm.weight");
    PIO_NAME(q_proj, prefix, "self_attn.q_proj.weight");
    PIO_NAME(k_proj, prefix, "self_attn.k_proj.weight");
    PIO_NAME(v_proj, prefix, "self_attn.v_proj.weight");
    PIO_NAME(o_proj, prefix, "self_attn.o_proj.weight");
    PIO_NAME(q_norm, prefix, "self_attn.q_norm.weight");
    PIO_NAME(k_norm, prefix, "self_attn.k_norm.weight");
    PIO_NAME(qkv_name, prefix, "self_attn.qkv");

    pio_tensor n = pio_rmsnorm(spec, x, pio_weight_vector(spec, norm, c->hidden_size), c->eps);
    int32_t qkv_weight = pio_weight_concat(spec, qkv_name, false, 3, (const char *const[]){q_proj, k_proj, v_proj},
                                           (const int32_t[]){q_cols, kv_cols, kv_cols}, c->hidden_size);
    pio_tensor qkv = pio_linear(spec, n, qkv_weight, -1); /* [T, (heads + 2 kv_heads) x head_dim] */

    pio_tensor q =
        pio_rmsnorm(spec, pio_columns(spec, qkv, 0, q_cols), pio_weight_vector(spec, q_norm, c->head_dim), c->eps);
    pio_tensor k = pio_rmsnorm(spec, pio_columns(spec, qkv, q_cols, kv_cols),
                               pio_weight_vector(spec, k_norm, c->head_dim), c->eps);
    pio_tensor v = pio_columns(spec, qkv, q_cols + kv_cols, kv_cols);
    q = pio_rope(spec, q, rope_table, c->head_dim);
    k = pio_rope(spec, k, rope_table, c->head_dim);

    int32_t cache = pio_cache_add(spec, c->n_kv_heads, c->head_dim);
    pio_kv_append(spec, k, v, cache);
    pio_tensor y = pio_attention(spec, q, cache, 1.0f / sqrtf((float)c->head_dim)); /* [T, heads x head_dim] */
    return pio_add(spec, x, pio_linear(spec, y, pio_weight_matrix(spec, o_proj, c->hidden_size, q_cols), -1));
}
