#include <string.h>

#include "models/qwen3_4b_instruct_2507/qwen3.h"

_Static_assert(sizeof(pio_qwen3_config) <= PIO_MODEL_CONFIG_BYTES, "the config fits pio_any_config");

enum { MAX_WIDTH = 1 << 20, MAX_HEADS = 1024, MAX_HEAD_DIM = 1024, MAX_LAYERS = 512, MAX_VOCAB = 1 << 24 };

/* The whole number `key`, into *out; the first failure stays in *status. */
static void read_int(const pio_json_object *in, const char *key, int64_t max, int32_t *out, pio_status *status,
                     pio_error *error) {
    int64_t value = 0;
    if (!*status) *status = pio_json_get_int(in, key, 1, max, &value, error);
    *out = (int32_t)value;
}

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
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': %s true is not supported by qwen3, only false is", root->file,
                        bias ? "attention_bias" : "use_sliding_window");
    return PIO_OK;
}

pio_status pio_qwen3_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error) {
    pio_qwen3_config *c = (pio_qwen3_config *)out;
    memset(out, 0, sizeof *out);
    pio_status status = refuse_other_settings(root, error);
    read_int(root, "vocab_size", MAX_VOCAB, &c->common.vocab_size, &status, error);
    read_int(root, "hidden_size", MAX_WIDTH, &c->common.hidden_size, &status, error);
    read_int(root, "num_hidden_layers", MAX_LAYERS, &c->common.n_layers, &status, error);
    read_int(root, "max_position_embeddings", INT32_MAX, &c->common.max_positions, &status, error);
    read_int(root, "intermediate_size", MAX_WIDTH, &c->intermediate_size, &status, error);
    read_int(root, "num_attention_heads", MAX_HEADS, &c->attention.n_heads, &status, error);
    int64_t kv_heads = 0, head_dim = 0;
    double eps = 0;
    if (!status)
        status = pio_json_get_int_or(root, "num_key_value_heads", 1, MAX_HEADS, c->attention.n_heads, &kv_heads, error);
    if (!status) status = pio_json_get_int_or(root, "head_dim", 2, MAX_HEAD_DIM, 128, &head_dim, error);
    if (!status) status = pio_json_get_double_or(root, "rms_norm_eps", 0, 1, 1e-6, &eps, error);
    if (!status) status = pio_json_get_bool_or(root, "tie_word_embeddings", false, &c->common.tied, error);
    if (!status) status = pio_rope_read(root, &c->rope_theta, error);
    if (status) return status;
    if (head_dim % 2)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': head_dim %d is odd, so it cannot be rotated in pairs",
                        root->file, (int)head_dim);
    if (c->attention.n_heads % kv_heads)
        return pio_fail(error, PIO_CORRUPT, "'%s': num_attention_heads %d is not a multiple of num_key_value_heads %d",
                        root->file, c->attention.n_heads, (int)kv_heads);
    c->eps = c->attention.eps = (float)eps;
    c->attention.hidden_size = c->common.hidden_size;
    c->attention.n_kv_heads = (int32_t)kv_heads;
    c->attention.head_dim = (int32_t)head_dim;
    return PIO_OK;
}
