/* Settings: every key from every origin, their order, what is refused and how, and the documentation's table. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"
#include "engine/device.h"
#include "io/file.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

#define TINY PIO_SOURCE_DIR "/assets/tiny/qwen3_4b_instruct_2507"

/* A valid value for a key as text, other than its default. */
static const char *some_value(const pio_key_info *key, char *text, size_t bytes) {
    switch (key->type) {
    case PIO_SETTING_INTEGER:
    case PIO_SETTING_BYTES:
        snprintf(text, bytes, "%.0f", key->least + (key->least > 0 ? key->least : 3));
        break;
    case PIO_SETTING_NUMBER:
        snprintf(text, bytes, "%g", key->least + (key->most - key->least) * 0.375);
        break;
    case PIO_SETTING_SWITCH:
        snprintf(text, bytes, "%s", strcmp(key->otherwise, "on") ? "on" : "off");
        break;
    case PIO_SETTING_CHOICE:
    case PIO_SETTING_CHOICES: { /* the last one */
        const char *last = strrchr(key->choices, ' ');
        assert_non_null(last);
        snprintf(text, bytes, "%s", last + 1);
        break;
    }
    case PIO_SETTING_TEXT:
    case PIO_SETTING_TEXTS:
        snprintf(text, bytes, "3=1.5");
        break;
    }
    return text;
}

static void set_ok(pio_config *config, pio_origin origin, pio_key key, const char *text) {
    pio_error error = {0};
    if (pio_config_set(config, origin, "here", key, text, false, &error)) fail_msg("%s", error.text);
}

static void defaults_are_values_of_their_keys(void **state) {
    (void)state;
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        const pio_key_info *info = pio_key_get((pio_key)key);
        pio_config config = {0};
        assert_int_equal(pio_key_find(info->name, strlen(info->name)), key);
        assert_true(strlen(info->help) > 0);
        json_t *otherwise = pio_config_value(&config, (pio_key)key);
        assert_int_equal(json_is_null(otherwise), !*info->otherwise);
        if (*info->otherwise) {
            set_ok(&config, PIO_ORIGIN_FILE, (pio_key)key, info->otherwise);
            json_t *set = pio_config_value(&config, (pio_key)key);
            if (!json_equal(set, otherwise)) fail_msg("%s: its default is read in two ways", info->name);
            json_decref(set);
        }
        json_decref(otherwise);
        pio_config_free(&config);
    }
}

/* Sets one key by each way, in random order; what counts is always the highest origin's. */
static void origins_have_their_order(void **state) {
    (void)state;
    test_random random = test_random_begin("origins_have_their_order");
    static const char sampling[] = "{\"do_sample\": true, \"top_k\": 10, \"temperature\": 0.7}";
    char *directory = temp_dir_make();
    for (int round = 0; round < 200; round++) {
        const int lowest = (int)test_random_below(&random, 4);
        pio_config config = {0};
        pio_error error = {0};
        int order[] = {0, 1, 2, 3};
        for (int i = 3; i > 0; i--) {
            const int j = (int)test_random_below(&random, (uint64_t)i + 1), kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        static char variable[] = "PIO_TOP_K=12";
        char *environment[] = {variable, NULL};
        const char *file = temp_dir_write(directory, "settings.json", "{\"top_k\": 11, \"min_p\": null}", 28);
        temp_dir_write(directory, "generation_config.json", sampling, sizeof sampling - 1);
        temp_dir_write(directory, "config.json", "{}", 2);
        for (int i = 0; i < 4; i++) {
            pio_status status = PIO_OK;
            if (order[i] > 3 - lowest) continue;
            if (order[i] == 0) status = pio_config_read_checkpoint(&config, directory, &error);
            if (order[i] == 1) status = pio_config_read_file(&config, file, &error);
            if (order[i] == 2) status = pio_config_read_environment(&config, PIO_SECTIONS_ALL, environment, &error);
            if (order[i] == 3) set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_TOP_K, "13");
            if (status) fail_msg("%s", error.text);
        }
        assert_int_equal(pio_config_integer(&config, PIO_KEY_TOP_K), 13 - lowest);
        const char *const sources[] = {"generation_config.json", file, "PIO_TOP_K", "here"};
        assert_string_equal(config.items[PIO_KEY_TOP_K].source, sources[3 - lowest]);
        assert_false(pio_config_is_set(&config, PIO_KEY_MIN_P));
        pio_answer_settings settings;
        pio_config_answer(&config, &settings);
        assert_true(settings.sampling.temperature == 0.7f);
        pio_config_free(&config);
    }
    temp_dir_remove(directory);
}

