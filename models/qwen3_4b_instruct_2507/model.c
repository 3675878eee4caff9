#include <stdio.h>
#include <string.h>

#include "models/qwen3_4b_instruct_2507/qwen3.h"

/* Tied checkpoints may carry the output rows a second time; the layers past the last are for multi-token prediction. */
static bool ignores(const pio_any_config *config, const char *tensor) {
    char past_the_last[64];
    snprintf(past_the_last, sizeof past_the_last, "model.layers.%d.", config->common.n_layers);
    return (config->common.tied && !strcmp(tensor, "lm_head.weight")) ||
           !strncmp(tensor, past_the_last, strlen(past_the_last));
}

const pio_model_family pio_qwen3_family = {
    .model_type = "qwen3",
    .product = "Qwen3-4B-Instruct-2507",
    .bundled = "tiny/qwen3_4b_instruct_2507",
    .chat_form = &pio_qwen3_chat_form,
    .read_config = pio_qwen3_read_config,
    .build = pio_qwen3_build,
    .ignores = ignores,
};
