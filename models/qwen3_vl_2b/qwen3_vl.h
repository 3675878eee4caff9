/* Qwen3-VL, dense (model_type "qwen3_vl"): Qwen3-VL-2B-Instruct and its siblings. */
#ifndef PIO_MODELS_QWEN3_VL_H
#define PIO_MODELS_QWEN3_VL_H

#include "models/blocks/blocks.h"
#include "models/model.h"
#include "models/qwen3_4b_instruct_2507/qwen3.h"

typedef struct pio_qwen3_vl_config {
    pio_qwen3_config text;    /* the text model is Qwen3's, but for its positions and what pictures add */
    int32_t mrope_section[3]; /* frequencies for time, height and width */
    pio_vit vision;
} pio_qwen3_vl_config;

pio_status pio_qwen3_vl_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error);
void pio_qwen3_vl_build(const pio_any_config *config, pio_spec *spec);

#endif
