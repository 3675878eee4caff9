/* Spoilt checkpoints: each is refused in one sentence that names the file or tensor, with nothing written. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

#define KEY  "model.layers.3.mlp.up_proj.weight"     /* [320, 160], bf16 */
#define NORM "model.layers.5.input_layernorm.weight" /* [160] */

/* A checkpoint and its weights file taken apart. */
typedef struct weights {
    char *directory, *file;
    size_t n_file;
    json_t *header;
    size_t data_at; /* in the file */
} weights;

static weights weights_open(void) {
    weights w = {.directory = cli_copy_tiny()};
    uint64_t length;
    w.file = cli_read_file(temp_dir_path(w.directory, "model.safetensors"), &w.n_file);
    memcpy(&length, w.file, 8);
    w.data_at = 8 + length;
    w.header = json_loadb(w.file + 8, length, JSON_DISABLE_EOF_CHECK, NULL);
    assert_non_null(w.header);
    return w;
}

static json_t *entry(const weights *w, const char *tensor) {
    json_t *found = json_object_get(w->header, tensor);
    assert_non_null(found);
    return found;
}

static void set(const weights *w, const char *tensor, const char *key, json_t *value) {
    assert_non_null(value);
    json_object_set_new(entry(w, tensor), key, value);
}

/* The first byte of a tensor's values. */
static char *values(const weights *w, const char *tensor) {
    json_t *at = json_array_get(json_object_get(entry(w, tensor), "data_offsets"), 0);
    return w->file + w->data_at + json_integer_value(at);
}

static const char *save(const weights *w) {
    char *text = json_dumps(w->header, JSON_COMPACT);
    uint64_t length = strlen(text);
    size_t n = 8 + length + w->n_file - w->data_at;
    char *all = malloc(n);
    memcpy(all, &length, 8);
    memcpy(all + 8, text, length);
    memcpy(all + 8 + length, w->file + w->data_at, w->n_file - w->data_at);
    temp_dir_write(w->directory, "model.safetensors", all, n);
    free(all);
    free(text);
    return w->directory;
}

static void weights_close(weights *w) {
    json_decref(w->header);
    free(w->file);
    temp_dir_remove(w->directory);
}

static void untouched(void **state) {
    (void)state;
    weights w = weights_open();
    cli_result r = CLI("run", save(&w), "What is 12 + 34?");
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    assert_string_equal(r.out, "12 + 34 = 46.\n");
    cli_free(&r);
    weights_close(&w);
}

/* ---- the header ---- */

typedef struct header_case {
    const char *tensor, *key, *value; /* value NULL: the key is taken away; key NULL: the tensor is */
    const char *parts[2];
} header_case;

static const header_case header_cases[] = {
    {KEY, NULL, NULL, {KEY, "missing"}},
    {NORM, NULL, NULL, {NORM, "missing"}},
    {KEY, "shape", "[160, 320]", {KEY, "[160, 320]"}},
    {KEY, "shape", "[51200]", {KEY, "[51200]"}},
    {KEY, "shape", "[320, 161]", {KEY, NULL}},
    {KEY, "shape", "[-320, 160]", {"model.safetensors", NULL}},
    {KEY, "shape", "[4294967296, 4294967296, 2]", {"model.safetensors", NULL}},
    {KEY, "shape", "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 51200]", {"model.safetensors", NULL}},
    {KEY, "shape", NULL, {"model.safetensors", NULL}},
    {KEY, "dtype", "\"I16\"", {KEY, "I16"}},
    {KEY, "dtype", "\"F32\"", {KEY, NULL}},
    {KEY, "dtype", "\"Q9\"", {"model.safetensors", "Q9"}},
    {KEY, "dtype", "16", {"model.safetensors", NULL}},
    {KEY, "dtype", NULL, {"model.safetensors", NULL}},
    {KEY, "data_offsets", "[0, 102400]", {"model.safetensors", NULL}},        /* over another tensor */
    {KEY, "data_offsets", "[3900000, 4002400]", {"model.safetensors", NULL}}, /* beyond the end */
    {KEY, "data_offsets", "[102400, 0]", {"model.safetensors", NULL}},        /* backwards */
    {KEY, "data_offsets", "[9223372036854673407, 9223372036854775807]", {"model.safetensors", NULL}},
    {KEY, "data_offsets", "[-102400, 0]", {"model.safetensors", NULL}},
    {KEY, "data_offsets", "[0]", {"model.safetensors", NULL}},
    {KEY, "data_offsets", NULL, {"model.safetensors", NULL}},
};

