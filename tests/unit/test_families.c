/* What config.json means to each family: the traps that golden numbers do not show, because their checkpoints set the
 * key, or because the difference is too small. Qwen3-VL's are in test_qwen3_vl.c. */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "kernels/moe/moe.h"
#include "models/glm_4_7_flash/glm.h"
#include "models/qwen3_4b_instruct_2507/qwen3.h"
#include "models/qwen3_coder_30b/qwen3_moe.h"

#define COMMON                                                                                                         \
    "\"vocab_size\": 64, \"hidden_size\": 64, \"num_hidden_layers\": 3, \"num_attention_heads\": 4, "                  \
    "\"intermediate_size\": 32, \"max_position_embeddings\": 128"
#define EXPERTS ", \"num_experts\": 8, \"num_experts_per_tok\": 2, \"moe_intermediate_size\": 16"
#define LATENT                                                                                                         \
    ", \"q_lora_rank\": 24, \"kv_lora_rank\": 32, \"qk_rope_head_dim\": 8, \"qk_nope_head_dim\": 16, \"v_head_dim\": " \
    "16"

typedef pio_status (*read_function)(const pio_json_object *, pio_any_config *, pio_error *);

static void read_config(read_function read, const char *keys, const char *more, pio_any_config *config) {
    char text[2048];
    pio_json *json;
    pio_error error;
    snprintf(text, sizeof text, "{%s%s}", keys, more);
    if (pio_json_parse("config.json", text, strlen(text), &json, &error)) fail_msg("%s", error.text);
    const pio_json_object root = pio_json_root(json);
    if (read(&root, config, &error)) fail_msg("%s", error.text);
    pio_json_free(json);
}

static void missing_keys_of_qwen3(void **state) {
    (void)state;
    pio_any_config any;
    const pio_qwen3_config *c = (const pio_qwen3_config *)&any;
    read_config(pio_qwen3_read_config, COMMON, "", &any);
    assert_int_equal(c->attention.head_dim, 128); /* not hidden_size / heads */
    assert_int_equal(c->attention.n_kv_heads, 4); /* as many as heads */
    assert_true(any.common.rope_theta == 10000);
    assert_true(any.common.eps == 1e-6f);
    assert_false(any.common.tied);
}

static void the_base_of_frequencies_has_an_order(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        double theta;
    } cases[] = {
        {", \"rope_theta\": 5e5", 5e5},
        {", \"rope_theta\": 5e5, \"rope_scaling\": {\"type\": \"default\", \"rope_theta\": 2e5}", 2e5},
        {", \"rope_theta\": 5e5, \"rope_scaling\": {\"rope_theta\": 2e5}, \"rope_parameters\": {\"rope_type\": "
         "\"default\", \"rope_theta\": 1e6}",
         1e6},
        {", \"rope_theta\": 5e5, \"rope_parameters\": {\"rope_type\": \"default\"}", 5e5}};
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_any_config any;
        read_config(pio_qwen3_read_config, COMMON, cases[i].keys, &any);
        assert_true(any.common.rope_theta == cases[i].theta);
    }
}

static void missing_keys_of_qwen3_moe(void **state) {
    (void)state;
    pio_any_config any;
    const pio_qwen3_moe_config *c = (const pio_qwen3_moe_config *)&any;
    read_config(pio_qwen3_moe_read_config, COMMON EXPERTS, "", &any);
    assert_int_equal(c->base.attention.head_dim, 16); /* hidden_size / heads, not 128 */
    assert_int_equal(c->moe.flags, 0);                /* a softmax, whose shares are not brought to a sum of 1 */
    assert_true(c->moe.scale == 1);
    for (int layer = 0; layer < 3; layer++) assert_false(pio_layer_set_has(&c->dense, layer));
    read_config(pio_qwen3_moe_read_config, COMMON EXPERTS, ", \"norm_topk_prob\": true, \"decoder_sparse_step\": 2",
                &any);
    assert_int_equal(c->moe.flags, PIO_ROUTE_NORMALISE);
    for (int layer = 0; layer < 3; layer++) assert_int_equal(pio_layer_set_has(&c->dense, layer), layer != 1);
}

