/* Writes a full-size checkpoint of random weights in Hugging Face form, for measuring without a download:
 *
 *   dummy_checkpoint [--seed N] [--shard-bytes N] [--layers N] CONFIG_DIR OUT
 *
 * CONFIG_DIR has a config.json of any model that the engine knows; the tensors are those that the model's weights table
 * names. The config and the tokenizer's files, where there are any, are copied to OUT beside the weights; --layers cuts
 * the text model to its first N layers. Matrices are Gaussian with variance 1/columns, so that activations keep their
 * size from layer to layer; norm weights are Gaussian around 1, biases around 0. Everything is bf16. The numbers follow
 * from the seed alone, however many threads make them. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/threads.h"
#include "io/file.h"
#include "io/output.h"
#include "io/safetensors_writer.h"
#include "kernels/kv_cache/kv_cache.h"
#include "models/model.h"

typedef struct settings {
    const char *from, *out;
    uint64_t seed, shard_bytes, layers; /* layers 0: all */
} settings;

/* ---- the list of tensors ---- */

typedef struct planned_tensor {
    char name[128];
    pio_safetensors_spec spec; /* its name is set when all are planned */
    double mean, deviation;
    uint64_t bytes;
    int32_t place; /* of the first weight's part that names it, among all parts */
    size_t shard;
} planned_tensor;

typedef struct checkpoint_plan {
    planned_tensor *tensors;
    int32_t n_tensors, tensors_capacity;
    size_t n_shards;
    uint64_t bytes;
} checkpoint_plan;

static bool is_bias(const char *name) {
    const size_t n = strlen(name);
    return n >= 4 && !strcmp(name + n - 4, "bias");
}

static pio_status add_tensor(checkpoint_plan *plan, const pio_weight *weight, const pio_weight_part *part,
                             pio_error *error) {
    planned_tensor *tensor = PIO_PUSH(plan, tensors);
    if (!tensor) return pio_fail_memory(error, "the list of tensors", sizeof *tensor * (size_t)plan->n_tensors);
    const uint64_t rows = (uint64_t)part->from.tensor_rows,
                   cols = (uint64_t)(part->transposed ? part->rows : weight->cols);
    const bool vector = weight->kind == PIO_WEIGHT_VECTOR, bias = vector && is_bias(part->from.tensor);
    *tensor = (planned_tensor){.spec = {.dtype = PIO_STORED_BF16, .rank = vector ? 1 : 2, .dims = {rows, cols}},
                               .mean = vector && !bias ? 1 : 0,
                               .deviation = bias     ? 0.02
                                            : vector ? 0.1
                                                     : 1 / sqrt((double)cols),
                               .bytes = 2 * cols * (vector ? 1 : rows),
                               .place = plan->n_tensors};
    if (vector) tensor->spec.dims[0] = cols;
    snprintf(tensor->name, sizeof tensor->name, "%s", part->from.tensor);
    return PIO_OK;
}

static int by_place(const void *a, const void *b) {
    return ((const planned_tensor *)a)->place - ((const planned_tensor *)b)->place;
}

static int by_name(const void *a, const void *b) {
    const int order = strcmp(((const planned_tensor *)a)->name, ((const planned_tensor *)b)->name);
    return order ? order : by_place(a, b);
}

/* The tensors that the weights table names, each once though several weights may have parts of it. */
static pio_status list_tensors(const pio_spec *spec, checkpoint_plan *plan, pio_error *error) {
    for (int32_t w = 0; w < spec->n_weights; w++) {
        const pio_weight *weight = &spec->weights[w];
        for (int32_t p = 0; p < weight->n_parts; p++) {
            pio_status status = add_tensor(plan, weight, &spec->parts[weight->first_part + p], error);
            if (status) return status;
        }
    }
    planned_tensor *tensors = plan->tensors;
    int32_t n = 0;
    qsort(tensors, (size_t)plan->n_tensors, sizeof *tensors, by_name);
    for (int32_t i = 0; i < plan->n_tensors; i++)
        if (!n || strcmp(tensors[n - 1].name, tensors[i].name)) tensors[n++] = tensors[i];
    plan->n_tensors = n;
    qsort(tensors, (size_t)n, sizeof *tensors, by_place);
    return PIO_OK;
}