static void every_key_is_read_from_text_json_and_environment(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        const pio_key_info *info = pio_key_get((pio_key)key);
        pio_config by_text = {0}, by_file = {0}, by_environment = {0}, copy;
        pio_error error = {0};
        char text[64], variable[128] = "PIO_";
        some_value(info, text, sizeof text);
        set_ok(&by_text, PIO_ORIGIN_CALLER, (pio_key)key, text);
        assert_true(pio_config_is_set(&by_text, (pio_key)key));
        json_t *value = pio_config_value(&by_text, (pio_key)key), *root = json_pack("{s:O}", info->name, value);
        json_dump_file(root, temp_dir_path(directory, "f.json"), 0);
        if (pio_config_read_file(&by_file, temp_dir_path(directory, "f.json"), &error)) fail_msg("%s", error.text);
        for (const char *c = info->name; *c; c++)
            variable[strlen(variable)] = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        strcat(strcat(variable, "="), text);
        char *environment[] = {variable, NULL};
        if (pio_config_read_environment(&by_environment, (int)info->section, environment, &error))
            fail_msg("%s", error.text);
        assert_int_equal(pio_config_copy(&by_file, &copy, &error), PIO_OK);
        json_t *others[] = {pio_config_value(&by_file, (pio_key)key), pio_config_value(&by_environment, (pio_key)key),
                            pio_config_value(&copy, (pio_key)key)};
        for (int i = 0; i < 3; i++) {
            if (!json_equal(value, others[i])) fail_msg("%s: way %d reads another value", info->name, i);
            json_decref(others[i]);
        }
        json_decref(value);
        json_decref(root);
        pio_config_free(&by_text);
        pio_config_free(&by_file);
        pio_config_free(&by_environment);
        pio_config_free(&copy);
    }
    temp_dir_remove(directory);
}

static void expect(pio_status status, const pio_error *error, const char *const words[4]) {
    assert_int_equal(status, PIO_INVALID_ARGUMENT);
    assert_null(strchr(error->text, '\n'));
    for (int i = 0; i < 4 && words[i]; i++)
        if (!strstr(error->text, words[i])) fail_msg("'%s' lacks '%s'", error->text, words[i]);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        const char *json, *words[4];
    } cases[] = {
        {"{\"temprature\": 1}", {"'temprature'", "did you mean temperature", "f.json"}},
        {"{\"Top-K\": 1}", {"'Top-K'", "did you mean top_k"}},
        {"{\"quux_of_ages\": 1}", {"'quux_of_ages'", "docs/configuration.md"}},
        {"{\"threads\": 0}", {"f.json", "threads", "1 to 1024", "'0'"}},
        {"{\"threads\": 2.5}", {"threads", "whole number", "'2.5'"}},
        {"{\"threads\": [2]}", {"threads", "whole number", "'[2]'"}},
        {"{\"threads\": true}", {"threads", "whole number", "'true'"}},
        {"{\"temperature\": 101}", {"temperature", "0 to 100", "'101'"}},
        {"{\"temperature\": \"hot\"}", {"temperature", "'hot'"}},
        {"{\"prefix_cache\": 3}", {"prefix_cache", "on or off", "'3'"}},
        {"{\"weights\": \"q3\"}", {"weights", "bf16, q8 or q4", "'q3'"}},
        {"{\"weights\": \"bf16, q8\"}", {"weights", "'bf16, q8'"}},
        {"{\"cpu_without\": [\"avx2\", \"sse\"]}", {"cpu_without", "\"sse\""}},
        {"{\"cpu_without\": \"avx2,,amx\"}", {"cpu_without"}},
        {"{\"memory_limit\": \"8X\"}", {"memory_limit", "'8X'"}},
        {"{\"memory_limit\": \"99999999999G\"}", {"memory_limit"}},
        {"{\"page_tokens\": 96}", {"page_tokens", "multiple of 64"}},
        {"{\"stop\": [\"a\", 7]}", {"stop", "'7'"}},
        {"{\"stop\": [\"a\", \"\"]}", {"stop"}},
        {"{\"stop\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", {"stop", "16"}},
        {"{\"system\": {\"a\": 1}}", {"system", "a text"}},
        {"{\"logit_bias\": [\"5\"]}", {"logit_bias", "ID=NUMBER", "'5'"}},
        {"{\"logit_bias\": [\"5=inf\"]}", {"logit_bias", "'5=inf'"}},
    };
    char *directory = temp_dir_make();
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_config config = {0};
        pio_error error = {0};
        const char *file = temp_dir_write(directory, "f.json", cases[i].json, strlen(cases[i].json));
        expect(pio_config_read_file(&config, file, &error), &error, cases[i].words);
        for (int key = 0; key < PIO_KEY_COUNT; key++) assert_false(pio_config_is_set(&config, (pio_key)key));
        pio_config_free(&config);
    }
    temp_dir_remove(directory);
}