static void headers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof header_cases / sizeof *header_cases; i++) {
        const header_case *c = &header_cases[i];
        weights w = weights_open();
        if (!c->key) { /* under another name: a hole in the data would be refused for itself */
            json_object_set(w.header, "model.layers.99.surprise", entry(&w, c->tensor));
            json_object_del(w.header, c->tensor);
        }
        if (c->key && !c->value) json_object_del(entry(&w, c->tensor), c->key);
        if (c->key && c->value) set(&w, c->tensor, c->key, json_loads(c->value, JSON_DECODE_ANY, NULL));
        cli_result r = CLI("run", save(&w), "hi");
        CLI_EXPECT(&r, CLI_REFUSED, w.directory, c->parts[0], c->parts[1]);
        assert_string_equal(r.out, "");
        cli_free(&r);
        weights_close(&w);
    }
}

/* Offsets beyond 64 bits, which no JSON writer at hand would write. */
static void headers_by_hand(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[18446744073709551612,18446744073709551616]}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[9223372036854775808,2],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[18446744073709551612,0]}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]},"
        "\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[2,4]}}",
        "{\"a\":",
        "[]",
        "{}",
        "{\"\xff\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *directory = cli_copy_tiny(), file[400];
        uint64_t length = strlen(texts[i]);
        memcpy(file, &length, 8);
        memcpy(file + 8, texts[i], length);
        memcpy(file + 8 + length, "\0\0\x80\x3f", 4);
        temp_dir_write(directory, "model.safetensors", file, 8 + length + 4);
        CLI_REFUSES(CLI_REFUSED, (directory), "run", directory, "hi");
        temp_dir_remove(directory);
    }
}

static void truncated(void **state) {
    (void)state;
    test_random random = test_random_begin("truncated");
    weights w = weights_open();
    const char *path = temp_dir_path(w.directory, "model.safetensors");
    size_t lengths[] = {0, 1, 7, 8, 9, w.data_at - 1, w.data_at, w.n_file - 1, 0, 0};
    lengths[8] = test_random_below(&random, w.n_file);
    lengths[9] = test_random_below(&random, w.data_at);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(truncate(path, (off_t)lengths[i]), 0);
        CLI_REFUSES(CLI_REFUSED, ("model.safetensors"), "run", w.directory, "hi");
        temp_dir_write(w.directory, "model.safetensors", w.file, w.n_file);
    }
    memset(w.file, 0xff, 8); /* a header of 2^64 - 1 bytes */
    temp_dir_write(w.directory, "model.safetensors", w.file, w.n_file);
    CLI_REFUSES(CLI_REFUSED, ("model.safetensors"), "run", w.directory, "hi");
    weights_close(&w);
}

/* ---- values ---- */

static void not_finite(void **state) {
    (void)state;
    test_random random = test_random_begin("not_finite");
    static const uint16_t patterns[] = {0x7fc0, 0xffc1, 0x7f80, 0xff80}; /* NaN and infinity as bf16 */
    static const char *const weights_types[] = {"bf16", "q8", "q4"};
    for (size_t type = 0; type < 3; type++) {
        for (size_t i = 0; i < 2; i++) {
            const char *tensor = i ? NORM : KEY;
            size_t n = i ? 160 : 320 * 160;
            weights w = weights_open();
            const uint64_t at = test_random_below(&random, n);
            char place[64];
            snprintf(place, sizeof place, "row %d, column %d:", (int)(at / 160), (int)(at % 160));
            memcpy(values(&w, tensor) + 2 * at, &patterns[test_random_below(&random, 4)], 2);
            char cache[600];
            snprintf(cache, sizeof cache, "XDG_CACHE_HOME=%s/cache", w.directory);
            const cli_call call = {.arguments = (const char *const[]){"run", save(&w), "hi", "--cache", "--weights",
                                                                      weights_types[type], NULL},
                                   .environment = (const char *const[]){cache, NULL}};
            cli_result r = cli_run(&call);
            CLI_EXPECT(&r, CLI_REFUSED, temp_dir_path(w.directory, "model.safetensors"), tensor, place);
            assert_string_equal(r.out, "");
            if (type) assert_int_equal(temp_dir_count(temp_dir_path(w.directory, "cache/inference-pio")), 0);
            cli_free(&r);
            weights_close(&w);
        }
    }
}

