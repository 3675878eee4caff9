/* The plugin interface as a program uses it: its life, answers three ways, streams, cancelling, and every mistake. */
#include "tests/support/test.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inference_pio/plugin.h"
#include "models/model.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "text/utf8.h"

#define TINY PIO_SOURCE_DIR "/assets/tiny/qwen3_4b_instruct_2507"
#define OPTIONS(...)                                                                                                   \
    (&(const pio_options){(const pio_option[]){__VA_ARGS__},                                                           \
                          sizeof((const pio_option[]){__VA_ARGS__}) / sizeof(pio_option)})

static const struct {
    const char *model, *name;
    pio_status (*create)(pio_plugin **out, pio_error *error);
} creates[] = {
    {"qwen3_4b_instruct_2507", "qwen3_4b_instruct_2507", pio_create_qwen3_4b_instruct_2507_plugin},
    {"glm_4_7_flash", "glm_4_7_flash", pio_create_glm_4_7_flash_plugin},
    {"qwen3_coder_30b", "qwen3_coder_30b", pio_create_qwen3_coder_30b_plugin},
    {"qwen3_vl_2b", "qwen3_vl_2b_instruct", pio_create_qwen3_vl_2b_instruct_plugin},
};

static pio_plugin *create(void) {
    pio_plugin *p;
    pio_error error = {0};
    assert_int_equal(pio_create_qwen3_4b_instruct_2507_plugin(&p, &error), PIO_OK);
    return p;
}

static void good(pio_plugin *p, pio_status status) {
    if (status) fail_msg("%s", pio_plugin_error(p));
    assert_string_equal(pio_plugin_error(p), "");
}

static pio_plugin *loaded(void) {
    pio_plugin *p = create();
    good(p, pio_plugin_initialize(p, OPTIONS({"threads", "2"}, {"backend", "cpu"})));
    good(p, pio_plugin_load_model(p, TINY));
    return p;
}

/* The call failed with this status and one sentence that holds the words. */
static void refused(pio_plugin *p, pio_status status, pio_status expected, const char *word, const char *other) {
    const char *text = pio_plugin_error(p);
    if (status != expected) fail_msg("status %s: %s", pio_status_name(status), text);
    assert_null(strchr(text, '\n'));
    if (!strstr(text, word) || !strstr(text, other)) fail_msg("'%s' lacks '%s' or '%s'", text, word, other);
}

static void every_model_has_its_function(void **state) {
    (void)state;
    int n = 0;
    for (const pio_model_family *family; (family = pio_model_family_at(n)); n++) {
        size_t i = 0;
        while (i < PIO_COUNT(creates) && strcmp(creates[i].model, pio_model_family_name(family))) i++;
        if (i == PIO_COUNT(creates)) fail_msg("%s has no create function", pio_model_family_name(family));
    }
    assert_int_equal(n, PIO_COUNT(creates));
    for (size_t i = 0; i < PIO_COUNT(creates); i++) {
        pio_plugin *p;
        pio_error error = {0};
        assert_int_equal(creates[i].create(&p, &error), PIO_OK);
        assert_string_equal(pio_plugin_name(p), creates[i].name);
        good(p, pio_plugin_initialize(p, OPTIONS({"max_tokens", "20"})));
        char tiny[512];
        snprintf(tiny, sizeof tiny, PIO_SOURCE_DIR "/assets/tiny/%s/config.json", creates[i].model);
        if (access(tiny, R_OK)) { /* no sibling is bundled */
            refused(p, pio_plugin_load_model(p, NULL), PIO_NOT_FOUND, creates[i].model, "bundled");
        } else {
            pio_result *result;
            good(p, pio_plugin_load_model(p, NULL));
            assert_true(pio_plugin_is_bundled(p));
            good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}), &result));
            assert_true(pio_result_answer_tokens(result) > 0);
            pio_result_free(result);
        }
        pio_plugin_cleanup(p);
    }
}

