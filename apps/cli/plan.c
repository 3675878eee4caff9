/* plan: the memory that a model will need and the kernel of every op, without reading weights. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"
#include "base/bytes.h"
#include "engine/cost.h"

/* A kernel and how often a step runs it. */
typedef struct use {
    const pio_row *row;
    int count;
} use;

enum { MAX_USES = 64 };

static int count_uses(const pio_plan *plan, use uses[MAX_USES]) {
    int n = 0;
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        int j = 0;
        while (j < n && uses[j].row != plan->nodes[i].row) j++;
        if (j == MAX_USES) continue;
        if (j == n) uses[n++] = (use){plan->nodes[i].row, 0};
        uses[j].count++;
    }
    return n;
}

static json_t *kernels_of(const pio_plan *plan) {
    use uses[MAX_USES];
    int n = count_uses(plan, uses);
    json_t *array = json_array();
    char name[PIO_ROW_NAME_BYTES];
    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_pack("{s:s, s:s, s:i}", "op", pio_op_get(uses[i].row->op)->name, "kernel",
                                               pio_row_name(uses[i].row, name), "count", uses[i].count));
    return array;
}

/* Dispatches and barriers are counted as they will be recorded: a kernel may need several of both. */
static pio_status add_step(json_t *array, const char *name, const pio_bucket *bucket, pio_error *error) {
    pio_schedule schedule;
    pio_status status = pio_schedule_imagine(&bucket->plan, &schedule, error);
    if (status) return status;
    json_t *step =
        json_pack("{s:s, s:i, s:i, s:i, s:o}", "step", name, "rows", bucket->bound, "dispatches", schedule.n_dispatches,
                  "barriers", schedule.n_barriers, "kernels", kernels_of(&bucket->plan));
    pio_schedule_free(&schedule);
    return json_array_append_new(array, step) ? pio_fail(error, PIO_OUT_OF_MEMORY, "no memory for the plan") : PIO_OK;
}

static pio_status steps_of(const pio_model *model, json_t **out, pio_error *error) {
    const struct {
        const char *name;
        const pio_bucket *bucket;
    } steps[] = {{"decode", &model->body.items[0]},
                 {"prefill", &model->body.items[model->body.n - 1]},
                 {"head", &model->head.items[0]},
                 {"vision", model->vision.n ? &model->vision.items[model->vision.n - 1] : NULL}};
    pio_status status = PIO_OK;
    *out = json_array();
    for (size_t i = 0; i < PIO_COUNT(steps) && steps[i].bucket && !status; i++)
        status = add_step(*out, steps[i].name, steps[i].bucket, error);
    return status;
}

/* What the device must read for one token of one sequence: weights, the experts that it chooses among them, and for
 * each token before it keys and values. */
typedef struct traffic {
    uint64_t weights, cache_per_token;
} traffic;

static traffic decode_reads(const pio_model *model) {
    const int32_t page = model->spec.page_tokens;
    const uint64_t weights = pio_step_cost(model, 1, 1, 0, 1).bytes;
    return (traffic){weights, (pio_step_cost(model, 1, 1, page, 1).bytes - weights) / (uint64_t)page};
}

/* {"fits", "available"}, and why not. */
static json_t *room_of(const pio_model *model, const pio_error *why_not) {
    json_t *room =
        json_pack("{s:b, s:I}", "fits", !why_not->status, "available_bytes", (json_int_t)model->memory_plan.available);
    if (why_not->status) json_object_set_new(room, "why_not", json_string(why_not->text));
    return room;
}

static void print_room(const pio_model *model, const pio_error *why_not) {
    char text[PIO_BYTES_TEXT];
    if (why_not->status)
        printf("fits       no: %s\n", why_not->text);
    else
        printf("fits       yes: %s are %s\n", pio_bytes_text(model->memory_plan.available, text),
               model->options.memory_limit_bytes == model->memory_plan.available ? "allowed (memory_limit)" : "free");
}

/* Memory per heap, for devices that say what they have: the same look at it that tells whether the model fits. */
static json_t *heaps_of(const pio_model *model) {
    const pio_device_caps *caps = &model->chosen.caps;
    const pio_memory_plan *m = &model->memory_plan;
    json_t *array = json_array();
    for (int i = 0; i < caps->n_heaps && i < m->budget.n_heaps; i++)
        json_array_append_new(array,
                              json_pack("{s:I, s:I, s:I, s:b}", "planned_bytes", (json_int_t)pio_memory_in_heap(m, i),
                                        "free_bytes", (json_int_t)m->budget.heaps[i].bytes, "bytes",
                                        (json_int_t)caps->heaps[i].bytes, "local", caps->heaps[i].local));
    return array;
}