/* ---- directories and shards ---- */

static void directories(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    CLI_REFUSES(CLI_REFUSED, (directory, "config.json"), "run", directory, "hi");
    CLI_REFUSES(CLI_REFUSED, ("/no/such/place"), "run", "/no/such/place", "hi");
    CLI_REFUSES(CLI_REFUSED, ("'nosuchmodel'", "PIO_HOME"), "chat", "nosuchmodel");
    CLI_REFUSES(CLI_REFUSED, ("/no/such/place"), "tokenize", "/no/such/place");
    CLI_REFUSES(CLI_REFUSED, ("/no/such/place"), "render", "/no/such/place");
    CLI_REFUSES(CLI_REFUSED, (CLI_TINY_PATH "/config.json"), "run", CLI_TINY_PATH "/config.json", "hi");
    char path[6000];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    path[0] = '/';
    CLI_REFUSES(CLI_REFUSED, ("too long"), "run", path, "hi");
    assert_int_equal(mkdir(temp_dir_path(directory, "config.json"), 0700), 0);
    CLI_REFUSES(CLI_REFUSED, (directory, "config.json"), "plan", directory);
    temp_dir_remove(directory);
}

static void write_index(const weights *w, const char *text) {
    temp_dir_write(w->directory, "model.safetensors.index.json", text, strlen(text));
}

/* Every tensor in one shard, except one. */
static void write_map(const weights *w, const char *shard, const char *tensor, const char *elsewhere) {
    json_t *map = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(w->header, name, value) {
        if (strcmp(name, "__metadata__")) json_object_set_new(map, name, json_string(shard));
    }
    if (elsewhere) json_object_set_new(map, tensor, json_string(elsewhere));
    json_t *index = json_pack("{s:{}, s:o}", "metadata", "weight_map", map);
    char *text = json_dumps(index, 0);
    write_index(w, text);
    free(text);
    json_decref(index);
}

static void shards(void **state) {
    (void)state;
    weights w = weights_open();
    char whole[600], shard[600];
    snprintf(whole, sizeof whole, "%s/model.safetensors", w.directory);
    snprintf(shard, sizeof shard, "%s/model-00001-of-00002.safetensors", w.directory);
    assert_int_equal(rename(whole, shard), 0);
    CLI_REFUSES(CLI_REFUSED, (w.directory, "model.safetensors"), "run", w.directory, "hi");
    write_map(&w, "model-00001-of-00002.safetensors", NULL, NULL);
    cli_result r = CLI("run", w.directory, "What is 12 + 34?");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, "12 + 34 = 46.\n");
    cli_free(&r);
    write_map(&w, "model-00001-of-00002.safetensors", KEY, "model-00002-of-00002.safetensors");
    CLI_REFUSES(CLI_REFUSED, ("model-00002-of-00002.safetensors"), "run", w.directory, "hi");
    write_map(&w, "model-00001-of-00002.safetensors", "model.a", "model-00001-of-00002.safetensors");
    CLI_REFUSES(CLI_REFUSED, ("model.a"), "run", w.directory, "hi");
    write_map(&w, "model-00001-of-00002.safetensors", KEY, "../model.safetensors");
    CLI_REFUSES(CLI_REFUSED, ("index.json"), "run", w.directory, "hi");
    write_map(&w, "model-00001-of-00002.safetensors", KEY, "/etc/passwd");
    CLI_REFUSES(CLI_REFUSED, ("index.json"), "run", w.directory, "hi");
    static const char *const broken[] = {"", "{", "[]", "{}", "{\"weight_map\": []}", "{\"weight_map\": {\"a\": 1}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_index(&w, broken[i]);
        CLI_REFUSES(CLI_REFUSED, ("index.json"), "run", w.directory, "hi");
    }
    write_map(&w, "model-00001-of-00002.safetensors", NULL, NULL);
    assert_int_equal(truncate(shard, (off_t)w.n_file / 2), 0);
    CLI_REFUSES(CLI_REFUSED, ("model-00001-of-00002.safetensors"), "run", w.directory, "hi");
    weights_close(&w);
}

/* ---- config.json and its companions ---- */

typedef struct config_case {
    const char *file, *key, *value; /* value NULL: the key is taken away; key NULL: `value` is the whole file */
    const char *parts[3];
} config_case;