static void cut_into_shards(checkpoint_plan *plan, uint64_t shard_bytes) {
    uint64_t filled = 0;
    for (int32_t i = 0; i < plan->n_tensors; i++) {
        planned_tensor *tensor = &plan->tensors[i];
        if (filled > 0 && filled + tensor->bytes > shard_bytes) {
            plan->n_shards++;
            filled = 0;
        }
        filled += tensor->bytes;
        plan->bytes += tensor->bytes;
        tensor->shard = plan->n_shards;
        tensor->spec.name = tensor->name;
    }
    plan->n_shards++;
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

/* A thread's own. */
typedef struct generator {
    const float *quantiles;       /* [N_QUANTILES] */
    uint16_t scaled[N_QUANTILES]; /* bf16 of mean + deviation * quantile */
    double mean, deviation;       /* of `scaled` */
    uint16_t chunk[CHUNK_ELEMENTS];
} generator;

static void set_distribution(generator *g, double mean, double deviation) {
    if (g->mean == mean && g->deviation == deviation) return;
    g->mean = mean;
    g->deviation = deviation;
    for (int i = 0; i < N_QUANTILES; i++) g->scaled[i] = pio_f32_to_bf16((float)(mean + deviation * g->quantiles[i]));
}

/* Makes `bytes` of tensor number `index` from its chunk number `chunk` on. */
static void fill_chunk(generator *g, uint64_t seed, uint64_t index, uint64_t chunk, uint64_t bytes) {
    uint64_t of_tensor = next_random(&seed) ^ index, of_chunk = next_random(&of_tensor) ^ chunk,
             state = next_random(&of_chunk);
    for (uint64_t i = 0; i < bytes / sizeof(uint16_t); i += 4) { /* the chunk is a multiple of 4 */
        uint64_t bits = next_random(&state);
        for (int part = 0; part < 4; part++) g->chunk[i + (uint64_t)part] = g->scaled[bits >> 16 * part & 0xffff];
    }
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

/* One shard, whose chunks threads take from a counter. */
typedef struct shard_job {
    const checkpoint_plan *plan;
    const float *quantiles;
    pio_safetensors_writer *writer;
    uint64_t seed;
    size_t first, n; /* its tensors */
    _Atomic uint64_t next;
    pthread_mutex_t lock; /* guards what follows */
    pio_status status;
    pio_error *error;
} shard_job;

static uint64_t chunks_of(const planned_tensor *tensor) {
    return PIO_CEIL_DIV(tensor->bytes, sizeof(uint16_t) * CHUNK_ELEMENTS);
}

static void fail_job(shard_job *job, const pio_error *error) {
    pthread_mutex_lock(&job->lock);
    if (!job->status) *job->error = *error;
    job->status = error->status;
    pthread_mutex_unlock(&job->lock);
    atomic_store(&job->next, UINT64_MAX / 2);
}

static void write_chunks(void *context, int worker, int n_workers) {
    (void)worker, (void)n_workers;
    shard_job *job = context;
    pio_error error = {0};
    generator *g = calloc(1, sizeof *g);
    if (!g) {
        pio_fail_memory(&error, "random numbers", sizeof *g);
        fail_job(job, &error);
        return;
    }
    g->quantiles = job->quantiles;
    size_t at = 0;
    uint64_t before = 0; /* chunks of the tensors before `at` */
    for (;;) {
        const uint64_t chunk = atomic_fetch_add(&job->next, 1);
        while (at < job->n && chunk - before >= chunks_of(&job->plan->tensors[job->first + at]))
            before += chunks_of(&job->plan->tensors[job->first + at++]);
        if (at == job->n) break;
        const planned_tensor *tensor = &job->plan->tensors[job->first + at];
        const uint64_t from = (chunk - before) * sizeof g->chunk,
                       bytes = PIO_MIN(tensor->bytes - from, sizeof g->chunk);
        set_distribution(g, tensor->mean, tensor->deviation);
        fill_chunk(g, job->seed, job->first + at, chunk - before, bytes);
        if (pio_safetensors_writer_write(job->writer, at, from, g->chunk, bytes, &error)) fail_job(job, &error);
    }
    free(g);
}

static pio_status write_shard(const settings *s, pio_pool *pool, const float *quantiles, const checkpoint_plan *plan,
                              size_t shard, pio_error *error) {
    shard_job job = {.plan = plan, .quantiles = quantiles, .seed = s->seed, .error = error};
    while (plan->tensors[job.first].shard != shard) job.first++;
    while (job.first + job.n < (size_t)plan->n_tensors && plan->tensors[job.first + job.n].shard == shard) job.n++;
    pio_safetensors_spec *specs = malloc(job.n * sizeof *specs);
    if (!specs) return pio_fail_memory(error, "the list of tensors", job.n * sizeof *specs);
    for (size_t i = 0; i < job.n; i++) specs[i] = plan->tensors[job.first + i].spec;

    char name[64];
    shard_name(plan, shard, name, sizeof name);
    char *path = join(s->out, name);
    const pio_safetensors_pair format = {"format", "pt"};
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%s", name);
    pio_status status = pio_safetensors_writer_create(path, specs, job.n, &format, 1, &job.writer, error);
    if (!status) {
        pthread_mutex_init(&job.lock, NULL);
        pio_pool_run(pool, write_chunks, &job);
        pthread_mutex_destroy(&job.lock);
        status = job.status;
    }
    if (!status) status = pio_safetensors_writer_finish(job.writer, error);
    pio_safetensors_writer_destroy(job.writer);
    free(path);
    free(specs);
    return status;
}

static pio_status write_shards(const settings *s, const checkpoint_plan *plan, pio_error *error) {
    float *quantiles = malloc(sizeof *quantiles * N_QUANTILES);
    pio_pool *pool = NULL;
    pio_status status = quantiles ? pio_pool_create(0, &pool, error)
                                  : pio_fail_memory(error, "random numbers", sizeof *quantiles * N_QUANTILES);
    if (!status) fill_quantiles(quantiles);
    for (size_t shard = 0; shard < plan->n_shards && !status; shard++)
        status = write_shard(s, pool, quantiles, plan, shard, error);
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r\033[K");
    pio_pool_destroy(pool);
    free(quantiles);
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
    for (int32_t i = 0; i < plan->n_tensors; i++) {
        char name[64];
        shard_name(plan, plan->tensors[i].shard, name, sizeof name);
        fprintf(to, "    \"%s\": \"%s\"%s\n", plan->tensors[i].name, name, i + 1 < plan->n_tensors ? "," : "");
    }
    fprintf(to, "  }\n}\n");
    pio_status status = fclose(to) == 0 ? write_bytes(path, text, n_bytes, error)
                                        : pio_fail_memory(error, "the index", 128 * (size_t)plan->n_tensors);
    free(text);
    free(path);
    return status;
}

/* The small files that a checkpoint may have beside its config. */
static pio_status copy_small_files(const char *from, const char *to, pio_error *error) {
    static const char *const names[] = {"generation_config.json",  "tokenizer.json", "tokenizer_config.json",
                                        "chat_template.jinja",     "vocab.json",     "merges.txt",
                                        "preprocessor_config.json"};
    for (size_t i = 0; i < PIO_COUNT(names); i++) {
        char *source = join(from, names[i]), *target = join(to, names[i]), *text;
        size_t n_bytes;
        pio_status status = pio_file_read_text(source, 1 << 28, &text, &n_bytes, error);
        if (status == PIO_OK)
            status = write_bytes(target, text, n_bytes, error);
        else if (status == PIO_NOT_FOUND)
            status = PIO_OK;
        free(text);
        free(source);
        free(target);
        if (status != PIO_OK) return status;
    }
    return PIO_OK;
}

/* The config's text, with the number of layers that is asked for; the caller frees *text. */
static pio_status read_config(const settings *s, const char *path, char **text, pio_error *error) {
    size_t n_bytes;
    pio_status status = pio_file_read_text(path, 1 << 24, text, &n_bytes, error);
    if (status || !s->layers) return status;
    json_t *config = json_loads(*text, 0, NULL), *of_text = json_object_get(config, "text_config");
    free(*text);
    if (json_is_object(config))
        json_object_set_new(json_is_object(of_text) ? of_text : config, "num_hidden_layers",
                            json_integer((json_int_t)s->layers));
    *text = config ? json_dumps(config, JSON_INDENT(2)) : NULL;
    json_decref(config);
    return *text ? PIO_OK : pio_fail(error, PIO_CORRUPT, "'%s' is not JSON: give a checkpoint's config.json", path);
}

/* The weights table of the config's model. */
static pio_status build_spec(const char *path, const char *text, pio_spec *spec, pio_error *error) {
    const pio_model_family *family;
    pio_any_config config;
    pio_json *json;
    pio_status status = pio_json_parse(path, text, strlen(text), &json, error);
    if (status) return status;
    const pio_json_object root = pio_json_root(json);
    status = pio_model_family_find(&root, &family, error);
    if (!status) status = family->read_config(&root, &config, error);
    pio_json_free(json);
    if (status) return status;
    spec->page_tokens = PIO_KV_PAGE_TOKENS;
    family->build(&config, spec);
    return pio_verify(spec, error);
}

static pio_status make_directory(const settings *s, pio_error *error) {
    struct stat source, target;
    if (mkdir(s->out, 0777) != 0 && access(s->out, W_OK) != 0)
        return pio_fail(error, PIO_IO, "cannot write into '%s' (%m): name another directory", s->out);
    if (stat(s->from, &source) == 0 && stat(s->out, &target) == 0 && source.st_dev == target.st_dev &&
        source.st_ino == target.st_ino)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "'%s' is the source itself: name another directory", s->out);
    return PIO_OK;
}

static pio_status write_checkpoint(const settings *s, pio_error *error) {
    char *text = NULL, *path = join(s->from, "config.json"), *target = join(s->out, "config.json"),
         *index_path = join(s->out, "model.safetensors.index.json");
    pio_spec spec = {0};
    checkpoint_plan plan = {0};
    pio_status status = read_config(s, path, &text, error);
    if (!status) status = build_spec(path, text, &spec, error);
    if (!status) status = list_tensors(&spec, &plan, error);
    cut_into_shards(&plan, s->shard_bytes);
    if (!status) status = make_directory(s, error);
    if (!status) unlink(index_path); /* an old one would name other files; the new one comes last */
    if (!status) status = write_shards(s, &plan, error);
    if (!status && plan.n_shards > 1) status = write_index(&plan, s->out, error);
    if (!status) status = write_bytes(target, text, strlen(text), error);
    if (!status) status = copy_small_files(s->from, s->out, error);
    if (!status)
        fprintf(stderr, "%d tensors, %" PRIu64 " bytes in %zu files\n", plan.n_tensors, plan.bytes, plan.n_shards);
    free(text);
    free(path);
    free(target);
    free(index_path);
    free(plan.tensors);
    pio_spec_free(&spec);
    return status;
}

int main(int n_args, char **args) {
    settings s = {.seed = 1, .shard_bytes = 5000000000u};
    const struct {
        const char *name;
        uint64_t *value;
    } options[] = {{"--seed", &s.seed}, {"--shard-bytes", &s.shard_bytes}, {"--layers", &s.layers}};
    int at = 1;
    for (bool known = true; known && at + 1 < n_args && args[at][0] == '-'; at += 2 * known) {
        char *end;
        const uint64_t value = strtoull(args[at + 1], &end, 10);
        known = false;
        for (size_t i = 0; i < PIO_COUNT(options) && !*end && *args[at + 1]; i++) {
            if (strcmp(args[at], options[i].name)) continue;
            *options[i].value = value;
            known = true;
        }
    }
    if (n_args - at != 2 || args[at][0] == '-') {
        fprintf(stderr,
                "usage: dummy_checkpoint [--seed N] [--shard-bytes N] [--layers N] CONFIG_DIR OUT\n"
                "Writes random bf16 weights of the size that CONFIG_DIR/config.json states, in Hugging Face form.\n");
        return 2;
    }
    s.from = args[at];
    s.out = args[at + 1];
    pio_error error = {0};
    if (write_checkpoint(&s, &error) != PIO_OK) {
        fprintf(stderr, "dummy_checkpoint: %s\n", error.text);
        return 1;
    }
    return 0;
}