static void missing_keys_of_glm(void **state) {
    (void)state;
    pio_any_config any;
    const pio_glm_config *c = (const pio_glm_config *)&any;
    read_config(pio_glm_read_config, COMMON EXPERTS LATENT, "", &any);
    assert_int_equal(c->moe.flags, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE);
    assert_true(c->moe.bias);
    assert_true(c->moe.scale == 1.8f);
    assert_true(c->moe.eps == 1e-20f);
    assert_int_equal(c->moe.n_groups, 1);
    assert_int_equal(c->moe.n_shared, 1);
    assert_true(c->attention.interleaved);
    for (int layer = 0; layer < 3; layer++) assert_int_equal(pio_layer_set_has(&c->dense, layer), layer == 0);
    read_config(pio_glm_read_config, COMMON EXPERTS LATENT,
                ", \"first_k_dense_replace\": 2, \"n_shared_experts\": 2, \"rope_interleave\": false", &any);
    for (int layer = 0; layer < 3; layer++) assert_int_equal(pio_layer_set_has(&c->dense, layer), layer < 2);
    assert_int_equal(c->moe.n_shared, 2);
    assert_false(c->attention.interleaved);
}

/* The norms of what is compressed have an epsilon of their own. */
static void inner_norms_of_glm(void **state) {
    (void)state;
    pio_any_config any;
    pio_spec spec = {.page_tokens = 64};
    int n_inner = 0, n_outer = 0;
    read_config(pio_glm_read_config, COMMON EXPERTS LATENT, ", \"rms_norm_eps\": 0.25", &any);
    pio_glm_build(&any, &spec);
    assert_int_equal(spec.error.status, PIO_OK);
    const pio_graph *body = pio_spec_graph(&spec, "body");
    for (int32_t i = 0; i < body->n_nodes; i++) {
        const pio_node *node = &body->nodes[i];
        if (node->op != PIO_OP_RMSNORM && node->op != PIO_OP_LATENT_APPEND) continue;
        n_inner += node->attrs.eps == 1e-6f;
        n_outer += node->attrs.eps == 0.25f;
    }
    assert_int_equal(n_inner, 3 * 2); /* of the compressed queries and of the latent */
    assert_int_equal(n_outer, 3 * 2); /* before attention and before the feed-forward */
    pio_spec_free(&spec);
}

/* A checkpoint has nothing else that no graph names. */
static void only_these_tensors_are_left_alone(void **state) {
    (void)state;
    static const struct {
        const char *tensor;
        bool tied, extra;
    } cases[] = {
        {"lm_head.weight", true, true},
        {"lm_head.weight", false, false},
        {"lm_head.bias", true, false},
        {"model.layers.3.eh_proj.weight", false, true},
        {"model.layers.3.mlp.experts.0.up_proj.weight", true, true},
        {"model.layers.30.mlp.up_proj.weight", false, false},
        {"model.layers.2.self_attn.q_proj.bias", false, false},
        {"model.layers.4.mlp.up_proj.weight", false, false},
        {"model.norm.bias", false, false},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_any_config any;
        read_config(pio_qwen3_read_config, COMMON, cases[i].tied ? ", \"tie_word_embeddings\": true" : "", &any);
        assert_int_equal(pio_model_is_extra(&any, cases[i].tensor), cases[i].extra);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_of_qwen3),     cmocka_unit_test(the_base_of_frequencies_has_an_order),
        cmocka_unit_test(missing_keys_of_qwen3_moe), cmocka_unit_test(missing_keys_of_glm),
        cmocka_unit_test(inner_norms_of_glm),        cmocka_unit_test(only_these_tensors_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
