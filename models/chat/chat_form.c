#include "models/chat/chat_form.h"

#include <stddef.h>

#define QWEN_TURN .turn = "<|im_start|>assistant\n", .turn_ends = {"<|im_end|>"}
#define THINKING  .reasoning_open = "<think>", .reasoning_close = "</think>"
#define QWEN_END  .reasoning_end = "\n</think>\n\n"
#define CALL      .call_open = "<tool_call>", .call_close = "</tool_call>"

const pio_chat_form pio_qwen3_chat_form = {QWEN_TURN, THINKING, QWEN_END, CALL};

const pio_chat_form pio_qwen3_vl_chat_form = {QWEN_TURN, THINKING, QWEN_END, CALL};

static const pio_call_tags coder_tags = {.name_open = "<function =",
                                         .body_close = "</function>",
                                         .key_open = "<parameter =",
                                         .key_close = ">",
                                         .value_close = "</parameter"};
const pio_chat_form pio_qwen3_coder_chat_form = {QWEN_TURN, CALL, .tags = &coder_tags};

static const pio_call_tags glm_tags = {
    .key_open = "<arg_key>", .key_close = "</arg_key>", .value_open = "<arg_value>", .value_close = "</arg_value"};
const pio_chat_form pio_glm_chat_form = {.turn = "<|assistant|>",
                                         .turn_ends = {"<|user|>", "<|observation|>", "<|system|>"},
                                         THINKING,
                                         .reasoning_end = "</think>",
                                         CALL,
                                         .tags = &glm_tags};