/* The life of the header's example, on the bundled checkpoint, which is named. */
static void a_life_without_arguments(void **state) {
    (void)state;
    pio_plugin *p = create();
    pio_result *result;
    assert_string_equal(pio_plugin_model(p), "");
    assert_string_equal(pio_plugin_device(p), "");
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, NULL));
    assert_true(pio_plugin_is_bundled(p));
    assert_non_null(strstr(pio_plugin_model(p), "/assets/tiny/qwen3_4b_instruct_2507"));
    assert_non_null(strstr(pio_plugin_device(p), "cpu:0"));
    assert_string_equal(pio_plugin_warnings(p), "");
    good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}), &result));
    assert_string_equal(pio_result_text(result), "47 + 38 = 85.");
    assert_int_equal(pio_result_text_bytes(result), 13);
    assert_string_equal(pio_result_finish(result), "stop");
    assert_true(pio_result_prompt_tokens(result) > 10 && pio_result_answer_tokens(result) > 5);
    assert_int_equal(pio_result_cached_tokens(result), 0);
    assert_true(pio_result_prompt_seconds(result) > 0 && pio_result_answer_seconds(result) > 0);
    pio_plugin_cleanup(p);
    assert_string_equal(pio_result_text(result), "47 + 38 = 85."); /* outlives the plugin */
    pio_result_free(result);
}

static void calls_out_of_order_are_refused(void **state) {
    (void)state;
    pio_plugin *p = create();
    pio_result *result = (pio_result *)&p;
    refused(p, pio_plugin_load_model(p, NULL), PIO_INVALID_ARGUMENT, "not initialized", "pio_plugin_initialize");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "hi"}), &result), PIO_INVALID_ARGUMENT, "no model", "load_model");
    assert_null(result);
    refused(p, pio_plugin_generate_text(p, "hi", NULL, NULL, NULL, &result), PIO_INVALID_ARGUMENT, "no model", "load");
    refused(p, pio_plugin_chat_completion(p, "[]", NULL, NULL, NULL, &result), PIO_INVALID_ARGUMENT, "no model",
            "load");
    assert_null(pio_plugin_settings(p));
    assert_non_null(strstr(pio_plugin_error(p), "no model"));
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, NULL));
    refused(p, pio_plugin_initialize(p, NULL), PIO_INVALID_ARGUMENT, "loaded already", "before");
    pio_plugin_cleanup(p);
    pio_plugin_cleanup(NULL);
    pio_plugin_cancel(NULL);
    pio_result_free(NULL);
    assert_string_equal(pio_result_text(NULL), "");
    assert_string_equal(pio_result_reasoning(NULL), "");
    assert_string_equal(pio_result_finish(NULL), "");
    assert_int_equal(pio_result_n_calls(NULL), 0);
    assert_string_equal(pio_result_call_arguments(NULL, 0), "{}");
    assert_int_equal(pio_create_qwen3_coder_30b_plugin(NULL, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_plugin_initialize(NULL, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_plugin_load_model(NULL, NULL), PIO_INVALID_ARGUMENT);
    assert_int_equal(pio_plugin_infer(NULL, NULL, &result), PIO_INVALID_ARGUMENT);
    assert_null(pio_plugin_settings(NULL));
    assert_true(strlen(pio_plugin_error(NULL)) > 0);
}

static void wrong_settings_leave_the_plugin_as_it_was(void **state) {
    (void)state;
    pio_plugin *p = create();
    static char wrong[] = "PIO_WEIGHTS=q3", right[] = "PIO_WEIGHTS=q8";
    char *environment[] = {right, wrong, NULL};
    refused(p, pio_plugin_initialize(p, OPTIONS({"weights", "q4"}, {"thread", "2"})), PIO_INVALID_ARGUMENT, "'thread'",
            "did you mean threads");
    refused(p, pio_plugin_initialize(p, OPTIONS({"threads", "none"})), PIO_INVALID_ARGUMENT, "threads", "'none'");
    refused(p, pio_plugin_initialize(p, OPTIONS({"threads", NULL})), PIO_INVALID_ARGUMENT, "option 0", "value");
    refused(p, pio_plugin_read_environment(p, environment), PIO_INVALID_ARGUMENT, "PIO_WEIGHTS", "'q3'");
    refused(p, pio_plugin_read_config(p, NULL), PIO_INVALID_ARGUMENT, "NULL", "file");
    refused(p, pio_plugin_read_config(p, "/no/such.json"), PIO_NOT_FOUND, "/no/such.json", "");
    refused(p, pio_plugin_load_model(p, NULL), PIO_INVALID_ARGUMENT, "not initialized", "");
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, NULL));
    json_t *settings = json_loads(pio_plugin_settings(p), 0, NULL), *weights = json_object_get(settings, "weights");
    assert_string_equal(json_string_value(json_object_get(weights, "value")), "bf16");
    assert_string_equal(json_string_value(json_object_get(weights, "from")), "default");
    json_decref(settings);
    pio_plugin_cleanup(p);
}

