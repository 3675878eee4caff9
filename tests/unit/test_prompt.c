/* Conversations with pictures and videos become prompts: places expanded, frames paired and timed, and what cannot be
 * said in one sentence. The checkpoint is tests/data/golden/qwen3_vl_odd with a tokenizer of ASCII's characters. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/prompt.h"
#include "engine/vision.h"
#include "tests/support/engine.h"
#include "tests/support/temp_dir.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_vl_odd"

enum { IMAGE = 250, VIDEO = 251, START = 252, END = 253, FIRST_CHARACTER = 10 };

static char *directory;
static pio_speaker *speaker;

/* ---- the checkpoint ---- */

static const char template_text[] =
    "{% for m in messages %}{{ m.role[0] }}:{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content "
    "%}"
    "{% if p.type in ['image', 'image_url'] %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif p.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ p.text }}{% endif %}"
    "{% endfor %}{% endif %}{{ '\\n' }}{% endfor %}";

/* A token for each printable character and the line feed; the four special tokens where the config has them. */
static void write_tokenizer(void) {
    static const char *const special[] = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"};
    json_t *vocab = json_object(), *added = json_array();
    for (int c = 32; c < 127; c++) {
        const char character[2] = {(char)c, 0};
        json_object_set_new(vocab, c == ' ' ? "\u0120" : character, json_integer(FIRST_CHARACTER + c - 32));
    }
    json_object_set_new(vocab, "\u010a", json_integer(FIRST_CHARACTER + 95));
    for (int i = 0; i < 4; i++) {
        json_object_set_new(vocab, special[i], json_integer(IMAGE + i));
        json_array_append_new(added,
                              json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", IMAGE + i, "content", special[i],
                                        "special", 1, "normalized", 0, "lstrip", 0, "rstrip", 0, "single_word", 0));
    }
    json_t *root = json_pack("{s:s, s:o, s:n, s:{s:s, s:b, s:b, s:b}, s:n, s:{s:s, s:b, s:b, s:b}, s:{s:s, s:o, s:[]}}",
                             "version", "1.0", "added_tokens", added, "normalizer", "pre_tokenizer", "type",
                             "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0, "use_regex", 0, "post_processor",
                             "decoder", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0, "use_regex", 0,
                             "model", "type", "BPE", "vocab", vocab, "merges");
    assert_non_null(root);
    assert_int_equal(json_dump_file(root, temp_dir_path(directory, "tokenizer.json"), 0), 0);
    json_decref(root);
}

static int open_checkpoint(void **state) {
    (void)state;
    static const char *const files[] = {"config.json", "model.safetensors", "preprocessor_config.json"};
    const pio_engine_options options = test_engine_options(true);
    pio_error error;
    directory = temp_dir_make();
    for (size_t i = 0; i < PIO_COUNT(files); i++) {
        char from[512];
        snprintf(from, sizeof from, GOLDEN "/%s", files[i]);
        assert_int_equal(symlink(from, temp_dir_path(directory, files[i])), 0);
    }
    write_tokenizer();
    FILE *file = fopen(temp_dir_path(directory, "chat_template.jinja"), "w");
    assert_non_null(file);
    fputs(template_text, file);
    fclose(file);
    file = fopen(temp_dir_path(directory, "video_preprocessor_config.json"), "w");
    assert_non_null(file);
    fputs("{\"size\": {\"shortest_edge\": 1024, \"longest_edge\": 16384}}", file);
    fclose(file);
    if (pio_speaker_create(test_model_load(directory, &options), &speaker, &error)) fail_msg("%s", error.text);
    return 0;
}

static int close_checkpoint(void **state) {
    (void)state;
    pio_speaker_destroy(speaker);
    temp_dir_remove(directory);
    return 0;
}

/* ---- prompts ---- */

static pio_status make(const char *messages, pio_prompt *prompt, pio_error *error) {
    json_error_t where;
    char text[4096];
    snprintf(text, sizeof text, "{\"messages\": %s}", messages);
    for (char *at; (at = strstr(text, "$$"));) { /* the golden checkpoint's directory */
        char rest[4096];
        snprintf(rest, sizeof rest, "%s", at + 2);
        snprintf(at, sizeof text - (size_t)(at - text), "%s%s", GOLDEN, rest);
    }
    json_t *input = json_loads(text, 0, &where);
    if (!input) fail_msg("%s in %s", where.text, text);
    const pio_status status = pio_prompt_make(speaker, input, prompt, error);
    json_decref(input);
    return status;
}

/* The ids as a text, each run of image tokens as [i N], of video tokens as [v N]. */
static void expect_prompt(const char *messages, const char *wanted) {
    pio_prompt prompt;
    pio_error error = {0};
    char got[1024] = "";
    if (make(messages, &prompt, &error)) fail_msg("%s", error.text);
    for (int32_t i = 0; i < prompt.ids.n_items;) {
        const int32_t id = prompt.ids.items[i];
        int32_t n = 1;
        while ((id == IMAGE || id == VIDEO) && i + n < prompt.ids.n_items && prompt.ids.items[i + n] == id) n++;
        const size_t used = strlen(got);
        if (id == IMAGE || id == VIDEO)
            snprintf(got + used, sizeof got - used, "%c%d", id == IMAGE ? 'i' : 'v', n);
        else if (id == START || id == END)
            snprintf(got + used, sizeof got - used, "%c", id == START ? '[' : ']');
        else
            snprintf(got + used, sizeof got - used, "%c", id == FIRST_CHARACTER + 95 ? '/' : 32 + id - FIRST_CHARACTER);
        i += n;
    }
    if (strcmp(got, wanted)) fail_msg("got    %s\nwanted %s", got, wanted);
    pio_prompt_free(&prompt);
}

