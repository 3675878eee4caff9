/* Qwen3, dense (model_type "qwen3"): Qwen3-4B-Instruct-2507 and its siblings from 0.6B to 32B. */
#ifndef PIO_MODELS_QWEN3_H
#define PIO_MODELS_QWEN3_H

#include "models/blocks/blocks.h"
#include "models/model.h"

typedef struct pio_qwen3_config {
    pio_model_config common;
    pio_gqa attention;
} pio_qwen3_config;

pio_status pio_qwen3_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error);
void pio_qwen3_build(const pio_any_config *config, pio_spec *spec);

#endif
