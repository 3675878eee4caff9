/* What Qwen3-VL's config.json means: the traps that its golden numbers cannot show. */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "models/qwen3_vl_2b/qwen3_vl.h"

static const char *const published = PIO_TEST_DATA "/models/qwen3_vl_2b/config.json";

static void read_file(pio_any_config *config) {
    pio_json *json;
    pio_error error;
    if (pio_json_load(published, 1 << 20, &json, &error)) fail_msg("%s", error.text);
    const pio_json_object root = pio_json_root(json);
    if (pio_qwen3_vl_read_config(&root, config, &error)) fail_msg("%s", error.text);
    pio_json_free(json);
}

static void read_text(const char *tied, const char *text_tied, pio_any_config *config) {
    char text[2048];
    pio_json *json;
    pio_error error;
    snprintf(
        text, sizeof text,
        "{\"model_type\": \"qwen3_vl\", \"image_token_id\": 5, \"video_token_id\": 6 %s, \"text_config\": {"
        "\"vocab_size\": 64, \"hidden_size\": 64, \"num_hidden_layers\": 2, \"num_attention_heads\": 1, "
        "\"intermediate_size\": 32, \"max_position_embeddings\": 128 %s}, \"vision_config\": {\"hidden_size\": 16, "
        "\"num_heads\": 1, \"depth\": 1, \"intermediate_size\": 16, \"out_hidden_size\": 64, "
        "\"num_position_embeddings\": 16}}",
        tied, text_tied);
    if (pio_json_parse("config.json", text, strlen(text), &json, &error)) fail_msg("%s", error.text);
    const pio_json_object root = pio_json_root(json);
    if (pio_qwen3_vl_read_config(&root, config, &error)) fail_msg("%s", error.text);
    pio_json_free(json);
}

static void the_outer_key_says_whether_the_output_is_tied(void **state) {
    (void)state;
    static const struct {
        const char *outer, *inner;
        bool tied;
    } cases[] = {{", \"tie_word_embeddings\": true", ", \"tie_word_embeddings\": false", true},
                 {", \"tie_word_embeddings\": false", ", \"tie_word_embeddings\": true", false},
                 {"", ", \"tie_word_embeddings\": true", false},
                 {", \"tie_word_embeddings\": true", "", true}};
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_any_config config;
        read_text(cases[i].outer, cases[i].inner, &config);
        assert_int_equal(config.common.tied, cases[i].tied);
    }
}

static void missing_keys_have_the_families_values(void **state) {
    (void)state;
    pio_any_config any;
    const pio_qwen3_vl_config *c = (const pio_qwen3_vl_config *)&any;
    read_text("", "", &any);
    assert_int_equal(c->text.attention.head_dim, 128); /* not hidden_size / heads, 64 */
    assert_int_equal(c->mrope_section[0], 24);
    assert_int_equal(c->mrope_section[1], 20);
    assert_int_equal(c->mrope_section[2], 20);
    assert_int_equal(c->vision.merge, 2);
    assert_int_equal(c->vision.patch_values, 1536);
    assert_int_equal(c->vision.n_taps, 0);
}

static void the_published_shapes_are_read(void **state) {
    (void)state;
    pio_any_config any;
    const pio_qwen3_vl_config *c = (const pio_qwen3_vl_config *)&any;
    read_file(&any);
    assert_true(any.common.tied);
    assert_int_equal(any.common.eyes.image_token, 151655);
    assert_int_equal(any.common.eyes.video_token, 151656);
    assert_int_equal(any.common.eyes.table_side, 48);
    assert_int_equal(any.common.eyes.row_values, 4 * 2048);
    assert_int_equal(c->vision.hidden_size / c->vision.n_heads, 64);
    assert_int_equal(c->vision.taps[0], 5);
    assert_int_equal(c->vision.taps[2], 17);
    assert_true(c->text.common.rope_theta == 5e6);
}

/* (THW) x 20, then TTTT: the sections of height and width end before the frequencies do. */
static void frequencies_take_turns_and_end_in_time(void **state) {
    (void)state;
    pio_spec spec = {.page_tokens = 64};
    const int32_t axes = pio_mrope_axes(&spec, (const int32_t[]){24, 20, 20}, 128);
    assert_in_range(axes, 0, spec.n_weights - 1);
    for (int i = 0; i < 64; i++) assert_int_equal((int)spec.weights[axes].values[i], i < 60 ? i % 3 : 0);
    const int32_t uneven = pio_mrope_axes(&spec, (const int32_t[]){10, 4, 2}, 32);
    for (int i = 0; i < 16; i++) {
        const int wanted = i % 3 == 1 && i < 12 ? 1 : i % 3 == 2 && i < 6 ? 2 : 0;
        assert_int_equal((int)spec.weights[uneven].values[i], wanted);
    }
    pio_spec_free(&spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_outer_key_says_whether_the_output_is_tied),
        cmocka_unit_test(missing_keys_have_the_families_values),
        cmocka_unit_test(the_published_shapes_are_read),
        cmocka_unit_test(frequencies_take_turns_and_end_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
