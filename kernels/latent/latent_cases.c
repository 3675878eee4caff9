/* The cases of latent attention's ops. */
#include <math.h>

#include "kernels/case.h"
#include "kernels/families.h"

/* ---- LINEAR_HEADS ---- */

typedef struct heads_shape {
    int32_t bound, live, n_heads, cols, n_out, head_cols, column;
} heads_shape;

static const heads_shape heads_shapes[] = {
    {1, 1, 4, 32, 48, 48, 16},   {12, 12, 4, 32, 48, 48, 16}, {1, 1, 20, 192, 512, 256, 64},
    {1, 1, 5, 512, 256, 512, 0}, {3, 2, 5, 24, 33, 40, 16},   {8, 8, 3, 70, 20, 70, 0},
    {9, 9, 2, 100, 65, 120, 3},  {40, 37, 5, 48, 20, 64, 16}, {100, 64, 3, 192, 96, 200, 8},
    {2, 0, 2, 16, 16, 16, 0},
};

bool pio_linear_heads_case(pio_case_builder *b, int index) {
    if ((size_t)index >= PIO_COUNT(heads_shapes)) return false;
    const heads_shape *s = &heads_shapes[index];
    pio_attrs *attrs = &pio_case_call(b)->attrs;
    pio_case_name(b, "%d of %d rows, %d heads of %d x %d", s->live, s->bound, s->n_heads, s->n_out, s->cols);
    attrs->head_dim = s->head_cols;
    attrs->column = s->column;
    pio_case_acts(b, 0, s->bound, s->live, s->n_heads * s->head_cols, 1);
    pio_case_weights(b, 1, s->n_heads, s->n_out, s->cols, 0.1f);
    pio_case_output(b, 0, s->bound, s->live, s->n_heads * s->n_out);
    return true;
}

/* ---- the cache ---- */

typedef struct latent_case {
    const char *name;
    pio_case_sequence sequences[4];
    int n_sequences;
    int32_t padding; /* rows of the bound past the live ones */
    int32_t n_heads, head_dim, rope_dim, nope_dim, page_tokens;
    int32_t flags;
    float q_scale;
    float growth; /* of latents, in doublings a token */
} latent_case;

static const latent_case cases[] = {
    {"one token alone", {{0, 1}}, 1, 0, 4, 64, 16, 24, 64, PIO_ROPE_INTERLEAVED, 1},
    {"decode, 20 heads, padded", {{300, 1}, {63, 1}, {64, 1}}, 3, 2, 20, 512, 64, 192, 64, PIO_ROPE_INTERLEAVED, 1},
    {"a chunk behind a context", {{77, 60}}, 1, 4, 5, 128, 32, 32, 64, PIO_ROPE_INTERLEAVED, 1},
    {"prefill and decode, halves", {{0, 70}, {130, 1}, {31, 3}}, 3, 3, 7, 48, 8, 24, 64, 0, 1},
    {"odd sizes, pages of 128", {{100, 29}, {0, 3}}, 2, 0, 3, 50, 18, 7, 128, PIO_ROPE_INTERLEAVED, 1},
    {"a long context, cut", {{1500, 1}}, 1, 0, 12, 96, 32, 40, 64, PIO_ROPE_INTERLEAVED, 1},
    {"large scores", {{200, 9}, {0, 40}}, 2, 15, 6, 64, 16, 16, 64, 0, 12},
    {"few, large scores", {{200, 3}, {70, 2}}, 2, 1, 14, 64, 32, 16, 64, 0, 12},
    {"three rows of 20 heads, cut", {{900, 2}, {40, 1}}, 2, 0, 20, 128, 64, 32, 64, PIO_ROPE_INTERLEAVED, 1},
    {"latents that grow", {{90, 30}, {200, 1}}, 2, 1, 20, 128, 32, 32, 64, 0, 0.002f, 0.07f},
    {"few, heads that fill no four", {{129, 2}, {0, 1}}, 2, 0, 7, 96, 32, 8, 64, PIO_ROPE_INTERLEAVED, 1},
};