static void settings_come_from_everywhere(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    static const char json[] = "{\"top_k\": 3, \"max_sequences\": 2, \"context\": 200}";
    static char weights[] = "PIO_WEIGHTS=q8", context[] = "PIO_CONTEXT=300";
    char *environment[] = {weights, context, NULL};
    pio_plugin *p = create();
    good(p, pio_plugin_initialize(p, OPTIONS({"context", "256"}, {"system", "You are terse."})));
    good(p, pio_plugin_read_environment(p, environment));
    good(p, pio_plugin_read_config(p, temp_dir_write(directory, "s.json", json, sizeof json - 1)));
    good(p, pio_plugin_load_model(p, NULL));
    json_t *settings = json_loads(pio_plugin_settings(p), 0, NULL), *value;
    static const struct {
        const char *key, *json, *from;
    } expected[] = {{"context", "256", "context"},
                    {"weights", "\"q8\"", "PIO_WEIGHTS"},
                    {"top_k", "3", NULL},
                    {"max_sequences", "2", NULL},
                    {"backend", "\"cpu\"", "chosen"},
                    {"system", "\"You are terse.\"", "system"}};
    for (size_t i = 0; i < PIO_COUNT(expected); i++) {
        value = json_object_get(settings, expected[i].key);
        char *text = json_dumps(json_object_get(value, "value"), JSON_ENCODE_ANY);
        const char *from = json_string_value(json_object_get(value, "from"));
        assert_string_equal(text, expected[i].json);
        if (expected[i].from)
            assert_string_equal(from, expected[i].from);
        else
            assert_non_null(strstr(from, "s.json"));
        free(text);
    }
    json_decref(settings);
    pio_plugin_cleanup(p);
    temp_dir_remove(directory);
}

static void models_are_found_or_refused(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    pio_plugin *p = create(), *other;
    pio_error error;
    good(p, pio_plugin_initialize(p, NULL));
    refused(p, pio_plugin_load_model(p, "nonesuch"), PIO_NOT_FOUND, "'nonesuch'", "bundled");
    refused(p, pio_plugin_load_model(p, directory), PIO_NOT_FOUND, directory, "config.json");
    assert_string_equal(pio_plugin_model(p), "");
    good(p, pio_plugin_load_model(p, TINY));
    assert_false(pio_plugin_is_bundled(p)); /* given by its path */
    assert_string_equal(pio_plugin_model(p), TINY);
    good(p, pio_plugin_load_model(p, "qwen3_4b_instruct_2507"));
    assert_true(pio_plugin_is_bundled(p));
    refused(p, pio_plugin_load_model(p, directory), PIO_NOT_FOUND, directory, "");
    assert_string_equal(pio_plugin_model(p), ""); /* the one before is closed */
    assert_int_equal(pio_create_qwen3_vl_2b_instruct_plugin(&other, &error), PIO_OK);
    good(other, pio_plugin_initialize(other, NULL));
    refused(other, pio_plugin_load_model(other, TINY), PIO_INVALID_ARGUMENT, "Qwen3-4B-Instruct-2507", "Qwen3-VL-2B");
    pio_plugin_cleanup(other);
    pio_plugin_cleanup(p);
    temp_dir_remove(directory);
}

