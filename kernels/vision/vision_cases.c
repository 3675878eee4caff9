#include "kernels/case.h"
#include "kernels/families.h"

bool pio_add_positions_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t bound, live, table_rows, cols, in_place;
    } cases[] = {{9, 7, 64, 64, 0}, {3, 3, 2304, 1024, 1}, {1, 1, 1, 33, 0}, {4, 0, 16, 48, 1}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const pio_case_sequence sequence = {0, cases[index].live};
    pio_case_name(b, "%d of %d patches of %d, a table of %d", cases[index].live, cases[index].bound, cases[index].cols,
                  cases[index].table_rows);
    pio_case_acts(b, 0, cases[index].bound, cases[index].live, cases[index].cols, 1.0f);
    pio_case_weight(b, 1, cases[index].table_rows, cases[index].cols, 1.0f);
    pio_case_step(b, &sequence, 1, cases[index].bound);
    pio_step_taps *taps = pio_case_taps(b, cases[index].bound);
    for (int32_t p = 0; p < cases[index].live; p++)
        for (int k = 0; k < 4; k++) {
            taps[p].row[k] = (int32_t)pio_case_uniform(b, (uint32_t)cases[index].table_rows);
            taps[p].share[k] = pio_case_gaussian(b);
        }
    if (cases[index].in_place)
        pio_case_output_in_place(b, 0, 0);
    else
        pio_case_output(b, 0, cases[index].bound, cases[index].live, cases[index].cols);
    pio_case_tolerance(b, 1e-13, "four products and their sum");
    return true;
}

bool pio_picture_rows_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t bound, live, cols, column, flags, in_place;
    } cases[] = {{9, 7, 64, 0, PIO_PICTURE_REPLACE, 0},
                 {9, 9, 64, 64, 0, 1},
                 {5, 4, 33, 66, 0, 0},
                 {1, 1, 2048, 0, PIO_PICTURE_REPLACE, 1},
                 {4, 0, 48, 0, 0, 1}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const pio_case_sequence sequence = {3, cases[index].live};
    pio_case_name(b, "%d of %d rows of %d %s, from column %d", cases[index].live, cases[index].bound, cases[index].cols,
                  cases[index].flags ? "replaced" : "added to", cases[index].column);
    pio_case_call(b)->attrs.flags = cases[index].flags;
    pio_case_call(b)->attrs.column = cases[index].column;
    pio_case_acts(b, 0, cases[index].bound, cases[index].live, cases[index].cols, 1.0f);
    pio_case_step(b, &sequence, 1, cases[index].bound);
    pio_case_picture_rows(b, cases[index].bound, cases[index].live, cases[index].column + cases[index].cols);
    if (cases[index].in_place)
        pio_case_output_in_place(b, 0, 0);
    else
        pio_case_output(b, 0, cases[index].bound, cases[index].live, cases[index].cols);
    pio_case_tolerance(b, 0, "a copy, or one addition each");
    return true;
}
