#include "kernels/case.h"
#include "kernels/families.h"

bool pio_rmsnorm_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t bound, live, cols, groups;
        float scale;
    } cases[] = {{1, 1, 2560, 1, 1.0f}, {1, 1, 1, 1, 1.0f},  {3, 2, 7, 5, 0.01f},    {16, 11, 128, 40, 3.0f},
                 {8, 8, 300, 1, 1e4f},  {4, 0, 64, 2, 1.0f}, {33, 33, 96, 1, 1e-4f}, {2, 2, 9728, 1, 1.0f}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const int32_t cols = cases[index].cols * cases[index].groups;
    pio_case_name(b, "%d of %d rows, %d groups of %d", cases[index].live, cases[index].bound, cases[index].groups,
                  cases[index].cols);
    pio_case_call(b)->attrs.eps = 1e-6f;
    pio_case_acts(b, 0, cases[index].bound, cases[index].live, cols, cases[index].scale);
    pio_case_vector(b, 1, cases[index].cols, 1.0f, 0.2f);
    pio_case_output(b, 0, cases[index].bound, cases[index].live, cols);
    pio_case_tolerance(b, 1e-12, "float32 sums in 16 lanes against a double one");
    return true;
}

bool pio_layernorm_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t bound, live, x_cols, merged, cols;
        float scale;
    } cases[] = {{5, 4, 1024, 1, 1024, 1.0f}, {1, 1, 1, 1, 1, 1.0f},     {3, 2, 7, 4, 7, 0.01f}, {3, 3, 7, 4, 28, 3.0f},
                 {6, 5, 64, 4, 64, 100.0f},   {2, 2, 64, 4, 256, 1e-3f}, {4, 0, 33, 1, 33, 1.0f}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const int32_t merged = cases[index].merged, cols = merged * cases[index].x_cols;
    pio_case_name(b, "%d of %d rows of %d x %d, groups of %d", cases[index].live, cases[index].bound, merged,
                  cases[index].x_cols, cases[index].cols);
    pio_case_call(b)->attrs.eps = 1e-6f;
    pio_case_acts(b, 0, merged * cases[index].bound, merged * cases[index].live, cases[index].x_cols,
                  cases[index].scale);
    pio_case_vector(b, 1, cases[index].cols, 1.0f, 0.2f);
    pio_case_vector(b, 2, cases[index].cols, 0.0f, 0.5f);
    pio_case_output(b, 0, cases[index].bound, cases[index].live, cols);
    pio_case_tolerance(b, 1e-12, "float32 sums in 16 lanes against a double one");
    return true;
}
