#include "models/qwen3_vl_2b/qwen3_vl.h"

const pio_model_family pio_qwen3_vl_family = {
    .model_type = "qwen3_vl",
    .product = "Qwen3-VL-2B-Instruct",
    .bundled = "tiny/qwen3_vl_2b",
    .chat_form = &pio_qwen3_vl_chat_form,
    .read_config = pio_qwen3_vl_read_config,
    .build = pio_qwen3_vl_build,
};