static void places_become_their_pictures_tokens(void **state) {
    (void)state;
    expect_prompt("[{\"role\": \"user\", \"content\": \"hi\"}]", "u:hi/");
    /* image0 is 6 x 4 patches, image1 6 x 12, image2 4 x 4 */
    expect_prompt("[{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"$$/image0.png\"}, {\"type\": "
                  "\"text\", \"text\": \"what?\"}]}]",
                  "u:[i6]what?/");
    expect_prompt(
        "[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"image_url\", "
        "\"image_url\": {\"url\": \"file://$$/image1.png\"}}]}, {\"role\": \"assistant\", \"content\": \"b\"}, "
        "{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"$$/image2.png\"}, {\"type\": "
        "\"image\", \"image\": \"$$/image0.png\"}, {\"type\": \"text\", \"text\": \"c\"}]}]",
        "u:a[i18]/a:b/u:[i4][i6]c/");
}

static void a_data_url_is_a_picture(void **state) {
    (void)state;
    /* 1 x 1, red */
    expect_prompt("[{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": "
                  "\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmM"
                  "IQAAAABJRU5ErkJggg==\"}}]}]",
                  "u:[i4]/");
}

/* Two frames a picture, the last repeated; a place and the mean of its two times each. */
static void frames_are_paired_and_timed(void **state) {
    (void)state;
    expect_prompt("[{\"role\": \"user\", \"content\": [{\"type\": \"video\", \"video\": [\"$$/image0.png\", "
                  "\"$$/image0.png\", \"$$/image0.png\", \"$$/image0.png\", \"$$/image0.png\"]}, {\"type\": \"text\", "
                  "\"text\": \"?\"}]}]",
                  "u:<0.2 seconds>[v6]<1.2 seconds>[v6]<2.0 seconds>[v6]?/");
    /* At 4 a second every other of eight is looked at, evenly spread: 0, 2, 5, 7. */
    expect_prompt("[{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"$$/image2.png\"}, {\"type\": "
                  "\"video\", \"fps\": 4, \"video\": [\"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\", "
                  "\"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\"]}]}]",
                  "u:[i4]<0.2 seconds>[v4]<1.5 seconds>[v4]/");
}

/* Limits in the input go before the checkpoint's. */
static void limits_make_pictures_smaller_and_videos_shorter(void **state) {
    (void)state;
    pio_prompt prompt;
    pio_error error = {0};
    /* 48 x 96 pixels become 16 x 32 */
    expect_prompt("[{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"$$/image1.png\"}]}], "
                  "\"max_pixels\": 1024",
                  "u:[i2]/");
    expect_prompt(
        "[{\"role\": \"user\", \"content\": [{\"type\": \"video\", \"fps\": 4, \"video\": [\"$$/image2.png\", "
        "\"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\", \"$$/image2.png\", "
        "\"$$/image2.png\", \"$$/image2.png\"]}]}], \"max_frames\": 2",
        "u:<0.9 seconds>[v4]/");
    static const char *const wrong[][2] = {{"\"max_pixels\": 0", "max_pixels"},
                                           {"\"min_pixels\": \"few\"", "min_pixels"},
                                           {"\"min_pixels\": 4096, \"max_pixels\": 1024", "4096"}};
    for (size_t i = 0; i < PIO_COUNT(wrong); i++) {
        char messages[512];
        snprintf(messages, sizeof messages,
                 "[{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"$$/image1.png\"}]}], %s",
                 wrong[i][0]);
        assert_int_equal(make(messages, &prompt, &error), PIO_INVALID_ARGUMENT);
        if (!strstr(error.text, wrong[i][1])) fail_msg("'%s' lacks '%s'", error.text, wrong[i][1]);
    }
}

static void a_pair_has_both_frames(void **state) {
    (void)state;
    pio_prompt prompt;
    pio_error error = {0};
    if (make("[{\"role\": \"user\", \"content\": [{\"type\": \"video\", \"video\": [\"$$/image0.png\", "
             "\"$$/image0.png\"]}]}]",
             &prompt, &error))
        fail_msg("%s", error.text);
    assert_int_equal(prompt.n_pictures, 1);
    const pio_picture *p = &prompt.pictures[0];
    assert_int_equal(pio_vision_check(pio_engine_model(speaker->engine), p, &error), PIO_OK);
    for (int c = 0; c < 3; c++) /* [channel, frame, 8, 8] */
        assert_memory_equal(p->patches + 128 * c, p->patches + 128 * c + 64, 64 * sizeof(float));
    pio_prompt_free(&prompt);
}

