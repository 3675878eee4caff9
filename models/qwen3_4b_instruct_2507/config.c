#include <string.h>

#include "base/compiler.h"
#include "models/blocks/numbers.h"
#include "models/qwen3_4b_instruct_2507/qwen3.h"

_Static_assert(sizeof(pio_qwen3_config) <= PIO_MODEL_CONFIG_BYTES, "the config fits pio_any_config");

/* What the published checkpoints leave at one value. */
static const pio_setting settings[] = {{"hidden_act", "silu"}, {"attention_bias"}, {"use_sliding_window"}};

pio_status pio_qwen3_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error) {
    pio_qwen3_config *c = (pio_qwen3_config *)out;
    memset(out, 0, sizeof *out);
    const pio_number numbers[] = {
        {"num_attention_heads", 1, PIO_MAX_HEADS, PIO_REQUIRED, &c->attention.n_heads},
        {"head_dim", 2, PIO_MAX_HEAD_DIM, 128, &c->attention.head_dim},
    };
    int64_t kv_heads = 0;
    pio_status status = pio_settings_check(root, settings, PIO_COUNT(settings), error);
    if (!status) status = pio_decoder_read(root, 1e-6, &c->common, error);
    if (!status) status = pio_numbers_read(root, numbers, PIO_COUNT(numbers), error);
    if (!status)
        status =
            pio_json_get_int_or(root, "num_key_value_heads", 1, PIO_MAX_HEADS, c->attention.n_heads, &kv_heads, error);
    if (status) return status;
    const int32_t head_dim = c->attention.head_dim;
    if (head_dim % 2)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': head_dim %d is odd, so it cannot be rotated in pairs",
                        root->file, head_dim);
    if (c->attention.n_heads % kv_heads)
        return pio_fail(error, PIO_CORRUPT, "'%s': num_attention_heads %d is not a multiple of num_key_value_heads %d",
                        root->file, c->attention.n_heads, (int)kv_heads);
    c->attention.eps = c->common.eps;
    c->attention.hidden_size = c->common.hidden_size;
    c->attention.n_kv_heads = (int32_t)kv_heads;
    return PIO_OK;
}
