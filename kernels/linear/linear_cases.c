/* The cases of the linear layers: sizes around every kernel's tiles. */
#include "base/compiler.h"
#include "kernels/case.h"
#include "kernels/families.h"

typedef struct shape {
    int32_t bound, live, cols, n_out;
    float x_scale, w_scale;
    bool bias;
    bool norm; /* LINEAR and LINEAR_SWIGLU alone */
} shape;

/* Bounds 1..8 reach the streaming kernels, the others the tiled ones; a small one of each stands first, for the
 * self-test. n_out is rounded up to whole blocks for SwiGLU. */
static const shape shapes[] = {
    {1, 1, 96, 40, 1, 0.1f, false},          {9, 9, 96, 17, 1, 0.1f, true},
    {1, 1, 2560, 272, 1, 0.02f, false},      {1, 1, 9728, 37, 1, 0.01f, true},
    {1, 1, 300, 2048, 1, 0.06f, false},      {2, 2, 128, 33, 1, 0.1f, true},
    {2, 1, 384, 48, 1, 0.05f, false},        {3, 3, 300, 50, 1, 0.05f, false},
    {4, 4, 2560, 64, 1, 0.02f, false},       {5, 5, 384, 100, 1, 0.05f, true},
    {6, 6, 736, 81, 1, 0.05f, false},        {7, 7, 1056, 31, 1, 0.05f, true},
    {8, 8, 256, 96, 1, 0.06f, false},        {8, 5, 2560, 40, 1, 0.02f, false},
    {16, 11, 384, 130, 1, 0.05f, false},     {17, 17, 300, 95, 1, 0.05f, true},
    {33, 33, 544, 66, 1, 0.05f, false},      {64, 50, 2560, 33, 1, 0.02f, true},
    {64, 64, 9728, 20, 1, 0.01f, false},     {100, 100, 128, 260, 1, 0.1f, false},
    {100, 13, 512, 15, 1e3f, 50, true}, /* large values */
    {5, 5, 512, 64, 1e4f, 1e3f, false},      {16, 1, 33, 5, 1, 0.2f, false},
    {128, 121, 1, 3, 1, 1, false},           {97, 97, 70, 1090, 1, 0.1f, true}, /* many panels */
    {1, 1, 128, 1, 1, 0.1f, false},          {3, 0, 64, 16, 1, 0.1f, false},    /* no row is live */
    {1, 1, 2560, 40, 1, 0.02f, true, true},  {1, 1, 300, 33, 1e-4f, 0.1f, false, true},
    {3, 2, 96, 17, 1e3f, 0.1f, false, true}, {8, 8, 520, 50, 1, 0.1f, true, true},
};

static const shape *begin(pio_case_builder *builder, int index) {
    if (index >= (int)PIO_COUNT(shapes)) return NULL;
    const shape *s = &shapes[index];
    pio_case_name(builder, "%d of %d rows, %d x %d%s%s", s->live, s->bound, s->n_out, s->cols, s->bias ? ", bias" : "",
                  s->norm ? ", norm" : "");
    const pio_row *row = pio_case_row(builder);
    const bool dot8 = row->backend == PIO_BACKEND_VULKAN && row->features & PIO_VULKAN_DOT8;
    if (dot8) pio_case_tolerance(builder, 3e-3, "each thread rounds its activations to int8");
    if (row->backend == PIO_BACKEND_VULKAN && row->acts == PIO_ENC_F16)
        pio_case_tolerance(builder, 1e-6, "weights are rounded to float16");
    if (s->live * s->n_out == 1) pio_case_tolerance(builder, dot8 ? 0.3 : 1e-6, "a lone sum may cancel");
    return s;
}

static void operands(pio_case_builder *builder, const shape *s, int32_t n_out) {
    pio_case_acts(builder, 0, s->bound, s->live, s->cols, s->x_scale);
    pio_case_weight(builder, 1, n_out, s->cols, s->w_scale);
}

static void norm(pio_case_builder *builder, const shape *s) {
    if (!s->norm) return;
    pio_case_vector(builder, PIO_LINEAR_NORM, s->cols, 1, 0.2f);
    pio_case_call(builder)->attrs.norm_eps = 1e-6f;
}

static bool linear_case(pio_case_builder *builder, int index, bool residual) {
    const shape *s = begin(builder, index);
    if (!s) return false;
    if (!residual) norm(builder, s);
    operands(builder, s, s->n_out);
    if (s->bias) pio_case_vector(builder, 2, s->n_out, 0, s->x_scale);
    if (residual) pio_case_acts(builder, 3, s->bound, s->live, s->n_out, s->x_scale);
    if (residual && index % 2)
        pio_case_output_in_place(builder, 0, 3);
    else
        pio_case_output(builder, 0, s->bound, s->live, s->n_out);
    return true;
}

bool pio_linear_case(pio_case_builder *builder, int index) {
    return linear_case(builder, index, false);
}

bool pio_linear_add_case(pio_case_builder *builder, int index) {
    return linear_case(builder, index, true);
}

bool pio_linear_swiglu_case(pio_case_builder *builder, int index) {
    const shape *s = begin(builder, index);
    if (!s) return false;
    int32_t n_out = PIO_ROUND_UP(s->n_out, 2 * PIO_SWIGLU_BLOCK);
    operands(builder, s, n_out);
    norm(builder, s);
    pio_case_output(builder, 0, s->bound, s->live, n_out / 2);
    return true;
}
