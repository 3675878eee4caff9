/* The passes over graphs, on a small Qwen3 and the CPU's portable rows: fusion, layouts, planning. Barriers are in
 * test_schedule.c. No kernel runs. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"
#include "kernels/kv_cache/kv_cache.h"
#include "models/model.h"

enum { N_LAYERS = 3 };

static const char config_text[] =
    "{\"model_type\": \"qwen3\", \"vocab_size\": 512, \"hidden_size\": 128, \"intermediate_size\": 384, "
    "\"num_hidden_layers\": 3,"
    " \"num_attention_heads\": 8, \"num_key_value_heads\": 2, \"head_dim\": 32, \"max_position_embeddings\": 4096,"
    " \"tie_word_embeddings\": true, \"rope_theta\": 1000000}";

static const char experts_text[] =
    "{\"model_type\": \"qwen3_moe\", \"vocab_size\": 512, \"hidden_size\": 128, \"intermediate_size\": 384, "
    "\"num_hidden_layers\": 3,"
    " \"num_attention_heads\": 8, \"num_key_value_heads\": 2, \"head_dim\": 32, \"max_position_embeddings\": 4096,"
    " \"num_experts\": 16, \"num_experts_per_tok\": 4, \"moe_intermediate_size\": 64, \"rope_theta\": 1000000}";

static pio_selector selector_of(bool portable) {
    return (pio_selector){.backend = PIO_BACKEND_CPU, .portable = portable, .n_workers = 2};
}

static bool has_rows_of(pio_backend backend) {
    int n;
    const pio_row *const *rows = pio_rows(&n);
    for (int i = 0; i < n; i++)
        if (rows[i]->backend == backend) return true;
    return false;
}

static void build_from(pio_spec *spec, const char *text) {
    pio_error error;
    pio_json *json;
    pio_any_config config;
    const pio_model_family *family;
    assert_int_equal(pio_json_parse("config.json", text, strlen(text), &json, &error), PIO_OK);
    pio_json_object root = pio_json_root(json);
    assert_int_equal(pio_model_family_find(&root, &family, &error), PIO_OK);
    assert_int_equal(family->read_config(&root, &config, &error), PIO_OK);
    memset(spec, 0, sizeof *spec);
    spec->page_tokens = PIO_KV_PAGE_TOKENS;
    family->build(&config, spec);
    pio_json_free(json);
    assert_int_equal(pio_verify(spec, &error), PIO_OK);
    pio_spec_set_dtypes(spec, PIO_DTYPE_BF16, PIO_DTYPE_BF16);
}

static void build(pio_spec *spec) {
    build_from(spec, config_text);
}

static int count_op(const pio_graph *graph, pio_op op) {
    int n = 0;
    for (int32_t i = 0; i < graph->n_nodes; i++) n += graph->nodes[i].op == op;
    return n;
}

static void fusion_leaves_fused_layers_only(void **state) {
    (void)state;
    pio_spec spec;
    pio_error error;
    build(&spec);
    const pio_selector selector = selector_of(true);
    const pio_graph *body = pio_spec_graph(&spec, "body");
    assert_int_equal(count_op(body, PIO_OP_LINEAR), 4 * N_LAYERS);
    assert_int_equal(pio_fuse(&spec, &selector, &error), PIO_OK);
    assert_int_equal(pio_verify(&spec, &error), PIO_OK);
    assert_int_equal(count_op(body, PIO_OP_LINEAR), N_LAYERS); /* qkv */
    assert_int_equal(count_op(body, PIO_OP_LINEAR_ADD), 2 * N_LAYERS);
    assert_int_equal(count_op(body, PIO_OP_LINEAR_SWIGLU), N_LAYERS);
    assert_int_equal(count_op(body, PIO_OP_QK_NORM_ROPE_APPEND), N_LAYERS);
    assert_int_equal(count_op(body, PIO_OP_ROPE) + count_op(body, PIO_OP_KV_APPEND) + count_op(body, PIO_OP_ADD), 0);
    assert_int_equal(body->n_nodes, 2 + 8 * N_LAYERS);
    pio_spec_free(&spec);
}

/* What each plan fuses for itself: with Vulkan's rows, a few tokens' norms go into the products behind them, and a
 * router is one launch; many tokens are normed once. */
static void norms_go_into_products_of_few_tokens(void **state) {
    (void)state;
    const pio_selector selector = {.backend = PIO_BACKEND_VULKAN, .n_workers = 100};
    static const struct {
        int32_t tokens, norms, routers;
    } plans[] = {{1, 0, N_LAYERS}, {8, 0, N_LAYERS}, {9, 2 * N_LAYERS, 0}, {512, 2 * N_LAYERS, 0}};
    pio_spec spec;
    pio_error error;
    if (!has_rows_of(PIO_BACKEND_VULKAN)) skip();
    build_from(&spec, experts_text);
    assert_int_equal(pio_fuse(&spec, &selector, &error), PIO_OK);
    assert_int_equal(pio_choose_layouts(&spec, &selector, &error), PIO_OK);
    for (size_t i = 0; i < PIO_COUNT(plans); i++) {
        pio_plan plan;
        const pio_bounds bounds = pio_step_bounds(&spec, plans[i].tokens, 1, 0);
        const pio_graph *body = pio_spec_graph(&spec, "body");
        assert_int_equal(pio_plan_make(&spec, body, &selector, &bounds, false, &plan, &error), PIO_OK);
        int norms = 0, routers = 0, routes = 0;
        for (int32_t n = 0; n < plan.n_nodes; n++) {
            norms += plan.nodes[n].op == PIO_OP_RMSNORM;
            routers += plan.nodes[n].op == PIO_OP_ROUTER;
            routes += plan.nodes[n].op == PIO_OP_ROUTE;
        }
        assert_int_equal(norms, plans[i].norms);
        assert_int_equal(routers, plans[i].routers);
        assert_int_equal(routes, N_LAYERS - plans[i].routers);
        assert_int_equal(count_op(body, PIO_OP_RMSNORM), 2 * N_LAYERS); /* the graph keeps them */
        pio_plan_free(&plan);
    }
    pio_spec_free(&spec);
}

