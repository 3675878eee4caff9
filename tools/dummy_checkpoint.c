/* Writes a full-size checkpoint of random weights in Hugging Face form, for measuring without a download:
 *
 *   dummy_checkpoint [--seed N] [--shard-bytes N] CONFIG_DIR OUT
 *
 * CONFIG_DIR has a config.json; it and the tokenizer's files, where there are any, are copied to OUT beside the
 * weights. Matrices are Gaussian with variance 1/columns, so that activations keep their size from layer to layer; norm
 * weights are Gaussian around 1. Everything is bf16. A new architecture is a table of tensors and a function that reads
 * its sizes from the config. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dtype.h"
#include "io/json.h"
#include "io/output.h"
#include "io/safetensors_writer.h"

/* ---- what a checkpoint of each architecture holds ---- */

/* Sizes that shapes are made of. */
typedef enum size_name { END, HIDDEN, VOCAB, INTERMEDIATE, Q_ROWS, KV_ROWS, HEAD_DIM, N_SIZES } size_name;

typedef struct model_sizes {
    uint64_t of[N_SIZES];
    int n_layers;
    bool tied;
} model_sizes;

typedef enum repeat { ONCE, PER_LAYER, WHEN_UNTIED } repeat;
typedef enum content { MATRIX, NORM } content;

typedef struct tensor_rule {
    const char *name; /* "%d" stands for the layer */
    repeat repeat;
    content content;
    size_name shape[3];
} tensor_rule;

static const tensor_rule qwen3_tensors[] = {
    {"model.embed_tokens.weight", ONCE, MATRIX, {VOCAB, HIDDEN}},
    {"model.layers.%d.input_layernorm.weight", PER_LAYER, NORM, {HIDDEN}},
    {"model.layers.%d.self_attn.q_proj.weight", PER_LAYER, MATRIX, {Q_ROWS, HIDDEN}},
    {"model.layers.%d.self_attn.k_proj.weight", PER_LAYER, MATRIX, {KV_ROWS, HIDDEN}},
    {"model.layers.%d.self_attn.v_proj.weight", PER_LAYER, MATRIX, {KV_ROWS, HIDDEN}},
    {"model.layers.%d.self_attn.q_norm.weight", PER_LAYER, NORM, {HEAD_DIM}},
    {"model.layers.%d.self_attn.k_norm.weight", PER_LAYER, NORM, {HEAD_DIM}},
    {"model.layers.%d.self_attn.o_proj.weight", PER_LAYER, MATRIX, {HIDDEN, Q_ROWS}},
    {"model.layers.%d.post_attention_layernorm.weight", PER_LAYER, NORM, {HIDDEN}},
    {"model.layers.%d.mlp.gate_proj.weight", PER_LAYER, MATRIX, {INTERMEDIATE, HIDDEN}},
    {"model.layers.%d.mlp.up_proj.weight", PER_LAYER, MATRIX, {INTERMEDIATE, HIDDEN}},
    {"model.layers.%d.mlp.down_proj.weight", PER_LAYER, MATRIX, {HIDDEN, INTERMEDIATE}},
    {"model.norm.weight", ONCE, NORM, {HIDDEN}},
    {"lm_head.weight", WHEN_UNTIED, MATRIX, {VOCAB, HIDDEN}},
};

