#include "models/glm_4_7_flash/glm.h"

const pio_model_family pio_glm_family = {
    .model_type = "glm4_moe_lite",
    .product = "GLM-4.7-Flash",
    .bundled = "tiny/glm_4_7_flash",
    .chat_form = &pio_glm_chat_form,
    .read_config = pio_glm_read_config,
    .build = pio_glm_build,
};
