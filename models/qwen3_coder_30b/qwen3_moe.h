/* Qwen3 with a mixture of experts (model_type "qwen3_moe"): Qwen3-Coder-30B-A3B and its siblings. */
#ifndef PIO_MODELS_QWEN3_MOE_H
#define PIO_MODELS_QWEN3_MOE_H

#include "models/qwen3_4b_instruct_2507/qwen3.h"

typedef struct pio_qwen3_moe_config {
    pio_qwen3_config base; /* all but the experts is Qwen3's */
    pio_moe moe;
    pio_layer_set dense; /* layers without experts */
} pio_qwen3_moe_config;

pio_status pio_qwen3_moe_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error);
void pio_qwen3_moe_build(const pio_any_config *config, pio_spec *spec);

#endif
