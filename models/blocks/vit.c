/* A vision transformer over the patches of pictures (Dosovitskiy et al. 2020), with rotated queries and keys, patches
 * merged behind it and rows for DeepStack (Meng et al. 2024) on the way:
 *
 *   x = W_patch p + b + positions
 *   per layer:  x += W_o attention(rope(q), rope(k), v) + b      q, k, v = W_qkv norm1(x) + b
 *               x += W_2 gelu(W_1 norm2(x) + b) + b
 *   merged = W_2 gelu(W_1 m + b) + b                             m = norm(x), merge^2 neighbours side by side
 *   tap    = the same behind a layer on the way                  m = norm(merge^2 neighbours side by side) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/elementwise/elementwise.h"
#include "models/blocks/blocks.h"

enum { PART_BYTES = 64, NAME_BYTES = 160 };
static const float EPS = 1e-6f;
static const double THETA = 10000;

/* What the parts of the tower share. */
typedef struct tower {
    pio_spec *spec;
    const pio_vit *config;
    const char *prefix;
    int32_t cache, pictures; /* K and V of one layer after the other; the state that takes the rows */
    pio_tensor rope;         /* [P, head_dim] */
} tower;

static pio_tensor norm(const tower *t, const char *name, pio_tensor x, int32_t n, int32_t merged) {
    char weight[NAME_BYTES], bias[NAME_BYTES];
    snprintf(weight, sizeof weight, "%s.%s.weight", t->prefix, name);
    snprintf(bias, sizeof bias, "%s.%s.bias", t->prefix, name);
    return pio_layernorm(t->spec, x, pio_weight_vector(t->spec, weight, n), pio_weight_vector(t->spec, bias, n), EPS,
                         merged);
}

/* Weights of pictures keep 16 bits, whatever those of text are quantised to: what they lose, every token sees. */
static pio_tensor linear(const tower *t, const char *name, pio_tensor x, int32_t rows, int32_t cols) {
    char weight[NAME_BYTES], bias[NAME_BYTES];
    snprintf(weight, sizeof weight, "%s.%s.weight", t->prefix, name);
    snprintf(bias, sizeof bias, "%s.%s.bias", t->prefix, name);
    int32_t w = pio_weight_of(t->spec, PIO_WEIGHT_HALF, weight, rows, cols);
    return pio_linear(t->spec, x, w, pio_weight_vector(t->spec, bias, rows));
}

/* The angles of half a head's pairs follow the row, those of the other half the column. */
static pio_tensor rope_table(pio_spec *spec, int32_t head_dim) {
    const int32_t half = head_dim / 2, quarter = head_dim / 4;
    float *frequencies = malloc(2 * sizeof *frequencies * (size_t)half), *axes = frequencies + half;
    if (!frequencies) {
        pio_fail_memory(&spec->error, "rotary frequencies", 2 * sizeof *frequencies * (size_t)half);
        return PIO_NO_TENSOR;
    }
    for (int32_t i = 0; i < half; i++) {
        frequencies[i] = (float)(1.0 / pow(THETA, 2.0 * (i % quarter) / half));
        axes[i] = i < quarter ? 1 : 2;
    }
    int32_t of = pio_weight_values(spec, "vision.rope_frequencies", frequencies, half);
    int32_t axis = pio_weight_values(spec, "vision.rope_axes", axes, half);
    free(frequencies);
    return pio_rope_table_of(spec, PIO_PATCHES, of, axis, 1.0f);
}

static pio_tensor embed(const tower *t, int32_t patches) {
    const pio_vit *c = t->config;
    char table[NAME_BYTES];
    snprintf(table, sizeof table, "%s.pos_embed.weight", t->prefix);
    pio_tensor x = linear(t, "patch_embed.proj", pio_state_use(t->spec, patches, c->patch_values), c->hidden_size,
                          c->patch_values);
    return pio_add_positions(t->spec, x, pio_weight_of(t->spec, PIO_WEIGHT_HALF, table, c->table_rows, c->hidden_size));
}