/* ---- answers ---- */

typedef struct heard {
    char text[4096];
    size_t bytes;
    int n_calls, stop_after;
    pio_plugin *cancels;
} heard;

static bool hear(void *user, pio_delta delta, int32_t call, const char *text, size_t bytes) {
    heard *h = user;
    assert_int_equal(delta, PIO_DELTA_TEXT);
    assert_int_equal(call, 0);
    assert_true(bytes > 0 && h->bytes + bytes < sizeof h->text);
    assert_int_equal(pio_utf8_valid_prefix(text, bytes), bytes);
    memcpy(h->text + h->bytes, text, bytes);
    h->bytes += bytes;
    h->n_calls++;
    if (h->cancels) pio_plugin_cancel(h->cancels);
    return h->n_calls != h->stop_after;
}

#define STORY "[{\"role\": \"user\", \"content\": \"Tell me a story.\"}]"
#define HOT                                                                                                            \
    {"temperature", "3"}, {"seed", "7"}, {                                                                             \
        "max_tokens", "60"                                                                                             \
    }

static void streams_are_the_answer(void **state) {
    (void)state;
    pio_plugin *p = loaded();
    pio_result *whole, *again, *stopped;
    heard h = {0}, half = {.stop_after = 4}, cancelled = {.cancels = p};
    good(p, pio_plugin_chat_completion(p, STORY, OPTIONS(HOT), hear, &h, &whole));
    assert_int_equal(h.bytes, pio_result_text_bytes(whole));
    assert_memory_equal(h.text, pio_result_text(whole), h.bytes);
    assert_true(h.n_calls > 5);
    good(p, pio_plugin_chat_completion(p, "{\"messages\": " STORY "}", OPTIONS(HOT), NULL, NULL, &again));
    assert_string_equal(pio_result_text(again), pio_result_text(whole));
    good(p, pio_plugin_chat_completion(p, STORY, OPTIONS(HOT), hear, &half, &stopped));
    assert_int_equal(half.n_calls, 4);
    assert_int_equal(half.bytes, pio_result_text_bytes(stopped));
    assert_memory_equal(half.text, h.text, half.bytes);
    assert_string_equal(pio_result_finish(stopped), "stop");
    pio_result_free(stopped);
    good(p, pio_plugin_chat_completion(p, STORY, OPTIONS(HOT), hear, &cancelled, &stopped));
    assert_string_equal(pio_result_finish(stopped), "cancelled");
    assert_true(cancelled.n_calls < 4);
    assert_memory_equal(cancelled.text, h.text, cancelled.bytes);
    pio_result_free(stopped);
    pio_result_free(whole);
    pio_result_free(again);
    pio_plugin_cleanup(p);
}

/* A prompt as it stands is the same as the messages that render to it. */
static void texts_turns_and_conversations_agree(void **state) {
    (void)state;
    pio_plugin *p = loaded();
    pio_result *turn, *chat, *raw;
    good(p, pio_plugin_infer(p, OPTIONS({"text", "Spell house."}, {"max_tokens", "20"}), &turn));
    good(p,
         pio_plugin_chat_completion(p, "[{\"role\":\"user\",\"content\":\"Spell house.\"}]", NULL, NULL, NULL, &chat));
    good(p, pio_plugin_generate_text(p, "<|im_start|>user\nSpell house.<|im_end|>\n<|im_start|>assistant\n", NULL, NULL,
                                     NULL, &raw));
    assert_true(strlen(pio_result_text(turn)) > 4);
    assert_string_equal(pio_result_text(turn), pio_result_text(chat));
    assert_string_equal(pio_result_text(turn), pio_result_text(raw));
    assert_int_equal(pio_result_prompt_tokens(turn), pio_result_prompt_tokens(raw));
    pio_result_free(turn);
    pio_result_free(chat);
    pio_result_free(raw);
    pio_plugin_cleanup(p);
}

