/* GLM-4.7-Flash (model_type "glm4_moe_lite"): latent attention and a mixture of experts. */
#ifndef PIO_MODELS_GLM_H
#define PIO_MODELS_GLM_H

#include "models/blocks/blocks.h"
#include "models/model.h"

typedef struct pio_glm_config {
    pio_model_config common;
    pio_mla attention;
    pio_moe moe;
    pio_layer_set dense; /* layers without experts */
} pio_glm_config;

pio_status pio_glm_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error);
void pio_glm_build(const pio_any_config *config, pio_spec *spec);

#endif
