#include "models/qwen3_coder_30b/qwen3_moe.h"

const pio_model_family pio_qwen3_moe_family = {
    .model_type = "qwen3_moe",
    .product = "Qwen3-Coder-30B-A3B-Instruct",
    .bundled = "tiny/qwen3_coder_30b",
    .chat_form = &pio_qwen3_coder_chat_form,
    .read_config = pio_qwen3_moe_read_config,
    .build = pio_qwen3_moe_build,
};
