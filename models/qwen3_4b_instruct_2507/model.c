#include "models/qwen3_4b_instruct_2507/qwen3.h"

const pio_model_family pio_qwen3_family = {
    .model_type = "qwen3",
    .product = "Qwen3-4B-Instruct-2507",
    .bundled = "tiny/qwen3_4b_instruct_2507",
    .chat_form = &pio_qwen3_chat_form,
    .read_config = pio_qwen3_read_config,
    .build = pio_qwen3_build,
};