/* ---- answers taken apart ---- */

/* A copy of the tiny checkpoint whose token "Your" says `instead`, and whose template ends with `opening`. */
static char *make_speaker_of(const char *instead, const char *opening) {
    static const char *const files[] = {"config.json", "generation_config.json", "model.safetensors",
                                        "tokenizer_config.json"};
    char *directory = temp_dir_make(), path[512];
    for (size_t i = 0; i < PIO_COUNT(files); i++) {
        snprintf(path, sizeof path, TINY "/%s", files[i]);
        assert_int_equal(symlink(path, temp_dir_path(directory, files[i])), 0);
    }
    json_t *tokenizer = json_load_file(TINY "/tokenizer.json", 0, NULL), *merge;
    json_t *model = json_object_get(tokenizer, "model"), *vocab = json_object_get(model, "vocab");
    json_t *merges = json_object_get(model, "merges"), *id = json_incref(json_object_get(vocab, "Your"));
    size_t i;
    json_array_foreach(merges, i, merge) {
        char whole[64];
        snprintf(whole, sizeof whole, "%s%s", json_string_value(json_array_get(merge, 0)),
                 json_string_value(json_array_get(merge, 1)));
        if (!strcmp(whole, "Your")) json_array_remove(merges, i--);
    }
    json_object_del(vocab, "Your");
    json_object_set_new(vocab, instead, id);
    assert_int_equal(json_dump_file(tokenizer, temp_dir_path(directory, "tokenizer.json"), 0), 0);
    json_decref(tokenizer);
    char template[1024];
    const int n =
        snprintf(template, sizeof template,
                 "{%% for m in messages %%}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{%% endfor %%}"
                 "{%% for m in messages %%}{%% for c in m.tool_calls or [] %%}{{ c.function.arguments.a }}"
                 "{%% endfor %%}{%% endfor %%}<|im_start|>assistant{{ '\\n' }}%s",
                 opening);
    temp_dir_write(directory, "chat_template.jinja", template, (size_t)n);
    return directory;
}

#define ADA                                                                                                            \
    "{\"role\": \"user\", \"content\": \"My name is Ada.\"}, {\"role\": \"assistant\", \"content\": \"Nice to meet "   \
    "you, Ada!\"}, {\"role\": \"user\", \"content\": \"What is my name?\"}"
#define NOW "{\"type\": \"function\", \"function\": {\"name\": \"now\", \"parameters\": {\"type\": \"object\"}}}"

typedef struct told {
    char log[2048];
    int stop_at;
} told;

static bool log_delta(void *user, pio_delta delta, int32_t call, const char *text, size_t bytes) {
    static const char *const names[] = {"text", "reasoning", "id", "name", "arguments"};
    told *t = user;
    const size_t used = strlen(t->log);
    assert_true(used + bytes + 32 < sizeof t->log);
    snprintf(t->log + used, sizeof t->log - used, "%s%d[%.*s]", names[delta], (int)call, (int)bytes, text);
    return (int)delta != t->stop_at;
}