static void without_rows_the_nodes_stay(void **state) {
    (void)state;
    pio_spec spec;
    pio_error error;
    build(&spec);
    pio_selector selector = selector_of(true);
    selector.backend = PIO_BACKEND_HIP; /* has no rows */
    const int32_t before = pio_spec_graph(&spec, "body")->n_nodes;
    assert_int_equal(pio_fuse(&spec, &selector, &error), PIO_OK);
    assert_int_equal(pio_spec_graph(&spec, "body")->n_nodes, before);
    assert_int_equal(pio_choose_layouts(&spec, &selector, &error), PIO_UNSUPPORTED);
    assert_non_null(strstr(error.text, "hip"));
    pio_spec_free(&spec);
}

static void a_broken_graph_is_named(void **state) {
    (void)state;
    pio_spec spec;
    pio_error error;
    build(&spec);
    pio_graph *body = &spec.graphs[0];
    pio_node first = body->nodes[0];
    memmove(body->nodes, body->nodes + 1, sizeof first * (size_t)--body->n_nodes);
    assert_int_equal(pio_verify(&spec, &error), PIO_INTERNAL);
    assert_non_null(strstr(error.text, "no earlier node wrote"));
    pio_spec_free(&spec);
}

static void plan_all(pio_spec *spec, bool portable, const char *graph, int32_t bound, bool keep_taps, pio_plan *plan) {
    pio_error error;
    const pio_selector selector = selector_of(portable);
    build(spec);
    assert_int_equal(pio_fuse(spec, &selector, &error), PIO_OK);
    assert_int_equal(pio_choose_layouts(spec, &selector, &error), PIO_OK);
    const pio_bounds bounds = {{[PIO_TOKENS] = bound, [PIO_OUTS] = PIO_MIN(bound, 16)}};
    assert_int_equal(pio_plan_make(spec, pio_spec_graph(spec, graph), &selector, &bounds, keep_taps, plan, &error),
                     PIO_OK);
}

static void what_lives_together_lies_apart(void **state) {
    (void)state;
    for (int keep_taps = 0; keep_taps < 2; keep_taps++) {
        pio_spec spec;
        pio_plan plan;
        plan_all(&spec, true, "body", 17, keep_taps, &plan);
        int32_t n_taps = 0;
        for (pio_tensor a = 0; a < plan.n_placed; a++) {
            const pio_placed *x = &plan.placed[a];
            if (x->info.place != PIO_PLACE_ARENA || x->root != a || x->last < 0) continue;
            assert_true(x->offset + x->bytes <= plan.arena_bytes);
            for (pio_tensor b = 0; b < a; b++) {
                const pio_placed *y = &plan.placed[b];
                if (y->info.place != PIO_PLACE_ARENA || y->root != b || y->last < 0) continue;
                bool together = x->first <= y->last && y->first <= x->last;
                bool apart = x->offset + x->bytes <= y->offset || y->offset + y->bytes <= x->offset;
                assert_true(!together || apart);
            }
            if (keep_taps && x->info.tap) assert_int_equal(x->last, plan.n_nodes);
        }
        for (pio_tensor t = 0; t < plan.graph->n_tensors && keep_taps; t++) {
            if (!plan.placed[t].info.tap) continue;
            assert_int_equal(plan.placed[t].root, t);
            n_taps++;
        }
        assert_int_equal(n_taps, keep_taps ? N_LAYERS : 0);
        pio_plan_free(&plan);
        pio_spec_free(&spec);
    }
}

static void a_dump_names_every_node(void **state) {
    (void)state;
    pio_spec spec;
    build(&spec);
    const pio_graph *body = pio_spec_graph(&spec, "body");
    char text[1 << 16], small[10];
    size_t bytes = pio_graph_dump(&spec, body, text, sizeof text);
    assert_true(bytes < sizeof text && strlen(text) == bytes);
    assert_non_null(strstr(text, "layer 2 kv_append"));
    assert_int_equal(pio_graph_dump(&spec, body, small, sizeof small), bytes);
    assert_int_equal(pio_graph_dump(&spec, body, NULL, 0), bytes);
    pio_spec_free(&spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fusion_leaves_fused_layers_only), cmocka_unit_test(norms_go_into_products_of_few_tokens),
        cmocka_unit_test(without_rows_the_nodes_stay),     cmocka_unit_test(a_broken_graph_is_named),
        cmocka_unit_test(what_lives_together_lies_apart),  cmocka_unit_test(a_dump_names_every_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
