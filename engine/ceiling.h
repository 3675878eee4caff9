/* What the device can do at most, measured through the same kernels and lists as everything else. */
#ifndef PIO_ENGINE_CEILING_H
#define PIO_ENGINE_CEILING_H

#include "engine/model.h"

typedef struct pio_ceilings {
    double read_bytes_per_s; /* of memory far larger than the caches */
    double ops_per_s;        /* dot products or multiply-adds of one encoding, from registers */
} pio_ceilings;

typedef struct pio_probe pio_probe;

/* Prepares the probes of a loaded model's device: a buffer to read and, for arithmetic, the encoding of activations
 * that products with weights of this type use (int8 for q8 and q4, bf16 or float32 else). */
pio_status pio_probe_create(pio_model *model, pio_dtype weights, pio_probe **out, pio_error *error);
void pio_probe_destroy(pio_probe *probe);

/* Measures both once more and keeps the larger ones in *ceilings. */
pio_status pio_probe_measure(pio_probe *probe, pio_ceilings *ceilings, pio_error *error);

#endif
