/* Where weights come from: the tensors of a checkpoint, row by row, as the weights table puts them together. */
#ifndef PIO_ENGINE_SOURCE_H
#define PIO_ENGINE_SOURCE_H

#include "engine/model.h"
#include "io/checkpoint.h"

/* Holds the weights table against the checkpoint: every tensor that it names must be there with its shape and a type
 * that can be read, and no other may be, but for those that the family leaves alone. Sets the stored type of matrices
 * that are kept as stored: bf16, or float32 where the checkpoint has float32 or float16. */
pio_status pio_source_check(pio_model *model, pio_error *error);

/* One row of weight `index`, its matrices one below the other, as it lies in the checkpoint. */
typedef struct pio_source_row {
    const pio_stored_tensor *tensor;
    const void *data; /* [cols] elements of the tensor's type, of any alignment, */
    int64_t stride;   /* as many elements apart */
} pio_source_row;

pio_source_row pio_source_find(const pio_model *model, const pio_stored_tensor *const *parts, int32_t index,
                               int32_t row);

#endif