static void calls_are_taken_out_of_the_text(void **state) {
    (void)state;
    char *directory = make_speaker_of("Well.<tool_call>{\"name\":\"now\",\"arguments\":{\"a\":[1]}}</tool_call>", "");
    pio_plugin *p = create();
    pio_result *result;
    told t = {.stop_at = -1}, cut = {.stop_at = PIO_DELTA_CALL_NAME};
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, directory));
    good(p, pio_plugin_chat_completion(p, "{\"messages\": [" ADA "], \"tools\": [" NOW "]}", NULL, log_delta, &t,
                                       &result));
    assert_string_equal(pio_result_text(result), "Well. name is Ada.");
    assert_string_equal(pio_result_finish(result), "tool_calls");
    assert_int_equal(pio_result_n_calls(result), 1);
    assert_string_equal(pio_result_call_name(result, 0), "now");
    assert_string_equal(pio_result_call_arguments(result, 0), "{\"a\": [1]}");
    assert_int_equal(strncmp(pio_result_call_id(result, 0), "call_0_", 7), 0);
    assert_string_equal(pio_result_call_name(result, 1), "");
    assert_string_equal(pio_result_call_arguments(result, -1), "{}");
    assert_string_equal(pio_result_reasoning(result), "");
    assert_non_null(strstr(t.log, "text0[Well.]id0[call_0_"));
    assert_non_null(strstr(t.log, "]name0[now]arguments0[{\"a\": [1]}]text0[ name]"));
    pio_result_free(result);
    good(p, pio_plugin_chat_completion(p, "{\"messages\": [" ADA "], \"tools\": [" NOW "]}", NULL, log_delta, &cut,
                                       &result));
    assert_int_equal(pio_result_n_calls(result), 1);
    assert_null(strstr(cut.log, "arguments"));
    pio_result_free(result);
    /* Without tools it is text. */
    good(p, pio_plugin_chat_completion(p, "[" ADA "]", NULL, NULL, NULL, &result));
    assert_non_null(strstr(pio_result_text(result), "<tool_call>"));
    assert_int_equal(pio_result_n_calls(result), 0);
    assert_string_equal(pio_result_finish(result), "stop");
    pio_result_free(result);
    refused(p, pio_plugin_chat_completion(p, "{\"messages\": [" ADA "], \"tools\": [{}]}", NULL, NULL, NULL, &result),
            PIO_INVALID_ARGUMENT, "tools", "no name");
    pio_plugin_cleanup(p);
    temp_dir_remove(directory);
}

static void reasoning_is_taken_out_of_the_text(void **state) {
    (void)state;
    char *directory = make_speaker_of("<think>Hm.</think>Your", "");
    pio_plugin *p = create();
    pio_result *result;
    told t = {.stop_at = -1};
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, directory));
    good(p, pio_plugin_chat_completion(p, "[" ADA "]", NULL, log_delta, &t, &result));
    assert_string_equal(pio_result_reasoning(result), "Hm.");
    assert_int_equal(pio_result_reasoning_bytes(result), 3);
    assert_string_equal(pio_result_text(result), "Your name is Ada.");
    assert_int_equal(strncmp(t.log, "reasoning0[Hm.]text0[Your", 25), 0);
    pio_result_free(result);
    pio_plugin_cleanup(p);
    temp_dir_remove(directory);
}

#define ENDLESS                                                                                                        \
    { "logit_bias", "[\"509=-1000\", \"510=-1000\", \"511=-1000\"]" }

