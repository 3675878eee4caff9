#include <math.h>

#include "kernels/case.h"
#include "kernels/families.h"

typedef struct attention_case {
    const char *name;
    pio_case_sequence sequences[6];
    int n_sequences;
    int32_t padding; /* rows of the bound past the live ones */
    int32_t n_heads, n_kv_heads, head_dim, page_tokens;
    float q_scale;
    int32_t flags;
    float growth; /* of values, in doublings a token */
} attention_case;

static const attention_case cases[] = {
    {"one token alone", {{0, 1}}, 1, 0, 4, 2, 128, 64, 1.0f},
    {"decode, long context", {{1500, 1}}, 1, 0, 32, 8, 128, 64, 1.0f},
    {"decode at page ends, padded", {{62, 1}, {63, 1}, {64, 1}, {127, 1}, {1, 1}, {300, 1}}, 6, 2, 8, 2, 128, 64, 1.0f},
    {"a short prompt behind a few tokens", {{30, 20}}, 1, 14, 2, 1, 128, 64, 1.0f}, /* small: start-up tries it */
    {"prefill", {{0, 200}}, 1, 0, 8, 2, 128, 64, 1.0f},
    {"a chunk behind a context, padded", {{77, 130}}, 1, 62, 4, 4, 128, 64, 1.0f},
    {"prefill and decode in one step", {{0, 33}, {500, 1}, {31, 70}, {97, 1}}, 4, 23, 16, 2, 128, 64, 1.0f},
    {"head size 32", {{33, 40}, {95, 1}}, 2, 7, 3, 3, 32, 64, 1.0f},
    {"head size 64, group of 7", {{0, 50}, {200, 2}}, 2, 12, 14, 2, 64, 64, 1.0f},
    {"head size 80, group of 5, pages of 128", {{100, 29}, {0, 3}}, 2, 0, 10, 2, 80, 128, 1.0f},
    {"head size 256, group of 20", {{130, 12}, {63, 1}}, 2, 3, 20, 1, 256, 64, 1.0f},
    {"large scores", {{200, 9}, {0, 40}}, 2, 15, 8, 2, 128, 64, 12.0f},
    {"pictures, head size 64", {{0, 100}, {0, 4}, {0, 300}}, 3, 9, 4, 4, 64, 64, 1.0f, PIO_ATTENTION_FULL},
    {"pictures, head size 80", {{0, 64}, {0, 131}}, 2, 0, 3, 3, 80, 64, 1.0f, PIO_ATTENTION_FULL},
    {"pictures, head size 16", {{0, 37}, {0, 1}, {0, 97}}, 3, 5, 4, 4, 16, 64, 1.0f, PIO_ATTENTION_FULL},
    {"one picture, large scores", {{0, 500}}, 1, 0, 2, 2, 64, 64, 12.0f, PIO_ATTENTION_FULL},
    {"decode, one KV head, cut", {{2100, 1}}, 1, 0, 5, 1, 128, 64, 1.0f},
    {"decode, head size 256, cut", {{900, 1}}, 1, 0, 16, 2, 256, 64, 1.0f},
    {"eight rows, some cut", {{700, 1}, {64, 3}, {1000, 2}, {0, 1}}, 4, 1, 3, 1, 80, 64, 1.0f},
    {"four rows, group of 8, large scores", {{513, 4}}, 1, 0, 8, 1, 128, 64, 12.0f},
    {"values that grow", {{150, 40}, {300, 1}}, 2, 2, 4, 2, 64, 64, 1.0f, 0, 0.07f},
};

bool pio_attention_case(pio_case_builder *builder, int index) {
    if (index >= (int)PIO_COUNT(cases)) return false;
    const attention_case *c = &cases[index];
    const pio_row *row = pio_case_row(builder);
    pio_attrs *attrs = &pio_case_call(builder)->attrs;
    int32_t live = 0, pages = 1;
    for (int i = 0; i < c->n_sequences; i++) {
        live += c->sequences[i].n_rows;
        pages += PIO_CEIL_DIV(c->sequences[i].context + c->sequences[i].n_rows, c->page_tokens);
    }
    pio_case_name(builder, "%s", c->name);
    if (row->features & PIO_CPU_AVX512BF16)
        pio_case_tolerance(builder, c->q_scale > 1.0f ? 5e-4 : 2e-5, "q and the weights are rounded to bf16");
    if (row->record == pio_attention_matrix_record || row->record == pio_attention_half_record)
        pio_case_tolerance(builder, c->q_scale > 1.0f ? 1e-5 : 4e-7, "q and the weights are rounded to float16");
    attrs->flags = c->flags;
    attrs->n_heads = c->n_heads;
    attrs->n_kv_heads = c->n_kv_heads;
    attrs->head_dim = c->head_dim;
    attrs->page_tokens = c->page_tokens;
    attrs->scale = 1.0f / sqrtf((float)c->head_dim);
    pio_case_step(builder, c->sequences, c->n_sequences, live + c->padding);
    pio_case_acts(builder, 0, live + c->padding, live, c->n_heads * c->head_dim, c->q_scale);
    pio_case_cache(builder, 1, pages + 2);
    pio_case_cache_growth(builder, c->growth);
    pio_case_output(builder, 0, live + c->padding, live, c->n_heads * c->head_dim);
    return true;
}
