/* The sequences of a step, as attention's shaders find them. */
#include "kernels/step.h"

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer SEQUENCES {
    pio_step_sequence v[];
};

/* The sequence whose rows include t; its n_rows is 0 where there is none. The first is read beside the number of them,
 * not behind it: most steps have one, and each read that waits for another is half a microsecond. */
pio_step_sequence sequence_of(uint64_t counts, uint64_t all, int t) {
    pio_step_sequence s = SEQUENCES(all).v[0];
    int n = I32(counts).v[1]; /* n_sequences */
    for (int i = 1; i < n && t >= s.first_row + s.n_rows; i++) s = SEQUENCES(all).v[i];
    if (n == 0 || t >= s.first_row + s.n_rows) s.n_rows = 0;
    return s;
}
