#include <stdio.h>
#include <string.h>

#include "models/qwen3_coder_30b/qwen3_moe.h"

/* Tied checkpoints may carry the output rows a second time; the layers past the last are for multi-token prediction. */
static bool ignores(const pio_any_config *config, const char *tensor) {
    char past_the_last[64];
    snprintf(past_the_last, sizeof past_the_last, "model.layers.%d.", config->common.n_layers);
    return (config->common.tied && !strcmp(tensor, "lm_head.weight")) ||
           !strncmp(tensor, past_the_last, strlen(past_the_last));
}

const pio_model_family pio_qwen3_moe_family = {
    .model_type = "qwen3_moe",
    .product = "Qwen3-Coder-30B-A3B-Instruct",
    .bundled = "tiny/qwen3_coder_30b",
    .chat_form = &pio_qwen3_coder_chat_form,
    .read_config = pio_qwen3_moe_read_config,
    .build = pio_qwen3_moe_build,
    .ignores = ignores,
};