static pio_tensor attend(const tower *t, const char *block, pio_tensor x) {
    const int32_t n = t->config->hidden_size, head_dim = n / t->config->n_heads;
    char name[PART_BYTES];
    snprintf(name, sizeof name, "%s.norm1", block);
    pio_tensor h = norm(t, name, x, n, 1);
    snprintf(name, sizeof name, "%s.attn.qkv", block);
    pio_tensor qkv = linear(t, name, h, 3 * n, n); /* [P, 3 x heads x head_dim] */
    pio_tensor q = pio_rope(t->spec, pio_columns(t->spec, qkv, 0, n), t->rope, head_dim);
    pio_tensor k = pio_rope(t->spec, pio_columns(t->spec, qkv, n, n), t->rope, head_dim);
    pio_kv_append(t->spec, k, pio_columns(t->spec, qkv, 2 * n, n), t->cache);
    pio_tensor y = pio_attention_full(t->spec, q, t->cache, 1.0f / sqrtf((float)head_dim));
    snprintf(name, sizeof name, "%s.attn.proj", block);
    return pio_add(t->spec, x, linear(t, name, y, n, n));
}

static pio_tensor feed_forward(const tower *t, const char *block, pio_tensor x) {
    const int32_t n = t->config->hidden_size, width = t->config->width;
    char name[PART_BYTES];
    snprintf(name, sizeof name, "%s.norm2", block);
    pio_tensor h = norm(t, name, x, n, 1);
    snprintf(name, sizeof name, "%s.mlp.linear_fc1", block);
    h = pio_gelu(t->spec, linear(t, name, h, width, n), 0); /* [P, width] */
    snprintf(name, sizeof name, "%s.mlp.linear_fc2", block);
    return pio_add(t->spec, x, linear(t, name, h, n, width));
}

/* Merges x into columns `index` x out_size of the picture rows; `whole`: normed behind the merging, not before it. */
static void merge(const tower *t, const char *name, pio_tensor x, bool whole, int32_t index) {
    const pio_vit *c = t->config;
    const int32_t merged = c->merge * c->merge, n = merged * c->hidden_size;
    char part[PART_BYTES];
    snprintf(part, sizeof part, "%s.norm", name);
    pio_tensor h = norm(t, part, x, whole ? n : c->hidden_size, merged); /* [M, merge^2 x hidden] */
    snprintf(part, sizeof part, "%s.linear_fc1", name);
    h = pio_gelu(t->spec, linear(t, part, h, n, n), PIO_GELU_ERF);
    snprintf(part, sizeof part, "%s.linear_fc2", name);
    h = linear(t, part, h, c->out_size, n); /* [M, out] */
    pio_store_columns(t->spec, h, t->pictures, (1 + c->n_taps) * c->out_size, index * c->out_size);
}

void pio_vit_graph(pio_spec *spec, const pio_vit *c, const char *prefix) {
    const int64_t float_bytes = sizeof(float);
    const int32_t patches =
        pio_state_add(spec, "patches", pio_dim_of(PIO_PATCHES), PIO_ROUND_UP(float_bytes * c->patch_values, 64));
    const int32_t pictures = pio_state_add(spec, "pictures", pio_dim_of(PIO_MERGED),
                                           PIO_ROUND_UP(float_bytes * (1 + c->n_taps) * c->out_size, 64));
    spec->n_merged = c->merge * c->merge;
    pio_build_graph(spec, "vision");
    tower t = {spec, c, prefix, .pictures = pictures};
    t.cache = pio_patch_cache_add(spec, c->n_heads, c->hidden_size / c->n_heads);
    t.rope = rope_table(spec, c->hidden_size / c->n_heads);
    pio_tensor x = embed(&t, patches); /* [P, hidden] */
    int32_t n_tapped = 0;              /* rows for DeepStack go by layer, their mergers by the config's list */
    for (int32_t layer = 0; layer < c->n_layers; layer++) {
        char block[40], tap[32];
        snprintf(block, sizeof block, "blocks.%d", layer);
        snprintf(tap, sizeof tap, "vision.%d", layer);
        spec->layer = layer;
        x = attend(&t, block, x);
        x = feed_forward(&t, block, x);
        pio_tap(spec, x, tap);
        for (int32_t i = 0; i < c->n_taps; i++) {
            if (c->taps[i] != layer) continue;
            snprintf(block, sizeof block, "deepstack_merger_list.%d", i);
            merge(&t, block, x, true, ++n_tapped);
        }
    }
    spec->layer = -1;
    merge(&t, "merger", x, false, 0);
}