static void names_are_refused_where_they_come_from(void **state) {
    (void)state;
    pio_config config = {0};
    pio_error error = {0};
    pio_status status = pio_config_set_named(&config, PIO_ORIGIN_CALLER, "initialize", "contxt", "5", &error);
    expect(status, &error, (const char *const[4]){"initialize", "'contxt'", "did you mean context"});
    status = pio_config_set_named(&config, PIO_ORIGIN_CALLER, "initialize", "context", "-5", &error);
    expect(status, &error, (const char *const[4]){"initialize", "context", "1 to 16777216", "'-5'"});
    static char wrong[] = "PIO_CONTEXT=many", foreign[] = "PIO_NONSENSE=1", empty[] = "PIO_THREADS=";
    char *environment[] = {foreign, empty, wrong, NULL};
    status = pio_config_read_environment(&config, PIO_SECTIONS_ALL, environment, &error);
    expect(status, &error, (const char *const[4]){"PIO_CONTEXT", "'many'"});
    assert_int_equal(pio_config_read_environment(&config, PIO_SECTION_ANSWER, environment, &error), PIO_OK);
    assert_false(pio_config_is_set(&config, PIO_KEY_THREADS));
    pio_config_free(&config);
}

static void keys_of_another_model_are_refused(void **state) {
    (void)state;
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        const pio_key_info *info = pio_key_get((pio_key)key);
        pio_config config = {0};
        pio_error error = {0};
        char text[64];
        set_ok(&config, PIO_ORIGIN_CALLER, (pio_key)key, some_value(info, text, sizeof text));
        for (int i = 0; pio_model_family_at(i); i++) {
            const char *model = pio_model_family_name(pio_model_family_at(i));
            pio_status status = pio_config_check_model(&config, model, &error);
            if (!*info->model || !strcmp(info->model, model))
                assert_int_equal(status, PIO_OK);
            else
                expect(status, &error, (const char *const[4]){"here", info->model, model});
        }
        pio_config_free(&config);
    }
}

static void lists_grow_on_the_command_line_alone(void **state) {
    (void)state;
    pio_config config = {0};
    pio_error error = {0};
    set_ok(&config, PIO_ORIGIN_ENVIRONMENT, PIO_KEY_STOP, "[\"x\", \"y\"]");
    assert_int_equal(pio_config_count(&config, PIO_KEY_STOP), 2);
    for (int i = 0; i < PIO_MAX_STOPS; i++)
        assert_int_equal(
            pio_config_set(&config, PIO_ORIGIN_CALLER, "--stop", PIO_KEY_STOP, i ? "[" : "[\"a\"]", true, &error),
            PIO_OK);
    assert_int_equal(pio_config_count(&config, PIO_KEY_STOP), PIO_MAX_STOPS);
    assert_string_equal(pio_config_at(&config, PIO_KEY_STOP, 0), "[\"a\"]"); /* as it stands */
    assert_int_equal(pio_config_set(&config, PIO_ORIGIN_CALLER, "--stop", PIO_KEY_STOP, "z", true, &error), PIO_LIMIT);
    assert_non_null(strstr(error.text, "--stop"));
    set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_STOP, "one");
    assert_int_equal(pio_config_count(&config, PIO_KEY_STOP), 1);
    pio_config_free(&config);
}