/* A prompt that opens the reasoning, and a model that would never close it. */
static void reasoning_ends_with_its_budget(void **state) {
    (void)state;
    char *directory = make_speaker_of("Your", "<think>");
    pio_plugin *p = create();
    pio_result *result;
    char five[512], inside[600];
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, directory));
    good(p, pio_plugin_chat_completion(p, "[" ADA "]",
                                       OPTIONS({"max_tokens", "5"}, {"temperature", "1"}, {"seed", "3"}, ENDLESS), NULL,
                                       NULL, &result));
    assert_string_equal(pio_result_text(result), "");
    assert_string_equal(pio_result_finish(result), "length");
    snprintf(five, sizeof five, "%s", pio_result_reasoning(result));
    pio_result_free(result);
    for (int i = 0; i < 3; i++) {
        static const char *const modes[] = {"separate", "inline", "hidden"};
        told t = {.stop_at = -1};
        good(p,
             pio_plugin_chat_completion(p, "[" ADA "]",
                                        OPTIONS({"max_tokens", "12"}, {"thinking_budget", "5"}, {"reasoning", modes[i]},
                                                {"temperature", "1"}, {"seed", "3"}, ENDLESS),
                                        log_delta, &t, &result));
        assert_true(pio_result_answer_tokens(result) > 5 && pio_result_answer_tokens(result) <= 12);
        assert_true(pio_result_prompt_tokens(result) < 80);
        if (i == 0) {
            assert_string_equal(pio_result_reasoning(result), five);
            assert_true(pio_result_text_bytes(result) > 0);
        } else {
            assert_string_equal(pio_result_reasoning(result), "");
            assert_null(strstr(t.log, "reasoning0"));
        }
        snprintf(inside, sizeof inside, "<think>%s</think>", five);
        assert_int_equal(strstr(pio_result_text(result), inside) != NULL, i == 1);
        pio_result_free(result);
    }
    good(p, pio_plugin_chat_completion(p, "[" ADA "]", OPTIONS({"max_tokens", "6"}, {"thinking_budget", "0"}, ENDLESS),
                                       NULL, NULL, &result));
    assert_string_equal(pio_result_reasoning(result), "");
    assert_true(pio_result_text_bytes(result) > 0);
    pio_result_free(result);
    pio_plugin_cleanup(p);
    temp_dir_remove(directory);
}

/* OpenAI's interface has arguments as text; templates want an object. */
static void arguments_of_earlier_calls_are_read(void **state) {
    (void)state;
    char *directory = make_speaker_of("Your", "");
    pio_plugin *p = create();
    pio_result *with, *without;
    good(p, pio_plugin_initialize(p, NULL));
    good(p, pio_plugin_load_model(p, directory));
    good(p, pio_plugin_chat_completion(p,
                                       "[{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"function\":"
                                       "{\"name\": \"now\", \"arguments\": \"{\\\"a\\\": \\\"x y z\\\"}\"}}]}]",
                                       OPTIONS({"max_tokens", "1"}), NULL, NULL, &with));
    good(p, pio_plugin_chat_completion(p, "[{\"role\": \"assistant\", \"content\": \"\"}]",
                                       OPTIONS({"max_tokens", "1"}), NULL, NULL, &without));
    assert_true(pio_result_prompt_tokens(with) > pio_result_prompt_tokens(without));
    pio_result_free(with);
    pio_result_free(without);
    refused(p,
            pio_plugin_chat_completion(p,
                                       "[{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\":"
                                       "\"now\", \"arguments\": \"[\"}}]}]",
                                       NULL, NULL, NULL, &with),
            PIO_INVALID_ARGUMENT, "tool call 0", "message 0");
    pio_plugin_cleanup(p);
    temp_dir_remove(directory);
}

static void settings_of_one_answer_are_its_own(void **state) {
    (void)state;
    pio_plugin *p = loaded();
    pio_result *result;
    good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}, {"max_tokens", "3"}), &result));
    assert_int_equal(pio_result_answer_tokens(result), 3);
    assert_string_equal(pio_result_finish(result), "length");
    pio_result_free(result);
    good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}, {"stop", "[\" =\", \"x\"]"}), &result));
    assert_string_equal(pio_result_text(result), "47 + 38");
    pio_result_free(result);
    good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}), &result));
    assert_string_equal(pio_result_text(result), "47 + 38 = 85.");
    pio_result_free(result);
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "hi"}, {"threads", "2"}), &result), PIO_INVALID_ARGUMENT, "threads",
            "pio_plugin_initialize");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "hi"}, {"topk", "2"}), &result), PIO_INVALID_ARGUMENT, "'topk'",
            "did you mean top_k");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "hi"}, {"logit_bias", "512=1"}), &result), PIO_INVALID_ARGUMENT,
            "512", "vocabulary");
    pio_plugin_cleanup(p);
}

