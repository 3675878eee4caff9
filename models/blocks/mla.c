#include <math.h>
#include <stdio.h>

#include "kernels/rope/rope.h"
#include "models/blocks/blocks.h"
#include "models/blocks/name.h"

/* Of the norms of what is compressed, whatever rms_norm_eps says. */
static const float INNER_EPS = 1e-6f;

static void add_rows(pio_spec *spec, int32_t weight, const char *tensor, int32_t tensor_rows, int32_t first,
                     int32_t rows, bool transposed) {
    pio_weight_part part = {
        .from = {.first_row = first, .tensor_rows = tensor_rows}, .rows = rows, .transposed = transposed};
    snprintf(part.from.tensor, sizeof part.from.tensor, "%.100s", tensor);
    pio_weight_part_add(spec, weight, &part);
}

/* Queries' rows, the rotated ones of a head first: [heads x (rope + nope)]. */
static void add_query_rows(pio_spec *spec, const pio_mla *c, int32_t weight, const char *tensor) {
    const int32_t head = c->nope_dim + c->rope_dim, all = c->n_heads * head;
    for (int32_t h = 0; h < c->n_heads; h++) {
        add_rows(spec, weight, tensor, all, h * head + c->nope_dim, c->rope_dim, false);
        add_rows(spec, weight, tensor, all, h * head, c->nope_dim, false);
    }
}

/* n [T, hidden] -> q [T, heads x (rope + nope)] and kv [T, latent + rope]: one product where queries are not
 * compressed, else two. */
static void queries_and_latents(pio_spec *spec, const pio_mla *c, const char *prefix, pio_tensor n, pio_tensor *q,
                                pio_tensor *kv) {
    const int32_t q_cols = c->n_heads * (c->nope_dim + c->rope_dim), kv_cols = c->latent_dim + c->rope_dim;
    const int32_t first_cols = c->q_rank ? c->q_rank : q_cols;
    PIO_NAME(q_a, prefix, "self_attn.q_a_proj.weight");
    PIO_NAME(q_a_norm, prefix, "self_attn.q_a_layernorm.weight");
    PIO_NAME(q_b, prefix, "self_attn.q_b_proj.weight");
    PIO_NAME(q_proj, prefix, "self_attn.q_proj.weight");
    PIO_NAME(kv_a, prefix, "self_attn.kv_a_proj_with_mqa.weight");
    PIO_NAME(both_name, prefix, "self_attn.q_kv_a");
    int32_t both = pio_weight_stack(spec, both_name, PIO_WEIGHT_MATRIX, false, 1, first_cols + kv_cols, c->hidden_size);
    if (c->q_rank)
        add_rows(spec, both, q_a, c->q_rank, 0, c->q_rank, false);
    else
        add_query_rows(spec, c, both, q_proj);
    add_rows(spec, both, kv_a, kv_cols, 0, kv_cols, false);
    pio_tensor y = pio_linear(spec, n, both, -1);
    *q = pio_columns(spec, y, 0, first_cols);
    *kv = pio_columns(spec, y, first_cols, kv_cols);
    if (!c->q_rank) return;
    int32_t q_b_weight = pio_weight_stack(spec, q_b, PIO_WEIGHT_MATRIX, false, 1, q_cols, c->q_rank);
    add_query_rows(spec, c, q_b_weight, q_b);
    *q = pio_rmsnorm(spec, *q, pio_weight_vector(spec, q_a_norm, c->q_rank), INNER_EPS);
    *q = pio_linear(spec, *q, q_b_weight, -1);
}

/* kv_b's rows of each head, [k_nope | v], as two stacks: W_UK transposed, heads x [latent, nope], and W_UV, heads x [v,
 * latent]. They stay in 16 bits. */
static void unpack_weights(pio_spec *spec, const pio_mla *c, const char *prefix, int32_t *keys, int32_t *values) {
    const int32_t head = c->nope_dim + c->v_dim, all = c->n_heads * head;
    PIO_NAME(kv_b, prefix, "self_attn.kv_b_proj.weight");
    PIO_NAME(keys_name, prefix, "self_attn.kv_b.keys");
    PIO_NAME(values_name, prefix, "self_attn.kv_b.values");
    *keys = pio_weight_stack(spec, keys_name, PIO_WEIGHT_HALF, false, c->n_heads, c->latent_dim, c->nope_dim);
    for (int32_t h = 0; h < c->n_heads; h++) add_rows(spec, *keys, kv_b, all, h * head, c->latent_dim, true);
    *values = pio_weight_stack(spec, values_name, PIO_WEIGHT_HALF, false, c->n_heads, c->v_dim, c->latent_dim);
    for (int32_t h = 0; h < c->n_heads; h++)
        add_rows(spec, *values, kv_b, all, h * head + c->nope_dim, c->v_dim, false);
}

pio_tensor pio_mla_block(pio_spec *spec, const pio_mla *c, const char *prefix, pio_tensor x, pio_tensor rope_table) {
    const int32_t head = c->nope_dim + c->rope_dim;
    PIO_NAME(norm, prefix, "input_layernorm.weight");
    PIO_NAME(kv_a_norm, prefix, "self_attn.kv_a_layernorm.weight");
    PIO_NAME(o_proj, prefix, "self_attn.o_proj.weight");
    pio_tensor n = pio_rmsnorm(spec, x, pio_weight_vector(spec, norm, c->hidden_size), c->eps);
    pio_tensor q, kv;
    queries_and_latents(spec, c, prefix, n, &q, &kv);
    int32_t keys, values, cache = pio_latent_cache_add(spec, c->latent_dim, c->rope_dim);
    unpack_weights(spec, c, prefix, &keys, &values);

    pio_latent_append(spec, kv, pio_weight_vector(spec, kv_a_norm, c->latent_dim), rope_table, cache, INNER_EPS,
                      c->interleaved ? PIO_ROPE_INTERLEAVED : 0);
    pio_tensor rotated =
        c->interleaved ? pio_rope_interleaved(spec, q, rope_table, head) : pio_rope(spec, q, rope_table, head);
    /* Of q as it was, which waits for no rotation: [T, heads x latent]. */
    pio_tensor q_latent = pio_linear_heads(spec, q, keys, head, c->rope_dim);
    pio_tensor o = pio_latent_attention(spec, q_latent, rotated, cache, 1.0f / sqrtf((float)head));
    pio_tensor y = pio_linear_heads(spec, o, values, c->latent_dim, 0); /* [T, heads x v] */
    return pio_add(spec, x,
                   pio_linear(spec, y, pio_weight_matrix(spec, o_proj, c->hidden_size, c->n_heads * c->v_dim), -1));
}