/* A setting that nothing listened to would leave the options as they are. */
static void every_model_setting_changes_the_options(void **state) {
    (void)state;
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        const pio_key_info *info = pio_key_get((pio_key)key);
        pio_config config = {0};
        pio_error error = {0};
        pio_engine_options before = {0}, after = {0}; /* no padding is written: compared bytewise */
        char text[64];
        if (info->section == PIO_SECTION_ANSWER || info->section == PIO_SECTION_FILES ||
            key == PIO_KEY_CACHE_DIRECTORY || *info->model)
            continue;
        if (key == PIO_KEY_CACHE) set_ok(&config, PIO_ORIGIN_FILE, PIO_KEY_CACHE_DIRECTORY, "/tmp");
        assert_int_equal(pio_config_engine(&config, &before, &error), PIO_OK);
        set_ok(&config, PIO_ORIGIN_CALLER, (pio_key)key, some_value(info, text, sizeof text));
        assert_int_equal(pio_config_engine(&config, &after, &error), PIO_OK);
        if (!memcmp(&before, &after, sizeof before)) fail_msg("%s changes nothing", info->name);
        pio_config_free(&config);
    }
    pio_config config = {0};
    pio_error error = {0};
    pio_engine_options options = {0};
    set_ok(&config, PIO_ORIGIN_FILE, PIO_KEY_CACHE, "on");
    assert_int_equal(pio_config_engine(&config, &options, &error), PIO_NOT_FOUND);
    assert_non_null(strstr(error.text, "cache_directory"));
    pio_config_free(&config);
}

static void choices_are_what_the_engine_knows(void **state) {
    (void)state;
    const char *backends = pio_key_get(PIO_KEY_BACKEND)->choices;
    for (int i = 0; i < PIO_BACKEND_COUNT; i++) assert_non_null(strstr(backends, pio_backend_name((pio_backend)i)));
    assert_int_equal((int)pio_key_get(PIO_KEY_MAX_SEQUENCES)->most, PIO_MAX_SLOTS);
}

static void a_system_message_is_added_where_there_is_none(void **state) {
    (void)state;
    pio_config config = {0};
    set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_SYSTEM, "Be brief.");
    json_t *without = json_pack("[{s:s,s:s}]", "role", "user", "content", "hi");
    json_t *with = json_pack("[{s:s,s:s}]", "role", "system", "content", "Be long.");
    json_t *a = pio_config_chat(&config, without), *b = pio_config_chat(&config, with);
    json_t *first = json_array_get(json_object_get(a, "messages"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "content")), "Be brief.");
    assert_int_equal(json_array_size(json_object_get(a, "messages")), 2);
    assert_int_equal(json_array_size(without), 1);
    assert_int_equal(json_array_size(json_object_get(b, "messages")), 1);
    json_decref(a);
    json_decref(b);
    json_decref(with);
    json_decref(without);
    pio_config_free(&config);
}

static void completions_stand_around_their_place(void **state) {
    (void)state;
    static const struct {
        const char *suffix, *form, *prompt;
    } cases[] = {
        {NULL, "psm", "a"},
        {"b", "psm", "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"},
        {"", "psm", "<|fim_prefix|>a<|fim_suffix|><|fim_middle|>"},
        {"b", "spm", "<|fim_suffix|>b<|fim_prefix|>a<|fim_middle|>"},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_config config = {0};
        pio_text prompt = {0};
        if (cases[i].suffix) set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_SUFFIX, cases[i].suffix);
        set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_FIM_FORM, cases[i].form);
        assert_true(pio_config_completion(&config, "a", &prompt));
        assert_int_equal(prompt.n_bytes, strlen(cases[i].prompt));
        assert_memory_equal(prompt.bytes, cases[i].prompt, prompt.n_bytes);
        pio_text_free(&prompt);
        pio_config_free(&config);
    }
}