static void wrong_input_is_a_sentence(void **state) {
    (void)state;
    pio_plugin *p = loaded();
    pio_result *result;
    static const struct {
        const char *messages, *words[2];
    } chats[] = {
        {"[", {"messages", "line 1"}},
        {"[]", {"messages", "role"}},
        {"7", {"messages", "JSON"}},
        {"{}", {"messages", "role"}},
        {"{\"messages\": {}}", {"messages", "role"}},
        {"[{\"content\": \"hi\"}]", {"message 0", "role"}},
        {"[{\"role\": \"user\", \"content\": \"hi\"}, \"ho\"]", {"message 1", "role"}},
        {"[{\"role\": \"user\", \"content\": \"\xff\"}]", {"messages", "UTF-8"}},
        {NULL, {"messages", "NULL"}},
    };
    for (size_t i = 0; i < PIO_COUNT(chats); i++) {
        result = (pio_result *)&p;
        pio_status status = pio_plugin_chat_completion(p, chats[i].messages, NULL, NULL, NULL, &result);
        refused(p, status, PIO_INVALID_ARGUMENT, chats[i].words[0], chats[i].words[1]);
        assert_null(result);
    }
    refused(p, pio_plugin_infer(p, NULL, &result), PIO_INVALID_ARGUMENT, "text", "input");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "a"}, {"text", "b"}), &result), PIO_INVALID_ARGUMENT, "two",
            "text");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "\x80"}), &result), PIO_INVALID_ARGUMENT, "text", "UTF-8");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", NULL}), &result), PIO_INVALID_ARGUMENT, "text", "");
    refused(p, pio_plugin_generate_text(p, "", NULL, NULL, NULL, &result), PIO_INVALID_ARGUMENT, "empty", "prompt");
    refused(p, pio_plugin_generate_text(p, NULL, NULL, NULL, NULL, &result), PIO_INVALID_ARGUMENT, "prompt", "NULL");
    refused(p, pio_plugin_infer(p, OPTIONS({"text", "hi"}), NULL), PIO_INVALID_ARGUMENT, "result", "NULL");
    good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}), &result)); /* it is as good as before */
    assert_string_equal(pio_result_text(result), "47 + 38 = 85.");
    pio_result_free(result);
    pio_plugin_cleanup(p);
}

static void *cancel_soon(void *user) {
    usleep(20000);
    pio_plugin_cancel(user);
    return NULL;
}

/* From another thread: a prompt that would take a while, and an answer that would go on for ever. */
static void cancelled_from_another_thread(void **state) {
    (void)state;
    pio_plugin *p = loaded();
    pio_result *result;
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, p), 0);
        pio_status status = pio_plugin_generate_text(
            p, "one two", OPTIONS({"temperature", "50"}, {"max_tokens", "1000"}), NULL, NULL, &result);
        assert_int_equal(pthread_join(thread, NULL), 0);
        good(p, status);
        pio_result_free(result);
    }
    pio_plugin_cancel(p); /* with nothing under way it does nothing */
    good(p, pio_plugin_infer(p, OPTIONS({"text", "What is 47 + 38?"}), &result));
    assert_string_equal(pio_result_text(result), "47 + 38 = 85.");
    pio_result_free(result);
    pio_plugin_cleanup(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_has_its_function),
        cmocka_unit_test(a_life_without_arguments),
        cmocka_unit_test(calls_out_of_order_are_refused),
        cmocka_unit_test(wrong_settings_leave_the_plugin_as_it_was),
        cmocka_unit_test(settings_come_from_everywhere),
        cmocka_unit_test(models_are_found_or_refused),
        cmocka_unit_test(streams_are_the_answer),
        cmocka_unit_test(texts_turns_and_conversations_agree),
        cmocka_unit_test(calls_are_taken_out_of_the_text),
        cmocka_unit_test(reasoning_is_taken_out_of_the_text),
        cmocka_unit_test(reasoning_ends_with_its_budget),
        cmocka_unit_test(arguments_of_earlier_calls_are_read),
        cmocka_unit_test(settings_of_one_answer_are_its_own),
        cmocka_unit_test(wrong_input_is_a_sentence),
        cmocka_unit_test(cancelled_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
