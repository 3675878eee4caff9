#include <string.h>

#include "base/compiler.h"
#include "models/blocks/numbers.h"
#include "models/qwen3_4b_instruct_2507/qwen3.h"

_Static_assert(sizeof(pio_qwen3_config) <= PIO_MODEL_CONFIG_BYTES, "the config fits pio_any_config");

/* Settings that the published checkpoints leave at one value, and the value. */
static pio_status refuse_other_settings(const pio_json_object *root, pio_error *error) {
    const char *act;
    bool bias, sliding;
    pio_status status = pio_json_get_string_or(root, "hidden_act", "silu", &act, error);
    if (!status) status = pio_json_get_bool_or(root, "attention_bias", false, &bias, error);
    if (!status) status = pio_json_get_bool_or(root, "use_sliding_window", false, &sliding, error);
    if (status) return status;
    if (strcmp(act, "silu"))
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': hidden_act '%.40s' is not supported, only 'silu' is", root->file,
                        act);
    if (bias || sliding)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': %s true is not supported, only false is", root->file,
                        bias ? "attention_bias" : "use_sliding_window");
    return PIO_OK;
}

pio_status pio_qwen3_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error) {
    pio_qwen3_config *c = (pio_qwen3_config *)out;
    memset(out, 0, sizeof *out);
    const pio_number numbers[] = {
        {"vocab_size", 1, PIO_MAX_VOCAB, PIO_REQUIRED, &c->common.vocab_size},
        {"hidden_size", 1, PIO_MAX_WIDTH, PIO_REQUIRED, &c->common.hidden_size},
        {"num_hidden_layers", 1, PIO_MAX_LAYERS, PIO_REQUIRED, &c->common.n_layers},
        {"max_position_embeddings", 1, INT32_MAX, PIO_REQUIRED, &c->common.max_positions},
        {"intermediate_size", 1, PIO_MAX_WIDTH, PIO_REQUIRED, &c->intermediate_size},
        {"num_attention_heads", 1, PIO_MAX_HEADS, PIO_REQUIRED, &c->attention.n_heads},
        {"head_dim", 2, PIO_MAX_HEAD_DIM, 128, &c->attention.head_dim},
    };
    int64_t kv_heads = 0;
    double eps = 0;
    pio_status status = refuse_other_settings(root, error);
    if (!status) status = pio_numbers_read(root, numbers, PIO_COUNT(numbers), error);
    if (!status)
        status =
            pio_json_get_int_or(root, "num_key_value_heads", 1, PIO_MAX_HEADS, c->attention.n_heads, &kv_heads, error);
    if (!status) status = pio_json_get_double_or(root, "rms_norm_eps", 0, 1, 1e-6, &eps, error);
    if (!status) status = pio_json_get_bool_or(root, "tie_word_embeddings", false, &c->common.tied, error);
    if (!status) status = pio_rope_read(root, &c->rope_theta, error);
    if (status) return status;
    const int32_t head_dim = c->attention.head_dim;
    if (head_dim % 2)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': head_dim %d is odd, so it cannot be rotated in pairs",
                        root->file, head_dim);
    if (c->attention.n_heads % kv_heads)
        return pio_fail(error, PIO_CORRUPT, "'%s': num_attention_heads %d is not a multiple of num_key_value_heads %d",
                        root->file, c->attention.n_heads, (int)kv_heads);
    c->eps = c->attention.eps = (float)eps;
    c->attention.hidden_size = c->common.hidden_size;
    c->attention.n_kv_heads = (int32_t)kv_heads;
    return PIO_OK;
}
