#include "kernels/case.h"
#include "kernels/families.h"

/* Shapes that both append ops try. */
typedef struct append_case {
    const char *name;
    pio_case_sequence sequences[3];
    int n_sequences;
    int32_t padding; /* rows of the bound past the live ones */
    int32_t n_heads, n_kv_heads, head_dim, rope_dim, page_tokens;
    bool norms;
} append_case;

static const append_case cases[] = {
    {"one token into an empty cache", {{0, 1}}, 1, 0, 4, 2, 128, 128, 64, true},
    {"decode, padded", {{63, 1}, {64, 1}, {5, 1}}, 3, 5, 32, 8, 128, 128, 64, true},
    {"a chunk across pages", {{50, 100}}, 1, 28, 8, 2, 64, 64, 64, true},
    {"odd starts, three sequences", {{7, 33}, {0, 1}, {31, 34}}, 3, 1, 6, 3, 80, 80, 64, true},
    {"rotation of a part, no norms", {{3, 19}}, 1, 0, 5, 1, 128, 64, 128, false},
    {"head size 256, 20 heads a KV head", {{1, 40}}, 1, 3, 20, 1, 256, 256, 64, true},
    {"head size 32", {{0, 17}, {40, 2}}, 2, 13, 16, 16, 32, 16, 64, false},
};

/* The step, the attributes and the tolerance of case `index`; NULL after the last. */
static const append_case *begin(pio_case_builder *builder, int index, int32_t *bound, int32_t *live) {
    if (index >= (int)PIO_COUNT(cases)) return NULL;
    const append_case *c = &cases[index];
    pio_attrs *attrs = &pio_case_call(builder)->attrs;
    *live = 0;
    for (int i = 0; i < c->n_sequences; i++) *live += c->sequences[i].n_rows;
    *bound = *live + c->padding;
    pio_case_name(builder, "%s", c->name);
    if (pio_case_row(builder)->layout != PIO_LAYOUT_KV_F32)
        pio_case_tolerance(builder, 8e-6, "the cache rounds to bf16");
    attrs->n_heads = c->n_heads;
    attrs->n_kv_heads = c->n_kv_heads;
    attrs->head_dim = c->head_dim;
    attrs->rope_dim = c->rope_dim;
    attrs->page_tokens = c->page_tokens;
    attrs->eps = 1e-6f;
    pio_case_step(builder, c->sequences, c->n_sequences, *bound);
    return c;
}

bool pio_kv_append_case(pio_case_builder *builder, int index) {
    int32_t bound, live;
    const append_case *c = begin(builder, index, &bound, &live);
    if (!c) return false;
    pio_case_acts(builder, 0, bound, live, c->n_kv_heads * c->head_dim, 1.0f);
    pio_case_acts(builder, 1, bound, live, c->n_kv_heads * c->head_dim, 3.0f);
    pio_case_cache(builder, 2, 12);
    pio_case_output_cache(builder, 0, 2);
    return true;
}

bool pio_qk_norm_rope_append_case(pio_case_builder *builder, int index) {
    int32_t bound, live;
    const append_case *c = begin(builder, index, &bound, &live);
    if (!c) return false;
    pio_case_acts(builder, 0, bound, live, (c->n_heads + 2 * c->n_kv_heads) * c->head_dim, 2.0f);
    if (c->norms) {
        pio_case_vector(builder, 1, c->head_dim, 1.0f, 0.3f);
        pio_case_vector(builder, 2, c->head_dim, 1.0f, 0.3f);
    }
    pio_case_cache(builder, 3, 12);
    pio_case_acts(builder, 4, bound, live, c->rope_dim, 0.7f);
    pio_case_output(builder, 0, bound, live, c->n_heads * c->head_dim);
    pio_case_output_cache(builder, 1, 3);
    return true;
}
