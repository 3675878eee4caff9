#include <string.h>

#include "models/blocks/numbers.h"
#include "models/qwen3_vl_2b/qwen3_vl.h"

_Static_assert(sizeof(pio_qwen3_vl_config) <= PIO_MODEL_CONFIG_BYTES, "the config fits pio_any_config");

enum { MAX_WIDTH = 1 << 16, MAX_HEADS = 1024, MAX_LAYERS = 512, MAX_SIDE = 1024, MAX_MERGE = 16 };

/* text_config.rope_parameters.mrope_section, or rope_scaling's. */
static pio_status read_mrope(const pio_json_object *text, int32_t head_dim, int32_t section[3], pio_error *error) {
    pio_json_object rope;
    pio_status status = pio_json_get_object(text, "rope_parameters", &rope, error);
    if (!status && !rope.json) status = pio_json_get_object(text, "rope_scaling", &rope, error);
    int64_t values[3] = {24, 20, 20};
    size_t n = 0;
    if (!status) status = pio_json_get_ints(&rope, "mrope_section", 0, MAX_WIDTH, values, 3, &n, error);
    if (!status) status = pio_settings_check(&rope, &(pio_setting){"mrope_interleaved", .flag = true}, 1, error);
    if (status) return status;
    const int64_t sum = values[0] + values[1] + values[2];
    if ((n && n != 3) || sum != head_dim / 2)
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': mrope_section has %zu numbers of sum %lld, but must have 3 of sum %d", text->file, n,
                        (long long)sum, head_dim / 2);
    for (int i = 0; i < 3; i++) section[i] = (int32_t)values[i];
    return PIO_OK;
}

static pio_status check_vision(const pio_json_object *in, const pio_qwen3_vl_config *c, pio_error *error) {
    const pio_vit *v = &c->vision;
    if (v->hidden_size % v->n_heads || v->hidden_size / v->n_heads % 4)
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': %shidden_size %d does not make %d heads of a multiple of 4 numbers each", in->file,
                        in->prefix, v->hidden_size, v->n_heads);
    if (v->out_size != c->text.common.hidden_size)
        return pio_fail(error, PIO_CORRUPT, "'%s': %sout_hidden_size %d is not the text model's hidden_size %d",
                        in->file, in->prefix, v->out_size, c->text.common.hidden_size);
    int32_t side = 1;
    while (side * side < v->table_rows) side++;
    if (side * side != v->table_rows)
        return pio_fail(error, PIO_CORRUPT, "'%s': %snum_position_embeddings %d is not the square of a whole number",
                        in->file, in->prefix, v->table_rows);
    if (v->n_taps > c->text.common.n_layers)
        return pio_fail(error, PIO_CORRUPT, "'%s': %sdeepstack_visual_indexes has %d layers, the text model only %d",
                        in->file, in->prefix, v->n_taps, c->text.common.n_layers);
    return pio_settings_check(in, &(pio_setting){"hidden_act", "gelu_pytorch_tanh"}, 1, error);
}

static pio_status read_vision(const pio_json_object *in, pio_qwen3_vl_config *c, pio_error *error) {
    pio_vit *v = &c->vision;
    int32_t patch, temporal, channels;
    const pio_number numbers[] = {
        {"hidden_size", 4, MAX_WIDTH, PIO_REQUIRED, &v->hidden_size},
        {"num_heads", 1, MAX_HEADS, PIO_REQUIRED, &v->n_heads},
        {"depth", 1, MAX_LAYERS, PIO_REQUIRED, &v->n_layers},
        {"intermediate_size", 1, MAX_WIDTH, PIO_REQUIRED, &v->width},
        {"out_hidden_size", 1, 1 << 20, PIO_REQUIRED, &v->out_size},
        {"num_position_embeddings", 1, MAX_SIDE * MAX_SIDE, PIO_REQUIRED, &v->table_rows},
        {"spatial_merge_size", 1, MAX_MERGE, 2, &v->merge},
        {"patch_size", 1, 256, 16, &patch},
        {"temporal_patch_size", 1, 16, 2, &temporal},
        {"in_channels", 1, 16, 3, &channels},
    };
    pio_status status = pio_numbers_read(in, numbers, PIO_COUNT(numbers), error);
    int64_t taps[PIO_VIT_MAX_TAPS];
    size_t n_taps = 0;
    if (!status)
        status = pio_json_get_ints(in, "deepstack_visual_indexes", 0, v->n_layers - 1, taps, PIO_COUNT(taps), &n_taps,
                                   error);
    if (status) return status;
    v->patch_values = channels * temporal * patch * patch;
    v->n_taps = (int32_t)n_taps;
    for (size_t i = 0; i < n_taps; i++) {
        v->taps[i] = (int32_t)taps[i];
        for (size_t k = 0; k < i; k++)
            if (taps[k] == taps[i])
                return pio_fail(error, PIO_CORRUPT, "'%s': %sdeepstack_visual_indexes names layer %d twice", in->file,
                                in->prefix, v->taps[i]);
    }
    return check_vision(in, c, error);
}

/* The ids that stand for pictures in a prompt, and what the engine has to know of the tower. */
static pio_status read_eyes(const pio_json_object *root, pio_qwen3_vl_config *c, pio_error *error) {
    pio_model_eyes *eyes = &c->text.common.eyes;
    const int64_t last = c->text.common.vocab_size - 1;
    const pio_number numbers[] = {
        {"image_token_id", 0, last, PIO_REQUIRED, &eyes->image_token},
        {"video_token_id", 0, last, PIO_REQUIRED, &eyes->video_token},
        {"vision_start_token_id", 0, last, -1, &eyes->start_token},
        {"vision_end_token_id", 0, last, -1, &eyes->end_token},
    };
    eyes->merge = c->vision.merge;
    eyes->patch_values = c->vision.patch_values;
    eyes->row_values = (1 + c->vision.n_taps) * c->vision.out_size;
    for (eyes->table_side = 1; eyes->table_side * eyes->table_side < c->vision.table_rows;) eyes->table_side++;
    return pio_numbers_read(root, numbers, PIO_COUNT(numbers), error);
}

pio_status pio_qwen3_vl_read_config(const pio_json_object *root, pio_any_config *out, pio_error *error) {
    pio_qwen3_vl_config *c = (pio_qwen3_vl_config *)out;
    pio_json_object text, vision;
    pio_status status = pio_json_get_object(root, "text_config", &text, error);
    if (!status) status = pio_json_get_object(root, "vision_config", &vision, error);
    if (!status && (!text.json || !vision.json))
        status = pio_fail(error, PIO_CORRUPT, "'%s': %s is missing", root->file,
                          text.json ? "vision_config" : "text_config");
    if (!status) status = pio_qwen3_read_config(&text, out, error);
    if (!status) status = pio_json_get_bool_or(root, "tie_word_embeddings", false, &c->text.common.tied, error);
    if (!status) status = read_mrope(&text, c->text.attention.head_dim, c->mrope_section, error);
    if (!status) status = read_vision(&vision, c, error);
    return status ? status : read_eyes(root, c, error);
}
