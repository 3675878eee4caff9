/* The cases of the experts' products: few and many tokens, experts that nobody chose, one that all chose. */
#include "base/compiler.h"
#include "kernels/case.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"

typedef enum spread { EVEN, ALL_ALIKE, FEW_EXPERTS } spread;

typedef struct shape {
    int32_t bound, live, n_experts, n_chosen, cols, n_out;
    spread spread;
    bool norm; /* not EXPERTS_DOWN */
} shape;

/* A small one of few tokens and one of many stand first, for the self-test. n_out is rounded up to whole blocks for
 * SwiGLU. */
static const shape shapes[] = {
    {1, 1, 4, 2, 64, 48, EVEN},         {12, 12, 4, 2, 64, 40, EVEN},      {1, 1, 5, 3, 544, 100, EVEN},
    {2, 2, 6, 3, 300, 33, EVEN},        {5, 3, 6, 2, 128, 70, EVEN},       {8, 8, 3, 2, 256, 70, EVEN},
    {8, 7, 5, 1, 96, 65, ALL_ALIKE},    {9, 9, 8, 4, 320, 34, EVEN},       {16, 11, 8, 2, 288, 31, FEW_EXPERTS},
    {40, 40, 32, 4, 96, 20, EVEN},      {100, 90, 4, 2, 70, 130, EVEN},    {160, 150, 6, 1, 64, 48, ALL_ALIKE},
    {64, 64, 4, 4, 33, 17, ALL_ALIKE},  {300, 290, 2, 2, 40, 80, EVEN},    {3, 0, 4, 2, 64, 16, EVEN},
    {1, 1, 1, 1, 32, 32, EVEN},         {20, 20, 3, 1, 1, 3, EVEN},        {1, 1, 9, 5, 520, 48, EVEN, true},
    {7, 6, 20, 4, 100, 33, EVEN, true}, {8, 8, 40, 8, 96, 32, EVEN, true}, {1, 1, 40, 9, 768, 72, EVEN},
    {8, 8, 20, 5, 200, 40, EVEN},
};

/* The token's experts, each another one. */
static void choose(pio_case_builder *b, const shape *s, int32_t *experts) {
    const int32_t n = s->spread == FEW_EXPERTS ? s->n_chosen + 1 : s->n_experts;
    for (int32_t j = 0; j < s->n_chosen; j++) {
        bool taken = true;
        while (taken) {
            experts[j] = s->spread == ALL_ALIKE ? s->n_experts - 1 - j : (int32_t)pio_case_uniform(b, (uint32_t)n);
            taken = false;
            for (int32_t i = 0; i < j; i++) taken |= experts[i] == experts[j];
        }
    }
}

static void choices(pio_case_builder *b, const shape *s, pio_addr live) {
    const int64_t stride = pio_encoding_stride(PIO_ENC_F32, s->n_chosen);
    char *rows = pio_case_words(b, 2, stride * s->bound);
    pio_operand *experts = &pio_case_call(b)->in[2];
    experts->rows = s->bound;
    experts->cols = s->n_chosen;
    experts->stride = stride;
    experts->live = live;
    for (int32_t t = 0; t < s->bound; t++) {
        int32_t *row = (int32_t *)(void *)(rows + stride * t);
        if (t < s->live)
            choose(b, s, row);
        else
            for (int32_t j = 0; j < s->n_chosen; j++) row[j] = -1;
    }
}

static const shape *begin(pio_case_builder *b, int index) {
    if ((size_t)index >= PIO_COUNT(shapes)) return NULL;
    const shape *s = &shapes[index];
    pio_case_name(b, "%d of %d tokens, %d of %d experts, %d x %d%s", s->live, s->bound, s->n_chosen, s->n_experts,
                  s->n_out, s->cols, s->norm ? ", norm" : "");
    const pio_row *row = pio_case_row(b);
    if (row->backend == PIO_BACKEND_VULKAN && row->features & PIO_VULKAN_DOT8)
        pio_case_tolerance(b, 3e-3, "each thread rounds its activations to int8");
    if (row->backend == PIO_BACKEND_VULKAN && row->acts == PIO_ENC_F16)
        pio_case_tolerance(b, 1e-6, "weights are rounded to float16");
    return s;
}

static bool rows_case(pio_case_builder *b, int index, bool swiglu) {
    const shape *s = begin(b, index);
    if (!s) return false;
    const int32_t n_out = swiglu ? PIO_ROUND_UP(s->n_out, 2 * PIO_SWIGLU_BLOCK) : s->n_out;
    pio_case_acts(b, 0, s->bound, s->live, s->cols, 1);
    pio_case_weights(b, 1, s->n_experts, n_out, s->cols, 0.1f);
    choices(b, s, pio_case_call(b)->in[0].live);
    if (s->norm) pio_case_vector(b, PIO_EXPERTS_NORM, s->cols, 1, 0.2f);
    if (s->norm) pio_case_call(b)->attrs.norm_eps = 1e-5f;
    pio_case_output(b, 0, s->bound * s->n_chosen, s->live * s->n_chosen, swiglu ? n_out / 2 : n_out);
    return true;
}

bool pio_experts_linear_case(pio_case_builder *b, int index) {
    return rows_case(b, index, false);
}

bool pio_experts_swiglu_case(pio_case_builder *b, int index) {
    return rows_case(b, index, true);
}

bool pio_experts_down_case(pio_case_builder *b, int index) {
    const shape *s = begin(b, index);
    if (!s) return false;
    pio_case_acts(b, 0, s->bound * s->n_chosen, s->live * s->n_chosen, s->cols, 1);
    pio_case_weights(b, 1, s->n_experts, s->n_out, s->cols, 0.1f);
    pio_case_acts(b, 3, s->bound, s->live, s->n_chosen, 0.5f);
    choices(b, s, pio_case_call(b)->in[3].live);
    pio_case_acts(b, 4, s->bound, s->live, s->n_out, 1);
    if (index % 2)
        pio_case_output_in_place(b, 0, 4);
    else
        pio_case_output(b, 0, s->bound, s->live, s->n_out);
    return true;
}
