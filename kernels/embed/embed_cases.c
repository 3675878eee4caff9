#include "kernels/case.h"
#include "kernels/families.h"

static const struct {
    int32_t bound, live, vocab, cols;
} shapes[] = {{7, 5, 512, 96}, {1, 1, 300, 2560}, {16, 16, 77, 33}, {4, 0, 64, 64}};

bool pio_embed_case(pio_case_builder *b, int index) {
    if ((size_t)index >= PIO_COUNT(shapes)) return false;
    const pio_case_sequence sequence = {3, shapes[index].live};
    pio_case_name(b, "%d of %d rows of %d from %d", shapes[index].live, shapes[index].bound, shapes[index].cols,
                  shapes[index].vocab);
    pio_case_weight(b, 0, shapes[index].vocab, shapes[index].cols, 1.0f);
    pio_sample_slot *slots = pio_case_words(b, 1, 4 * sizeof *slots);
    for (int i = 0; i < 4; i++) slots[i].last_token = (int32_t)pio_case_uniform(b, (uint32_t)shapes[index].vocab);
    pio_case_step(b, &sequence, 1, shapes[index].bound);
    int32_t *ids = pio_case_ids(b);
    for (int32_t t = 0; t < shapes[index].live; t++)
        ids[t] = t % 3 == 2 ? -1 - t % 4 : (int32_t)pio_case_uniform(b, (uint32_t)shapes[index].vocab);
    pio_case_output(b, 0, shapes[index].bound, shapes[index].live, shapes[index].cols);
    pio_case_tolerance(b, 0, "a copy");
    return true;
}

bool pio_gather_rows_case(pio_case_builder *b, int index) {
    static const struct {
        int32_t tokens, bound, live, cols;
    } cases[] = {{9, 1, 1, 2560}, {20, 16, 11, 100}, {3, 4, 4, 1}};
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const pio_case_sequence sequence = {0, cases[index].tokens};
    pio_case_name(b, "%d of %d rows", cases[index].live, cases[index].tokens);
    pio_case_acts(b, 0, cases[index].tokens, cases[index].tokens, cases[index].cols, 1.0f);
    pio_case_step(b, &sequence, 1, cases[index].tokens);
    int32_t *rows = pio_case_out_rows(b, cases[index].bound, cases[index].live);
    for (int32_t i = 0; i < cases[index].live; i++)
        rows[i] = (int32_t)pio_case_uniform(b, (uint32_t)cases[index].tokens);
    pio_case_output(b, 0, cases[index].bound, cases[index].live, cases[index].cols);
    pio_case_tolerance(b, 0, "a copy");
    return true;
}