static void answers_are_to_the_picture(void **state) {
    (void)state;
    pio_prompt prompt;
    pio_error error = {0};
    static const char about[] =
        "[{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"$$/%s.png\"}]}]";
    char *texts[2];
    for (int i = 0; i < 2; i++) {
        char messages[512];
        pio_answer answer = {.sampling = pio_sampling_greedy(), .max_tokens = 12};
        snprintf(messages, sizeof messages, about, i ? "image2" : "image0");
        if (make(messages, &prompt, &error)) fail_msg("%s", error.text);
        pio_prompt_show(&prompt, &answer);
        if (pio_speaker_run(speaker, &prompt.ids, &answer, 1, NULL, NULL, &error)) fail_msg("%s", error.text);
        texts[i] = strndup(answer.text.bytes ? answer.text.bytes : "", answer.text.n_bytes);
        assert_int_equal(answer.request.n_generated, 12);
        pio_answer_free(&answer);
        pio_prompt_free(&prompt);
    }
    assert_string_not_equal(texts[0], texts[1]);
    for (int i = 0; i < 2; i++) free(texts[i]);
}

/* ---- refusals ---- */

static void what_cannot_be_is_named(void **state) {
    (void)state;
    static const struct {
        const char *content;
        pio_status status;
        const char *words[2];
    } cases[] = {
        {"[{\"type\": \"image\"}]", PIO_INVALID_ARGUMENT, {"no source", "base64"}},
        {"[{\"type\": \"image\", \"image\": 5}]", PIO_INVALID_ARGUMENT, {"no source", "image"}},
        {"[{\"type\": \"image\", \"image\": \"/nowhere.png\"}]", PIO_NOT_FOUND, {"/nowhere.png", ""}},
        {"[{\"type\": \"image\", \"image\": \"$$/config.json\"}]", PIO_UNSUPPORTED, {"config.json", "PNG"}},
        {"[{\"type\": \"image\", \"image\": \"https://a.b/c.png\"}]",
         PIO_UNSUPPORTED,
         {"https://a.b/c.png", "network"}},
        {"[{\"type\": \"image\", \"image\": \"data:image/png;base64,iVBORw0KGgo=\"}]", PIO_CORRUPT, {"truncated", ""}},
        {"[{\"type\": \"audio\", \"audio\": \"x\"}]", PIO_INVALID_ARGUMENT, {"message 1", "no text, picture or video"}},
        {"[\"hello\"]", PIO_INVALID_ARGUMENT, {"message 1", "no text, picture or video"}},
        {"[[{\"type\": \"image\", \"image\": \"$$/image0.png\"}]]", PIO_INVALID_ARGUMENT, {"message 1", "part"}},
        {"[{\"type\": \"text\", \"text\": 5}]", PIO_INVALID_ARGUMENT, {"message 1", "part"}},
        {"{}", PIO_INVALID_ARGUMENT, {"message 1", "neither a text nor a list"}},
        {"5", PIO_INVALID_ARGUMENT, {"message 1", "neither a text nor a list"}},
        {"\"<|image_pad|>\"", PIO_INVALID_ARGUMENT, {"1 places", "0 are given"}},
        {"[{\"type\": \"pixels\", \"image\": \"$$/image0.png\", \"text\": \"\"}]",
         PIO_INVALID_ARGUMENT,
         {"0 places", "1 are given"}},
        {"[{\"type\": \"video\", \"video\": \"film.mp4\"}]", PIO_UNSUPPORTED, {"list of frames", ""}},
        {"[{\"type\": \"video\", \"video\": []}]", PIO_UNSUPPORTED, {"list of frames", ""}},
        {"[{\"type\": \"video\", \"video\": [\"$$/image0.png\"], \"fps\": 0}]", PIO_INVALID_ARGUMENT, {"fps", "0"}},
        {"[{\"type\": \"video\", \"video\": [\"$$/image0.png\", \"$$/image1.png\"]}]",
         PIO_INVALID_ARGUMENT,
         {"37 x 53", "90 x 41"}},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_prompt prompt;
        pio_error error = {0};
        char messages[1024];
        snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": %s}]", cases[i].content);
        const pio_status status = make(messages, &prompt, &error);
        if (status != cases[i].status) fail_msg("%s: %s: %s", cases[i].content, pio_status_name(status), error.text);
        for (int k = 0; k < 2; k++)
            if (!strstr(error.text, cases[i].words[k])) fail_msg("'%s' lacks '%s'", error.text, cases[i].words[k]);
        assert_null(strchr(error.text, '\n'));
        assert_int_equal(prompt.n_pictures, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_become_their_pictures_tokens),
        cmocka_unit_test(a_data_url_is_a_picture),
        cmocka_unit_test(frames_are_paired_and_timed),
        cmocka_unit_test(limits_make_pictures_smaller_and_videos_shorter),
        cmocka_unit_test(a_pair_has_both_frames),
        cmocka_unit_test(answers_are_to_the_picture),
        cmocka_unit_test(what_cannot_be_is_named),
    };
    return cmocka_run_group_tests(tests, open_checkpoint, close_checkpoint);
}