/* The step and the attributes of case `index`; NULL after the last. */
static const latent_case *begin(pio_case_builder *b, int index, int32_t *bound, int32_t *live, int32_t *pages) {
    if ((size_t)index >= PIO_COUNT(cases)) return NULL;
    const latent_case *c = &cases[index];
    pio_attrs *attrs = &pio_case_call(b)->attrs;
    *live = 0;
    *pages = 3;
    for (int i = 0; i < c->n_sequences; i++) {
        *live += c->sequences[i].n_rows;
        *pages += PIO_CEIL_DIV(c->sequences[i].context + c->sequences[i].n_rows, c->page_tokens);
    }
    *bound = *live + c->padding;
    pio_case_name(b, "%s", c->name);
    attrs->n_heads = c->n_heads;
    attrs->head_dim = c->head_dim;
    attrs->rope_dim = c->rope_dim;
    attrs->page_tokens = c->page_tokens;
    attrs->flags = c->flags;
    attrs->eps = 1e-6f;
    attrs->scale = 1.0f / sqrtf((float)(c->nope_dim + c->rope_dim));
    pio_case_step(b, c->sequences, c->n_sequences, *bound);
    return c;
}

static const latent_case *append_case(pio_case_builder *b, int index, int32_t *bound, int32_t *live) {
    int32_t pages;
    const latent_case *c = begin(b, index, bound, live, &pages);
    if (!c) return NULL;
    if (pio_case_row(b)->layout != PIO_LAYOUT_LATENT_F32) pio_case_tolerance(b, 8e-6, "the cache rounds to bf16");
    pio_case_acts(b, 0, *bound, *live, c->head_dim + c->rope_dim, 2);
    pio_case_vector(b, 1, c->head_dim, 1, 0.3f);
    pio_case_latent_cache(b, 2, pages);
    pio_case_acts(b, 3, *bound, *live, c->rope_dim, 0.7f);
    return c;
}

bool pio_latent_append_case(pio_case_builder *b, int index) {
    int32_t bound, live;
    if (!append_case(b, index, &bound, &live)) return false;
    pio_case_output_cache(b, 0, 2);
    return true;
}

bool pio_rope_latent_append_case(pio_case_builder *b, int index) {
    int32_t bound, live;
    const latent_case *c = append_case(b, index, &bound, &live);
    if (!c) return false;
    pio_case_call(b)->attrs.column = c->rope_dim + c->nope_dim;
    pio_case_acts(b, 4, bound, live, c->n_heads * (c->rope_dim + c->nope_dim), 1);
    if (index % 2)
        pio_case_output_in_place(b, 0, 4);
    else
        pio_case_output(b, 0, bound, live, c->n_heads * (c->rope_dim + c->nope_dim));
    pio_case_output_cache(b, 1, 2);
    return true;
}

bool pio_latent_queries_case(pio_case_builder *b, int index) {
    int32_t bound, live;
    const latent_case *c = append_case(b, index, &bound, &live);
    if (!c) return false;
    const int32_t head_cols = c->rope_dim + c->nope_dim;
    pio_case_call(b)->attrs.column = head_cols;
    pio_case_acts(b, 4, bound, live, c->n_heads * head_cols, 1);
    pio_case_weights(b, 5, c->n_heads, c->head_dim, c->nope_dim, 0.1f);
    pio_case_weights_layout(b, 5, index % 3 ? PIO_LAYOUT_BF16_ROWS : PIO_LAYOUT_F32_ROWS);
    if (index % 2)
        pio_case_output_in_place(b, 0, 4);
    else
        pio_case_output(b, 0, bound, live, c->n_heads * head_cols);
    pio_case_output_cache(b, 1, 2);
    pio_case_output(b, 2, bound, live, c->n_heads * c->head_dim);
    return true;
}

bool pio_latent_attention_case(pio_case_builder *b, int index) {
    int32_t bound, live, pages;
    const latent_case *c = begin(b, index, &bound, &live, &pages);
    if (!c) return false;
    const bool large = c->q_scale > 1 || c->growth > 0; /* scores: latents are keys too */
    if (large) pio_case_tolerance(b, 1e-8, "rounding of large scores is multiplied by the exponential");
    if (pio_case_row(b)->features & PIO_CPU_AVX512BF16)
        pio_case_tolerance(b, large ? 5e-4 : 2e-5, "q and the weights are rounded to bf16");
    if (pio_case_row(b)->record == pio_latent_device_record || pio_case_row(b)->record == pio_latent_matrix_record)
        pio_case_tolerance(b, large ? 1e-5 : 4e-7, "q and the weights are rounded to float16");
    pio_case_acts(b, 0, bound, live, c->n_heads * c->head_dim, c->q_scale * 0.3f);
    pio_case_latent_cache(b, 1, pages);
    pio_case_cache_growth(b, c->growth);
    pio_case_acts(b, 2, bound, live, c->n_heads * (c->rope_dim + c->nope_dim), c->q_scale * 0.3f);
    pio_case_output(b, 0, bound, live, c->n_heads * c->head_dim);
    return true;
}