static pio_status read_qwen3_sizes(const pio_json_object *config, model_sizes *sizes, pio_error *error) {
    enum { LARGEST = 1 << 24 };
    int64_t hidden, vocab, intermediate, n_layers, n_heads, n_kv_heads, head_dim;
    pio_status status;
    if ((status = pio_json_get_int(config, "hidden_size", 1, LARGEST, &hidden, error)) != PIO_OK ||
        (status = pio_json_get_int(config, "vocab_size", 1, LARGEST, &vocab, error)) != PIO_OK ||
        (status = pio_json_get_int(config, "intermediate_size", 1, LARGEST, &intermediate, error)) != PIO_OK ||
        (status = pio_json_get_int(config, "num_hidden_layers", 1, 10000, &n_layers, error)) != PIO_OK ||
        (status = pio_json_get_int(config, "num_attention_heads", 1, 10000, &n_heads, error)) != PIO_OK ||
        (status = pio_json_get_int_or(config, "num_key_value_heads", 1, 10000, n_heads, &n_kv_heads, error)) !=
            PIO_OK ||
        (status = pio_json_get_int_or(config, "head_dim", 1, 10000, 128, &head_dim, error)) != PIO_OK ||
        (status = pio_json_get_bool_or(config, "tie_word_embeddings", false, &sizes->tied, error)) != PIO_OK)
        return status;
    sizes->n_layers = (int)n_layers;
    sizes->of[HIDDEN] = (uint64_t)hidden;
    sizes->of[VOCAB] = (uint64_t)vocab;
    sizes->of[INTERMEDIATE] = (uint64_t)intermediate;
    sizes->of[Q_ROWS] = (uint64_t)(n_heads * head_dim);
    sizes->of[KV_ROWS] = (uint64_t)(n_kv_heads * head_dim);
    sizes->of[HEAD_DIM] = (uint64_t)head_dim;
    return PIO_OK;
}

static const struct architecture {
    const char *model_type;
    const tensor_rule *rules;
    size_t n_rules;
    pio_status (*read_sizes)(const pio_json_object *config, model_sizes *sizes, pio_error *error);
} architectures[] = {
    {"qwen3", qwen3_tensors, PIO_COUNT(qwen3_tensors), read_qwen3_sizes},
};

/* ---- the list of tensors ---- */

typedef struct planned_tensor {
    char name[128];
    pio_safetensors_spec spec; /* its name is set when all are planned */
    content content;
    uint64_t bytes;
    size_t shard;
} planned_tensor;

typedef struct checkpoint_plan {
    planned_tensor *tensors;
    size_t n_tensors, n_shards;
    uint64_t bytes;
} checkpoint_plan;

static void add_tensor(checkpoint_plan *plan, const model_sizes *sizes, const tensor_rule *rule, int layer) {
    planned_tensor *tensor = &plan->tensors[plan->n_tensors++];
    const char *mark = strstr(rule->name, "%d");
    if (mark)
        snprintf(tensor->name, sizeof tensor->name, "%.*s%d%s", (int)(mark - rule->name), rule->name, layer, mark + 2);
    else
        snprintf(tensor->name, sizeof tensor->name, "%s", rule->name);
    tensor->content = rule->content;
    tensor->spec = (pio_safetensors_spec){.name = tensor->name, .dtype = PIO_STORED_BF16};
    tensor->bytes = sizeof(uint16_t);
    for (int i = 0; i < 3 && rule->shape[i] != END; i++)
        tensor->bytes *= tensor->spec.dims[tensor->spec.rank++] = sizes->of[rule->shape[i]];
    plan->bytes += tensor->bytes;
}

/* Published order: what comes before the layers, layer by layer, what comes after; then cut into shards. */
static pio_status plan_tensors(const struct architecture *architecture, const model_sizes *sizes, uint64_t shard_bytes,
                               checkpoint_plan *plan, pio_error *error) {
    size_t most = architecture->n_rules * (size_t)sizes->n_layers;
    plan->tensors = calloc(most, sizeof *plan->tensors);
    if (!plan->tensors) return pio_fail_memory(error, "the list of tensors", most * sizeof *plan->tensors);
    const tensor_rule *rule = architecture->rules, *end = rule + architecture->n_rules;
    while (rule < end) {
        const tensor_rule *first = rule;
        if (first->repeat != PER_LAYER) {
            if (first->repeat == ONCE || !sizes->tied) add_tensor(plan, sizes, first, 0);
            rule++;
            continue;
        }
        while (rule < end && rule->repeat == PER_LAYER) rule++;
        for (int layer = 0; layer < sizes->n_layers; layer++) {
            for (const tensor_rule *at = first; at < rule; at++) add_tensor(plan, sizes, at, layer);
        }
    }
    uint64_t filled = 0;
    for (size_t i = 0; i < plan->n_tensors; i++) {
        if (filled > 0 && filled + plan->tensors[i].bytes > shard_bytes) {
            plan->n_shards++;
            filled = 0;
        }
        filled += plan->tensors[i].bytes;
        plan->tensors[i].shard = plan->n_shards;
    }
    plan->n_shards++;
    return PIO_OK;
}

