#include <math.h>

#include "kernels/case.h"
#include "kernels/families.h"

bool pio_rope_table_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t context, bound, live, half, axes;
    } cases[] = {{0, 1, 1, 64, 0}, {30000, 9, 7, 64, 0}, {5, 4, 4, 3, 0}, {40, 9, 7, 64, 3}, {7, 5, 5, 32, 2}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const pio_case_sequence sequence = {cases[index].context, cases[index].live};
    pio_case_name(b, "positions from %d, %d frequencies, %d axes", cases[index].context, cases[index].half,
                  cases[index].axes);
    float *frequencies = pio_case_vector(b, 0, cases[index].half, 0, 0);
    for (int32_t i = 0; i < cases[index].half; i++) frequencies[i] = (float)pow(5e6, -(double)i / cases[index].half);
    if (cases[index].axes) {
        float *axes = pio_case_vector(b, 1, cases[index].half, 0, 0);
        for (int32_t i = 0; i < cases[index].half; i++) axes[i] = (float)(2 - i % cases[index].axes);
    }
    pio_case_call(b)->n_in = 2;
    pio_case_call(b)->attrs.scale = 1.0f;
    pio_case_step(b, &sequence, 1, cases[index].bound);
    pio_case_output(b, 0, cases[index].bound, cases[index].live, 2 * cases[index].half);
    pio_case_tolerance(b, 1e-13, "the cosine of one rounded angle");
    return true;
}

bool pio_rope_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t bound, live, heads, head_dim, rope_dim, flags, in_place;
    } cases[] = {{1, 1, 32, 128, 128, 0, 0},
                 {5, 3, 3, 32, 32, 0, 1},
                 {4, 4, 2, 96, 32, 0, 0},
                 {3, 3, 4, 64, 64, PIO_ROPE_INTERLEAVED, 1}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const int32_t cols = cases[index].heads * cases[index].head_dim;
    pio_case_name(b, "%d heads of %d, %d rotated%s", cases[index].heads, cases[index].head_dim, cases[index].rope_dim,
                  cases[index].flags ? ", interleaved" : "");
    pio_attrs *attrs = &pio_case_call(b)->attrs;
    attrs->n_heads = cases[index].heads;
    attrs->head_dim = cases[index].head_dim;
    attrs->rope_dim = cases[index].rope_dim;
    attrs->flags = cases[index].flags;
    pio_case_acts(b, 0, cases[index].bound, cases[index].live, cols, 1.0f);
    pio_case_acts(b, 1, cases[index].bound, cases[index].live, cases[index].rope_dim, 0.7f);
    if (cases[index].in_place)
        pio_case_output_in_place(b, 0, 0);
    else
        pio_case_output(b, 0, cases[index].bound, cases[index].live, cols);
    pio_case_tolerance(b, 1e-13, "two products and a sum");
    return true;
}
