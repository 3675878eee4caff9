/* Where a step's time goes: each of its kernels by itself, by the device's clock. */
#ifndef PIO_ENGINE_PROFILE_H
#define PIO_ENGINE_PROFILE_H

#include "engine/model.h"

typedef struct pio_profile_line {
    char kernel[PIO_ROW_NAME_BYTES];
    int32_t n;      /* uses in a step */
    double seconds; /* of all of them together */
} pio_profile_line;

typedef struct pio_profile {
    pio_profile_line *lines; /* the longest first */
    int32_t n_lines, lines_capacity;
} pio_profile;

/* Runs the kernels of a step of `rows` tokens on the step block that the last step has left: all uses of one kernel
 * behind each other, then those of the next. What they compute is of no use afterwards. PIO_UNSUPPORTED where the
 * device keeps no time. Freed with pio_profile_free, also after a failure. */
pio_status pio_profile_step(pio_model *model, int32_t rows, pio_profile *profile, pio_error *error);
void pio_profile_free(pio_profile *profile);

#endif
