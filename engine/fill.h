/* Filling weights on the device, in units of some rows that the threads share. What fills them differs (a checkpoint,
 * the cache of quantised weights, random numbers); how they are packed, brought to the device, counted and cancelled is
 * here. */
#ifndef PIO_ENGINE_FILL_H
#define PIO_ENGINE_FILL_H

#include "engine/model.h"

/* Rows [first_row, first_row + n_rows) of a weight, its matrices one below the other. They lie in one matrix, begin at
 * a multiple of 16 rows in it, and n_rows is a multiple of 16 but for a matrix's last ones. */
typedef struct pio_fill_unit {
    int32_t weight, first_row, n_rows;
} pio_fill_unit;

/* A thread's own memory, kept from unit to unit; fill.c frees it. */
typedef struct pio_fill_scratch {
    void *bytes;
    uint64_t capacity;
} pio_fill_scratch;

/* At least so many bytes, 64-byte aligned, undefined; NULL: there are none. What was got before ends. */
void *pio_fill_scratch_get(pio_fill_scratch *scratch, uint64_t bytes);

/* Makes the unit's rows in canonical form into rows->codes, ->subs and ->scales, which hold them and may be the place
 * where they stay. Called by several threads at once, each with its own `rows`; none of them may use the device. */
typedef pio_status (*pio_fill_rows)(void *user, const pio_fill_unit *unit, pio_fill_scratch *scratch,
                                    pio_canonical *rows, pio_error *error);

/* Host memory that filling takes, where weights go through it on their way to the device; 0 where they do not. */
uint64_t pio_fill_staging_bytes(const pio_model *model);

/* Fills all weights. `what` names the work for the progress report. */
pio_status pio_fill(pio_model *model, const char *what, pio_fill_rows rows, void *user, pio_error *error);

#endif
