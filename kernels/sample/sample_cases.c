#include "kernels/case.h"
#include "kernels/families.h"

bool pio_sample_case(pio_case_builder *b, int index) {
    static const struct {
        const char *name;
        int32_t bound, live, vocab;
        pio_sample_slot slot;
        bool counted, biased;
    } cases[] = {
        {"greedy", 4, 3, 300, {.top_p = 1, .repetition_penalty = 1}, false, false},
        {"greedy, a whole vocabulary", 1, 1, 151936, {.top_p = 1, .repetition_penalty = 1}, false, false},
        {"temperature", 8, 8, 100, {.temperature = 0.7f, .top_p = 1, .repetition_penalty = 1}, false, false},
        {"top-k", 8, 7, 1000, {.temperature = 1, .top_k = 20, .top_p = 1, .repetition_penalty = 1}, false, false},
        {"top-p", 8, 8, 1000, {.temperature = 1.3f, .top_p = 0.8f, .repetition_penalty = 1}, false, false},
        {"top-k, top-p, min-p",
         16,
         16,
         5000,
         {.temperature = 0.9f, .top_k = 50, .top_p = 0.9f, .min_p = 0.05f, .repetition_penalty = 1},
         false,
         false},
        {"penalties and biases",
         6,
         6,
         400,
         {.temperature = 1,
          .top_k = 5,
          .top_p = 1,
          .repetition_penalty = 1.3f,
          .presence_penalty = 0.5f,
          .frequency_penalty = 0.2f},
         true,
         true},
    };
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const int32_t live = cases[index].live, vocab = cases[index].vocab;
    pio_case_name(b, "%s", cases[index].name);
    pio_case_acts(b, 0, cases[index].bound, live, vocab, 3.0f);
    pio_sample_slot *slots = pio_case_words(b, 1, (int64_t)sizeof *slots * cases[index].bound);
    for (int32_t i = 0; i < live; i++) {
        slots[i] = cases[index].slot;
        slots[i].seed = (uint64_t)pio_case_uniform(b, 1u << 31) << 20;
        if (cases[index].counted) {
            uint16_t *counts = pio_case_linked(b, 1, (char *)&slots[i].counts - (char *)slots, 2 * (int64_t)vocab);
            for (int32_t t = 0; t < vocab; t++)
                counts[t] = (uint16_t)(pio_case_uniform(b, 3) * (pio_case_uniform(b, 2) ? 1 : PIO_COUNT_IN_PROMPT));
        }
        if (cases[index].biased) {
            pio_sample_bias *biases =
                pio_case_linked(b, 1, (char *)&slots[i].biases - (char *)slots, 3 * sizeof *biases);
            for (int j = 0; j < 3; j++)
                biases[j] = (pio_sample_bias){(int32_t)pio_case_uniform(b, (uint32_t)vocab), 2.0f * (float)j - 1.0f};
            slots[i].n_biases = 3;
        }
    }
    const pio_case_sequence sequence = {5, live};
    pio_case_step(b, &sequence, 1, cases[index].bound);
    pio_step_draw *draws = pio_case_draws(b, cases[index].bound, live);
    for (int32_t i = 0; i < live; i++)
        draws[i] = (pio_step_draw){i == 2 ? -1 : i, (int32_t)pio_case_uniform(b, 10000), live - 1 - i, 0};
    pio_case_output_words(b, 0, (int64_t)sizeof(int32_t) * live);
    return true;
}