static const config_case config_cases[] = {
    {"config.json", "model_type", "\"llama\"", {"llama", "qwen3", "give a checkpoint of one of these"}},
    {"config.json", "model_type", "7", {"config.json", "model_type"}},
    {"config.json", "model_type", NULL, {"config.json", "model_type"}},
    {"config.json", "hidden_size", "0", {"config.json", "hidden_size"}},
    {"config.json", "hidden_size", "-160", {"config.json", "hidden_size"}},
    {"config.json", "hidden_size", "160.5", {"config.json", "hidden_size"}},
    {"config.json", "hidden_size", "\"wide\"", {"config.json", "hidden_size"}},
    {"config.json", "hidden_size", "1e300", {"config.json", "hidden_size"}},
    {"config.json", "hidden_size", "99999999999999999999", {"config.json"}},
    {"config.json", "hidden_size", NULL, {"config.json", "hidden_size"}},
    {"config.json", "num_hidden_layers", "0", {"config.json", "num_hidden_layers"}},
    {"config.json", "num_hidden_layers", "2147483647", {"config.json", "num_hidden_layers"}},
    {"config.json", "num_hidden_layers", "9", {"model.layers.8.", "missing", "download it again"}},
    {"config.json", "num_hidden_layers", "6", {"model.layers.7."}},
    {"config.json", "num_key_value_heads", "4", {"config.json"}},
    {"config.json",
     "vocab_size",
     "513",
     {"model.embed_tokens.weight", "[512, 160]", "[513, 160]: they do not belong together; download both"}},
    {"config.json", "intermediate_size", "336", {"model.layers.0.mlp.", "[320, 160]", "[336, 160]"}},
    {"config.json", "rms_norm_eps", "-1", {"config.json", "rms_norm_eps"}},
    {"config.json", "rope_theta", "0", {"config.json", "rope_theta"}},
    {"config.json", "hidden_act", "\"relu\"", {"config.json", "relu"}},
    {"config.json", NULL, "", {"config.json"}},
    {"config.json", NULL, "{\"model_type\": \"qwen3\"", {"config.json"}},
    {"config.json", NULL, "[1, 2]", {"config.json"}},
    {"config.json", NULL, "\xff\xfe{\x01", {"config.json"}},
    {"generation_config.json", "temperature", "\"hot\"", {"generation_config.json", "temperature"}},
    {"generation_config.json", NULL, "{", {"generation_config.json"}},
    {"tokenizer_config.json", NULL, "{", {"tokenizer_config.json"}},
    {"tokenizer.json", NULL, "{}", {"tokenizer.json"}},
    {"tokenizer.json", NULL, "", {"tokenizer.json"}},
};

static void write_config(const char *directory, const config_case *c) {
    size_t n;
    if (!c->key) {
        temp_dir_write(directory, c->file, c->value, strlen(c->value));
        return;
    }
    char *text = cli_read_file(temp_dir_path(directory, c->file), &n);
    json_t *config = json_loadb(text, n, 0, NULL);
    assert_non_null(config);
    free(text);
    if (!c->value) {
        assert_int_equal(json_object_del(config, c->key), 0);
        text = json_dumps(config, 0);
    } else { /* by hand: values that a JSON library would not write */
        json_object_set_new(config, c->key, json_string("@"));
        char *with = json_dumps(config, 0), *at = strstr(with, "\"@\"");
        text = malloc(strlen(with) + strlen(c->value) + 1);
        sprintf(text, "%.*s%s%s", (int)(at - with), with, c->value, at + 3);
        free(with);
    }
    temp_dir_write(directory, c->file, text, strlen(text));
    free(text);
    json_decref(config);
}

static void configs(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof config_cases / sizeof *config_cases; i++) {
        char *directory = cli_copy_tiny();
        write_config(directory, &config_cases[i]);
        cli_result r = CLI("run", directory, "hi");
        CLI_EXPECT(&r, CLI_REFUSED, config_cases[i].parts[0], config_cases[i].parts[1], config_cases[i].parts[2]);
        assert_string_equal(r.out, "");
        cli_free(&r);
        temp_dir_remove(directory);
    }
}

/* ---- memory ---- */