/* ---- random numbers ---- */

enum { N_QUANTILES = 1 << 16, CHUNK_ELEMENTS = 1 << 20 };

/* The quantiles (i + 1/2) / 65536 of the normal distribution, by Newton's method from the middle outwards: there each
 * one starts left of its root on a concave curve, so that the steps never pass it. A table indexed by 16 random bits
 * gives independent Gaussian numbers (up to 4.3 standard deviations) at the cost of a look-up. */
static void fill_quantiles(float *quantiles) {
    double x = 0;
    for (int i = N_QUANTILES / 2; i < N_QUANTILES; i++) {
        double tail = 1.0 - (i + 0.5) / N_QUANTILES;
        for (int step = 0; step < 5; step++) {
            double density = exp(-0.5 * x * x) * 0.3989422804014327; /* 1/sqrt(2 pi) */
            x += (0.5 * erfc(x * 0.7071067811865476) - tail) / density;
        }
        quantiles[i] = (float)x;
        quantiles[N_QUANTILES - 1 - i] = (float)-x;
    }
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

typedef struct generator {
    float quantiles[N_QUANTILES];
    uint16_t scaled[N_QUANTILES]; /* bf16 of mean + deviation * quantile */
    double mean, deviation;       /* of `scaled` */
    uint64_t seed;
    uint16_t chunk[CHUNK_ELEMENTS];
} generator;

static void set_distribution(generator *g, double mean, double deviation) {
    if (g->mean == mean && g->deviation == deviation) return;
    g->mean = mean;
    g->deviation = deviation;
    for (int i = 0; i < N_QUANTILES; i++) g->scaled[i] = pio_f32_to_bf16((float)(mean + deviation * g->quantiles[i]));
}

static pio_status write_tensor(generator *g, pio_safetensors_writer *writer, size_t index_in_shard, size_t index,
                               const planned_tensor *tensor, pio_error *error) {
    if (tensor->content == NORM)
        set_distribution(g, 1.0, 0.1);
    else
        set_distribution(g, 0.0, 1.0 / sqrt((double)tensor->spec.dims[tensor->spec.rank - 1]));
    uint64_t seed = g->seed, start = next_random(&seed) ^ index, state = next_random(&start);
    for (uint64_t at = 0; at < tensor->bytes; at += sizeof g->chunk) {
        uint64_t bytes = PIO_MIN(tensor->bytes - at, sizeof g->chunk);
        for (uint64_t i = 0; i < bytes / sizeof(uint16_t); i += 4) { /* the chunk is a multiple of 4 */
            uint64_t bits = next_random(&state);
            for (int part = 0; part < 4; part++) g->chunk[i + (uint64_t)part] = g->scaled[bits >> 16 * part & 0xffff];
        }
        pio_status status = pio_safetensors_writer_write(writer, index_in_shard, at, g->chunk, bytes, error);
        if (status != PIO_OK) return status;
    }
    return PIO_OK;
}

/* ---- files ---- */

static void shard_name(const checkpoint_plan *plan, size_t shard, char *name, size_t capacity) {
    if (plan->n_shards == 1)
        snprintf(name, capacity, "model.safetensors");
    else
        snprintf(name, capacity, "model-%05zu-of-%05zu.safetensors", shard + 1, plan->n_shards);
}

static char *join(const char *directory, const char *name) {
    size_t capacity = strlen(directory) + strlen(name) + 2;
    char *path = malloc(capacity);
    if (!path) abort();
    snprintf(path, capacity, "%s/%s", directory, name);
    return path;
}

static pio_status write_shard(generator *g, const checkpoint_plan *plan, size_t shard, const char *out, uint64_t *done,
                              pio_error *error) {
    size_t first = 0, n = 0;
    while (plan->tensors[first].shard != shard) first++;
    while (first + n < plan->n_tensors && plan->tensors[first + n].shard == shard) n++;
    pio_safetensors_spec *specs = malloc(n * sizeof *specs);
    if (!specs) return pio_fail_memory(error, "the list of tensors", n * sizeof *specs);
    for (size_t i = 0; i < n; i++) specs[i] = plan->tensors[first + i].spec;

    char name[64];
    shard_name(plan, shard, name, sizeof name);
    char *path = join(out, name);
    const pio_safetensors_pair format = {"format", "pt"};
    pio_safetensors_writer *writer;
    pio_status status = pio_safetensors_writer_create(path, specs, n, &format, 1, &writer, error);
    for (size_t i = 0; i < n && status == PIO_OK; i++) {
        status = write_tensor(g, writer, i, first + i, &plan->tensors[first + i], error);
        *done += plan->tensors[first + i].bytes;
        if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%s %3.0f %%", name, 100.0 * (double)*done / (double)plan->bytes);
    }
    if (status == PIO_OK) status = pio_safetensors_writer_finish(writer, error);
    pio_safetensors_writer_destroy(writer);
    free(path);
    free(specs);
    return status;
}

static pio_status write_bytes(const char *path, const void *data, size_t n_bytes, pio_error *error) {
    pio_output *output;
    pio_status status = pio_output_create(path, n_bytes, PIO_OUTPUT_ANY, &output, error);
    if (status == PIO_OK) status = pio_output_write(output, 0, data, n_bytes, error);
    if (status == PIO_OK) status = pio_output_commit(output, error);
    pio_output_destroy(output);
    return status;
}

static pio_status write_index(const checkpoint_plan *plan, const char *out, pio_error *error) {
    char *text = NULL, *path = join(out, "model.safetensors.index.json");
    size_t n_bytes;
    FILE *to = open_memstream(&text, &n_bytes);
    if (!to) abort();
    fprintf(to, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {\n", plan->bytes);
    for (size_t i = 0; i < plan->n_tensors; i++) {
        char name[64];
        shard_name(plan, plan->tensors[i].shard, name, sizeof name);
        fprintf(to, "    \"%s\": \"%s\"%s\n", plan->tensors[i].name, name, i + 1 < plan->n_tensors ? "," : "");
    }
    fprintf(to, "  }\n}\n");
    pio_status status = fclose(to) == 0 ? write_bytes(path, text, n_bytes, error)
                                        : pio_fail_memory(error, "the index", 128 * plan->n_tensors);
    free(text);
    free(path);
    return status;
}

/* All small files that a checkpoint may have; only config.json must be there. */
static pio_status copy_small_files(const char *from, const char *to, pio_error *error) {
    static const char *const names[] = {
        "config.json",         "generation_config.json",   "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "preprocessor_config.json", "vocab.json",     "merges.txt"};
    for (size_t i = 0; i < PIO_COUNT(names); i++) {
        char *source = join(from, names[i]), *target = join(to, names[i]), *text;
        size_t n_bytes;
        pio_status status = pio_file_read_text(source, 1 << 28, &text, &n_bytes, error);
        if (status == PIO_OK)
            status = write_bytes(target, text, n_bytes, error);
        else if (status == PIO_NOT_FOUND && i > 0)
            status = PIO_OK;
        free(text);
        free(source);
        free(target);
        if (status != PIO_OK) return status;
    }
    return PIO_OK;
}

static pio_status read_config(const char *directory, const struct architecture **architecture, model_sizes *sizes,
                              pio_error *error) {
    char *path = join(directory, "config.json");
    pio_json *json;
    const char *model_type;
    pio_status status = pio_json_load(path, 1 << 24, &json, error);
    free(path);
    if (status != PIO_OK) return status;
    pio_json_object config = pio_json_root(json);
    status = pio_json_get_string(&config, "model_type", &model_type, error);
    if (status == PIO_OK) {
        *architecture = NULL;
        for (size_t i = 0; i < PIO_COUNT(architectures); i++) {
            if (strcmp(architectures[i].model_type, model_type) == 0) *architecture = &architectures[i];
        }
        if (*architecture)
            status = (*architecture)->read_sizes(&config, sizes, error);
        else
            status = pio_fail(error, PIO_UNSUPPORTED, "'%s' has the model_type '%.64s', but the known ones are: qwen3",
                              config.file, model_type);
    }
    pio_json_free(json);
    return status;
}

static pio_status write_checkpoint(const char *from, const char *out, uint64_t seed, uint64_t shard_bytes,
                                   pio_error *error) {
    const struct architecture *architecture;
    model_sizes sizes = {0};
    checkpoint_plan plan = {0};
    uint64_t done = 0;
    pio_status status = read_config(from, &architecture, &sizes, error);
    if (status != PIO_OK) return status;
    if (mkdir(out, 0777) != 0 && access(out, W_OK) != 0)
        return pio_fail(error, PIO_IO, "cannot write into '%s' (%m): name another directory", out);
    struct stat source, target;
    if (stat(from, &source) == 0 && stat(out, &target) == 0 && source.st_dev == target.st_dev &&
        source.st_ino == target.st_ino)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "'%s' is the source itself: name another directory", out);
    generator *g = calloc(1, sizeof *g);
    if (!g) return pio_fail_memory(error, "the generator", sizeof *g);
    fill_quantiles(g->quantiles);
    g->seed = seed;
    char *index_path = join(out, "model.safetensors.index.json");
    unlink(index_path); /* an old one would name other files; the new one comes last, when all it names is there */
    status = plan_tensors(architecture, &sizes, shard_bytes, &plan, error);
    for (size_t shard = 0; shard < plan.n_shards && status == PIO_OK; shard++)
        status = write_shard(g, &plan, shard, out, &done, error);
    if (status == PIO_OK && plan.n_shards > 1) status = write_index(&plan, out, error);
    if (status == PIO_OK) status = copy_small_files(from, out, error);
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
    if (status == PIO_OK)
        fprintf(stderr, "%zu tensors, %" PRIu64 " bytes in %zu files\n", plan.n_tensors, plan.bytes, plan.n_shards);
    free(index_path);
    free(plan.tensors);
    free(g);
    return status;
}

int main(int n_args, char **args) {
    uint64_t seed = 1, shard_bytes = 5000000000u;
    int at = 1;
    for (; at + 1 < n_args && args[at][0] == '-'; at += 2) {
        char *end;
        uint64_t value = strtoull(args[at + 1], &end, 10);
        if (*end || !*args[at + 1]) break;
        if (strcmp(args[at], "--seed") == 0)
            seed = value;
        else if (strcmp(args[at], "--shard-bytes") == 0)
            shard_bytes = value;
        else
            break;
    }
    if (n_args - at != 2 || args[at][0] == '-') {
        fprintf(stderr,
                "usage: dummy_checkpoint [--seed N] [--shard-bytes N] CONFIG_DIR OUT\n"
                "Writes random bf16 weights of the size that CONFIG_DIR/config.json states, in Hugging Face form.\n");
        return 2;
    }
    pio_error error;
    if (write_checkpoint(args[at], args[at + 1], seed, shard_bytes, &error) != PIO_OK) {
        fprintf(stderr, "dummy_checkpoint: %s\n", error.text);
        return 1;
    }
    return 0;
}