static void settings_reach_template_and_form(void **state) {
    (void)state;
    static const char *const forms[] = {"auto", "json", "text"};
    const pio_model_family *coder = NULL;
    for (int i = 0; pio_model_family_at(i); i++)
        if (!strcmp(pio_model_family_name(pio_model_family_at(i)), "qwen3_coder_30b")) coder = pio_model_family_at(i);
    assert_non_null(coder);
    for (int i = 0; i < 3; i++) {
        pio_config config = {0};
        pio_chat_form form;
        set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_TOOL_FORM, forms[i]);
        assert_true(pio_config_form(&config, coder, &form));
        assert_int_equal(form.tags != NULL, i == 0);
        assert_int_equal(form.call_open != NULL, i < 2);
        pio_config_free(&config);
    }
    pio_config config = {0};
    json_t *messages = json_array(), *before = pio_config_chat(&config, messages);
    assert_null(json_object_get(before, "enable_thinking"));
    set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_THINKING, "off");
    set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_MAX_PIXELS, "4096");
    set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_MIN_PIXELS, "1024");
    set_ok(&config, PIO_ORIGIN_CALLER, PIO_KEY_MAX_FRAMES, "8");
    json_t *after = pio_config_chat(&config, messages);
    assert_true(json_is_false(json_object_get(after, "enable_thinking")));
    assert_int_equal(json_integer_value(json_object_get(after, "max_pixels")), 4096);
    assert_int_equal(json_integer_value(json_object_get(after, "min_pixels")), 1024);
    assert_int_equal(json_integer_value(json_object_get(after, "max_frames")), 8);
    json_decref(before);
    json_decref(after);
    json_decref(messages);
    pio_config_free(&config);
}

/* ---- docs/configuration.md ---- */

static void range_of(const pio_key_info *key, char *text, size_t bytes) {
    switch (key->type) {
    case PIO_SETTING_INTEGER:
        if (key->most > 9e18)
            snprintf(text, bytes, "whole number from %.0f", key->least);
        else
            snprintf(text, bytes, "whole number, %.0f to %.0f", key->least, key->most);
        break;
    case PIO_SETTING_NUMBER:
        snprintf(text, bytes, "number, %g to %g", key->least, key->most);
        break;
    case PIO_SETTING_BYTES:
        snprintf(text, bytes, "bytes, with K, M or G");
        break;
    case PIO_SETTING_SWITCH:
        snprintf(text, bytes, "on or off");
        break;
    case PIO_SETTING_CHOICE:
        snprintf(text, bytes, "%s", key->choices);
        break;
    case PIO_SETTING_CHOICES:
        snprintf(text, bytes, "list of %s", key->choices);
        break;
    case PIO_SETTING_TEXT:
        snprintf(text, bytes, "text");
        break;
    case PIO_SETTING_TEXTS:
        snprintf(text, bytes, "list of texts, at most %.0f", key->most);
        break;
    }
}

/* The documentation has this row for every key, and no row more. */
static void the_documentation_shows_the_rows(void **state) {
    (void)state;
    char *document;
    size_t bytes;
    pio_error error;
    int n_rows = 0, n_missing = 0;
    assert_int_equal(pio_file_read_text(PIO_SOURCE_DIR "/docs/configuration.md", 1 << 20, &document, &bytes, &error),
                     PIO_OK);
    for (int key = 0; key < PIO_KEY_COUNT; key++) {
        const pio_key_info *info = pio_key_get((pio_key)key);
        char range[200], row[600];
        range_of(info, range, sizeof range);
        snprintf(row, sizeof row, "| `%s` | %s | %s | %s%s%s%s |\n", info->name, range,
                 *info->otherwise ? info->otherwise : "-", info->help, *info->model ? " (`" : "", info->model,
                 *info->model ? "` alone)" : "");
        if (strstr(document, row)) continue;
        print_message("docs/configuration.md lacks: %s", row);
        n_missing++;
    }
    for (const char *at = document; (at = strstr(at, "\n| `")); at++) n_rows++;
    free(document);
    assert_int_equal(n_missing, 0);
    assert_int_equal(n_rows, PIO_KEY_COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_values_of_their_keys),
        cmocka_unit_test(origins_have_their_order),
        cmocka_unit_test(every_key_is_read_from_text_json_and_environment),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(names_are_refused_where_they_come_from),
        cmocka_unit_test(keys_of_another_model_are_refused),
        cmocka_unit_test(lists_grow_on_the_command_line_alone),
        cmocka_unit_test(every_model_setting_changes_the_options),
        cmocka_unit_test(choices_are_what_the_engine_knows),
        cmocka_unit_test(a_system_message_is_added_where_there_is_none),
        cmocka_unit_test(completions_stand_around_their_place),
        cmocka_unit_test(settings_reach_template_and_form),
        cmocka_unit_test(the_documentation_shows_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