static uint64_t bytes_in(const json_t *object, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void print_heaps(const pio_model *model) {
    char planned[PIO_BYTES_TEXT], left[PIO_BYTES_TEXT], all[PIO_BYTES_TEXT];
    json_t *heaps = heaps_of(model), *heap;
    size_t i;
    json_array_foreach(heaps, i, heap)
        printf("%-10s %s planned, %s free of %s %s\n", i ? "" : "heaps",
               pio_bytes_text(bytes_in(heap, "planned_bytes"), planned),
               pio_bytes_text(bytes_in(heap, "free_bytes"), left), pio_bytes_text(bytes_in(heap, "bytes"), all),
               json_is_true(json_object_get(heap, "local")) ? "of its own" : "of the host");
    json_decref(heaps);
}

static json_t *as_json(const pio_model *model, const pio_config *config, json_t *steps, const pio_error *why_not) {
    const pio_memory_plan *m = &model->memory_plan;
    const pio_chosen_device *chosen = &model->chosen;
    json_t *memory = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "weights", (json_int_t)m->weights, "kv_cache",
                               (json_int_t)m->cache, "workspace", (json_int_t)m->workspace, "states",
                               (json_int_t)m->states, "vision", (json_int_t)m->vision, "total", (json_int_t)m->total);
    const traffic decode = decode_reads(model);
    json_t *reads = json_pack("{s:I, s:I}", "weights", (json_int_t)decode.weights, "kv_cache_per_token",
                              (json_int_t)decode.cache_per_token);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:I, s:o, s:O, s:o}", "model", model->directory,
                             "family", model->family->product, "backend", pio_backend_name(chosen->caps.backend),
                             "device", chosen->caps.name, "weights", pio_dtype_name(model->options.weights), "context",
                             model->options.context, "page_tokens", model->spec.page_tokens, "memory_bytes", memory,
                             "staging_bytes", (json_int_t)m->staging, "decode_reads_bytes", reads, "steps", steps,
                             "settings", pio_config_show(config, model));
    json_t *room = room_of(model, why_not);
    if (chosen->caps.n_heaps) json_object_set_new(json, "heaps", heaps_of(model));
    json_object_update(json, room);
    json_decref(room);
    return json;
}

static void print_value(const json_t *value) {
    if (json_is_null(value))
        printf("-");
    else if (json_is_boolean(value))
        printf(json_is_true(value) ? "on" : "off");
    else if (json_is_real(value))
        printf("%g", json_real_value(value));
    else if (json_is_string(value))
        printf("%s", json_string_value(value));
    else
        json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void print_settings(const pio_model *model, const pio_config *config) {
    json_t *settings = pio_config_show(config, model), *setting;
    const char *name;
    puts("settings");
    json_object_foreach(settings, name, setting) {
        printf("           %-20s ", name);
        print_value(json_object_get(setting, "value"));
        printf(" (%s)\n", json_string_value(json_object_get(setting, "from")));
    }
    json_decref(settings);
}

static void print_text(const pio_model *model, const pio_config *config, json_t *steps, const pio_error *why_not) {
    const pio_memory_plan *m = &model->memory_plan;
    printf("model      %s (%s), %d layers\n", model->directory, model->family->product, model->config.common.n_layers);
    printf("context    %d tokens in pages of %d\n", model->options.context, model->spec.page_tokens);
    printf("memory     weights %.1f MB (%s), KV cache %.1f MB, workspace %.1f MB, states %.1f MB",
           (double)m->weights / 1e6, pio_dtype_name(model->options.weights), (double)m->cache / 1e6,
           (double)m->workspace / 1e6, (double)m->states / 1e6);
    if (m->vision) printf(", a picture %.1f MB", (double)m->vision / 1e6);
    printf(": %.1f MB in all\n", (double)m->total / 1e6);
    if (m->staging) printf("staging    %.1f MB of the host's memory while loading\n", (double)m->staging / 1e6);
    print_room(model, why_not);
    print_heaps(model);
    const traffic decode = decode_reads(model);
    printf("a token    reads %.1f MB of weights, and %.1f kB of the KV cache for each token before it\n",
           (double)decode.weights / 1e6, (double)decode.cache_per_token / 1e3);
    json_t *step, *kernel;
    size_t i, j;
    json_array_foreach(steps, i, step) {
        printf("%-10s %lld rows, %lld dispatches, %lld barriers\n", json_string_value(json_object_get(step, "step")),
               json_integer_value(json_object_get(step, "rows")),
               json_integer_value(json_object_get(step, "dispatches")),
               json_integer_value(json_object_get(step, "barriers")));
        json_array_foreach(json_object_get(step, "kernels"), j, kernel) {
            printf("           %4lld x %s\n", json_integer_value(json_object_get(kernel, "count")),
                   json_string_value(json_object_get(kernel, "kernel")));
        }
    }
    print_settings(model, config);
}

/* A list of texts, one a graph. */
static json_t *graphs_of(const pio_model *model) {
    json_t *array = json_array();
    for (int32_t g = 0; g < model->spec.n_graphs; g++) {
        size_t bytes = pio_graph_dump(&model->spec, &model->spec.graphs[g], NULL, 0) + 1;
        char *text = malloc(bytes);
        if (!text) break;
        pio_graph_dump(&model->spec, &model->spec.graphs[g], text, bytes);
        json_array_append_new(array, json_string(text));
        free(text);
    }
    return array;
}

static void print_graphs(const pio_model *model) {
    json_t *graphs = graphs_of(model), *text;
    size_t i;
    json_array_foreach(graphs, i, text) fputs(json_string_value(text), stdout);
    json_decref(graphs);
}

int cli_plan(const cli_options *options) {
    pio_error error = {0}, why_not = {0};
    pio_model *model = NULL;
    pio_config config = {0};
    json_t *steps = NULL;
    int code = EXIT_DONE;
    pio_status status = cli_open_model(options, true, &model, &error);
    if (!status) status = pio_config_copy(&options->config, &config, &error);
    if (!status) status = pio_config_read_checkpoint(&config, model->directory, &error);
    if (!status) status = steps_of(model, &steps, &error);
    if (!status) why_not.status = pio_model_check_memory(model, &why_not);
    if (status) {
        code = cli_refuse(&error);
    } else if (options->json) {
        json_t *json = as_json(model, &config, steps, &why_not);
        if (options->graph && json) json_object_set_new(json, "graphs", graphs_of(model));
        code = cli_print_json(json);
    } else {
        print_text(model, &config, steps, &why_not);
        if (options->graph) print_graphs(model);
    }
    json_decref(steps);
    pio_config_free(&config);
    pio_model_close(model);
    return code;
}