static void too_much_memory(void **state) {
    (void)state;
    char *directory = cli_copy_tiny();
    const config_case longest = {"config.json", "max_position_embeddings", "16777216", {NULL}},
                      deep = {"config.json", "num_hidden_layers", "512", {NULL}},
                      wide = {"config.json", "hidden_size", "16384", {NULL}},
                      wider = {"config.json", "intermediate_size", "24576", {NULL}};
    write_config(directory, &longest);
    CLI_REFUSES(CLI_REFUSED, ("needs ", " GB are free", "--context"), "bench", directory, "--dummy-weights",
                "--batch=64", "--context=16000000");
    CLI_REFUSES(CLI_REFUSED, ("needs ", " MB (weights ", " MB are allowed (memory_limit)"), "run", CLI_TINY, "hi",
                "--memory-limit=2M");
    write_config(directory, &deep);
    write_config(directory, &wide);
    write_config(directory, &wider);
    CLI_REFUSES(CLI_REFUSED, ("needs ", " GB are free", "--weights q4"), "bench", directory, "--dummy-weights");
    temp_dir_remove(directory);
}

/* Whatever the limit, it ends well or with a sentence, on the CPU: drivers are not as kind. */
static void address_space(void **state) {
    (void)state;
    if (TEST_SANITIZED) skip();
    test_random random = test_random_begin("address_space");
    int n_refused = 0, n_done = 0;
    for (size_t mb = 6; mb < 60; mb += 2) {
        size_t bytes = (mb << 20) + (test_random_below(&random, 1 << 20) & ~(size_t)4095);
        const cli_call call = {.arguments = (const char *const[]){"run", CLI_TINY, "What is 2 + 2?", "--weights=q8",
                                                                  "--threads=2", "--backend=cpu", NULL},
                               .address_space_bytes = bytes};
        cli_result r = cli_run(&call);
        if (r.code == 127 || r.code == -SIGKILL || r.code == -SIGSEGV) { /* the loader had no room for the libraries */
            assert_true(mb < 12);
        } else if (r.code) {
            CLI_EXPECT(&r, CLI_REFUSED, NULL);
            n_refused++;
        } else {
            assert_string_equal(r.out, "2 + 2 = 4.\n");
            n_done++;
        }
        cli_free(&r);
    }
    assert_true(n_refused > 2 && n_done > 0);
}

/* Kept quantised weights that are not what was written are noticed, not used, and made anew. */
static void damaged_caches_are_made_anew(void **state) {
    (void)state;
    test_random random = test_random_begin("damaged_caches_are_made_anew");
    char *root = temp_dir_make(), cache[600], path[900] = "";
    snprintf(cache, sizeof cache, "XDG_CACHE_HOME=%s", root);
    const cli_call call = {
        .arguments = (const char *const[]){"run", CLI_TINY, "What is 12 + 34?", "--cache", "--weights", "q4", NULL},
        .environment = (const char *const[]){cache, NULL}};
    for (int run = 0; run < 4; run++) { /* made, read, damaged, read again */
        if (run == 2) {
            DIR *kept = opendir(temp_dir_path(root, "inference-pio"));
            assert_non_null(kept);
            for (const struct dirent *entry; (entry = readdir(kept));)
                if (entry->d_name[0] != '.') snprintf(path, sizeof path, "%s/inference-pio/%s", root, entry->d_name);
            closedir(kept);
            size_t n;
            char *bytes = cli_read_file(path, &n);
            const size_t header = 1 << 15, at = header + test_random_below(&random, n - header);
            bytes[at] ^= (char)(1 << test_random_below(&random, 8));
            FILE *file = fopen(path, "wb");
            assert_true(file && fwrite(bytes, 1, n, file) == n && !fclose(file));
            free(bytes);
        }
        cli_result r = cli_run(&call);
        CLI_EXPECT(&r, CLI_DONE, "device: ");
        assert_string_equal(r.out, "12 + 34 = 46.\n");
        assert_int_equal(run == 2, strstr(r.err, "damaged") != NULL);
        cli_free(&r);
    }
    temp_dir_remove(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_caches_are_made_anew),
        cmocka_unit_test(untouched),
        cmocka_unit_test(headers),
        cmocka_unit_test(headers_by_hand),
        cmocka_unit_test(truncated),
        cmocka_unit_test(not_finite),
        cmocka_unit_test(directories),
        cmocka_unit_test(shards),
        cmocka_unit_test(configs),
        cmocka_unit_test(too_much_memory),
        cmocka_unit_test(address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
