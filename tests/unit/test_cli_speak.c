/* run: answers, batches, stop strings, and what is refused. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cli.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

static void expect_answer(const cli_call *call, const char *answer) {
    cli_result r = cli_run(call);
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    assert_int_equal(strncmp(r.err, "device: ", 8), 0);
    assert_string_equal(r.out, answer);
    cli_free(&r);
}

#define EXPECT_ANSWER(answer, ...)                                                                                     \
    expect_answer(&(const cli_call){.arguments = (const char *const[]){__VA_ARGS__, NULL}}, answer)

static void answers(void **state) {
    (void)state;
    EXPECT_ANSWER("12 + 34 = 46.\n", "run", CLI_TINY, "What is 12 + 34?");
    EXPECT_ANSWER("12 + 34 = 46.\n", "run", CLI_TINY_PATH, "What is 12 + 34?", "--compute", "f32", "--threads", "1");
    EXPECT_ANSWER("12 + 34 = 46.\n", "run", CLI_TINY, "--weights=q8", "--", "What is 12 + 34?");
    EXPECT_ANSWER("12 + 34 = 46.\n", "run", CLI_TINY, "What is 12 + 34?", "--cpu-without", "avx2");
    EXPECT_ANSWER("12 + 34\n", "run", CLI_TINY, "What is 12 + 34?", "--stop", " =", "--stop", "never");
    EXPECT_ANSWER("\n", "run", CLI_TINY, "What is 12 + 34?", "--stop", "1");
    cli_result r = CLI("run", CLI_TINY, "What is 12 + 34?", "--max-tokens", "2", "--stats");
    CLI_EXPECT(&r, CLI_DONE, "device: ", "prompt: ", "(0 from the cache)", "answer: 2 tokens");
    cli_free(&r);
}

/* The same seed draws the same text, whatever the threads; another draws another. */
static void seeds(void **state) {
    (void)state;
    test_random random = test_random_begin("seeds");
    char seed[24], other[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)test_random_u64(&random) >> 1);
    snprintf(other, sizeof other, "%llu", (unsigned long long)test_random_u64(&random) >> 1);
    const char *const runs[3][2] = {{seed, "1"}, {seed, "2"}, {other, "2"}};
    cli_result r[3];
    for (int i = 0; i < 3; i++) {
        r[i] = CLI("run", CLI_TINY, "Tell me a story.", "--temperature", "5", "--max-tokens", "40", "--compute", "f32",
                   "--seed", runs[i][0], "--threads", runs[i][1]);
        CLI_EXPECT(&r[i], CLI_DONE, NULL);
    }
    assert_string_equal(r[0].out, r[1].out);
    assert_string_not_equal(r[0].out, r[2].out);
    for (int i = 0; i < 3; i++) cli_free(&r[i]);
}

/* What is drawn hot is any bytes; what leaves is UTF-8. */
static void always_utf8(void **state) {
    (void)state;
    test_random random = test_random_begin("always_utf8");
    for (int i = 0; i < 5; i++) {
        char seed[24];
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)test_random_u64(&random) >> 1);
        cli_result r = CLI("run", CLI_TINY, "hi", "--temperature", "100", "--max-tokens", "120", "--seed", seed);
        CLI_EXPECT(&r, CLI_DONE, NULL);
        json_t *text = json_stringn(r.out, r.n_out);
        if (!text) fail_msg("the answer with --seed %s is no UTF-8", seed);
        json_decref(text);
        cli_free(&r);
    }
}

static void prompts_refused(void **state) {
    (void)state;
    char longest[6 * 1100 + 1] = "";
    for (int i = 0; i < 1100; i++) strcat(longest, "seven ");
    CLI_REFUSES(CLI_REFUSED, ("UTF-8", "prompt"), "run", CLI_TINY, "caf\xe9");
    CLI_REFUSES(CLI_USAGE, ("UTF-8", "--system"), "run", CLI_TINY, "hi", "--system", "\xed\xa0\x80");
    CLI_REFUSES(CLI_USAGE, ("UTF-8", "--stop"), "chat", CLI_TINY, "--stop", "\xc0\x80");
    CLI_REFUSES(CLI_REFUSED, ("tokens", "1024"), "run", CLI_TINY, longest);
    CLI_REFUSES(CLI_REFUSED, ("tokens", "holds 16"), "run", CLI_TINY, "What is 12 + 34?", "--context=16");
    CLI_REFUSES(CLI_REFUSED, ("without eyes"), "run", CLI_TINY, "hi", "--image", "cat.png");
    CLI_REFUSES(CLI_REFUSED, ("token 512", "vocabulary"), "run", CLI_TINY, "hi", "--logit-bias", "512=1");
    CLI_REFUSES(CLI_REFUSED, ("nothing.jsonl"), "run", CLI_TINY, "--batch-file", "nothing.jsonl");
    CLI_REFUSES(CLI_REFUSED, (CLI_TINY_PATH, "directory"), "run", CLI_TINY, "--batch-file", CLI_TINY_PATH);
}

/* The context ends the answer, not the program, and the user hears of it. */
static void context_full(void **state) {
    (void)state;
    cli_result r = CLI("run", CLI_TINY, "What is 12 + 34?", "--context=20", "--stats");
    CLI_EXPECT(&r, CLI_DONE, "answer: ", "note: the answer is cut: the context of 20 tokens is full; --context");
    assert_true(r.n_out < 14);
    cli_free(&r);
    r = CLI("run", CLI_TINY, "What is 12 + 34?", "--max-tokens=2");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_null(strstr(r.err, "note: ")); /* as asked for */
    cli_free(&r);
}

/* max_new_tokens and max_length of generation_config.json bound answers for which no option does. */
static void lengths_of_the_checkpoint(void **state) {
    (void)state;
    static const char question[] = "What is 12 + 34?";
    char *directory = cli_copy_tiny();
    cli_result r = CLI("run", directory, question, "--max-tokens=3"), whole = CLI("run", directory, question, "--json");
    json_t *answer = json_loads(whole.out, 0, NULL);
    const int n_prompt = (int)json_integer_value(json_object_get(answer, "prompt_tokens"));
    char *three = strdup(r.out), config[200];
    json_decref(answer);
    cli_free(&r);
    cli_free(&whole);

    snprintf(config, sizeof config, "{\"eos_token_id\": [511, 509], \"max_new_tokens\": 3, \"max_length\": 2}");
    temp_dir_write(directory, "generation_config.json", config, strlen(config));
    r = CLI("run", directory, question);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, three);
    cli_free(&r);
    snprintf(config, sizeof config, "{\"eos_token_id\": [511, 509], \"max_length\": %d}", n_prompt + 3);
    temp_dir_write(directory, "generation_config.json", config, strlen(config));
    r = CLI("run", directory, question);
    CLI_EXPECT(&r, CLI_DONE, "note: the answer is cut: generation_config.json", "max_length", "--max-tokens");
    assert_string_equal(r.out, three);
    cli_free(&r);
    r = CLI("run", directory, question, "--max-tokens=100");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, "12 + 34 = 46.\n");
    cli_free(&r);
    snprintf(config, sizeof config, "{\"eos_token_id\": [511, 509], \"max_length\": %d}", n_prompt);
    temp_dir_write(directory, "generation_config.json", config, strlen(config));
    CLI_REFUSES(CLI_REFUSED, ("generation_config.json", "max_length", "max_tokens"), "run", directory, question);
    free(three);
    temp_dir_remove(directory);
}

static void as_json(void **state) {
    (void)state;
    cli_result r = CLI("run", CLI_TINY, "What is 12 + 34?", "--json");
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    json_t *answer = json_loads(r.out, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(answer, "text")), "12 + 34 = 46.");
    assert_string_equal(json_string_value(json_object_get(answer, "finish")), "stop");
    assert_true(json_integer_value(json_object_get(answer, "prompt_tokens")) > 5);
    assert_true(json_integer_value(json_object_get(answer, "answer_tokens")) > 5);
    assert_true(json_number_value(json_object_get(answer, "prompt_seconds")) > 0);
    assert_null(json_object_get(answer, "tool_calls"));
    json_decref(answer);
    cli_free(&r);
    r = CLI("run", CLI_TINY, "What is 12 + 34?", "--json", "--max-tokens=2");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.out, "\"finish\":\"length\""));
    cli_free(&r);
}

#define TURN(text) "{\"messages\": [{\"role\": \"user\", \"content\": \"" text "\"}]}\n"

static cli_result run_batch(const char *file, const char *lines, const char *option) {
    const cli_call call = {.arguments =
                               (const char *const[]){"run", CLI_TINY, "--batch-file", file, "--stats", option, NULL},
                           .input = lines};
    return cli_run(&call);
}

static void batch(void **state) {
    (void)state;
    static const char lines[] = TURN("What is 12 + 34?") TURN("How much is 55 + 8?") TURN("Spell abc please.");
    cli_result r = run_batch("-", lines, NULL);
    CLI_EXPECT(&r, CLI_DONE, "device: ", "3 answers in ", "prompts: ", "from the cache", "answers: ", "tokens/s");
    assert_string_equal(r.out, "\"12 + 34 = 46.\"\n\"55 + 8 = 63.\"\n\"a-b-c\"\n");
    cli_free(&r);
    r = run_batch("-", lines, "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.out, "\n{\"text\":\"55 + 8 = 63.\",\"finish\":\"stop\","));
    cli_free(&r);
}

/* A line that cannot be answered is null and named with its file; the others are answered. */
static void batch_with_refused_lines(void **state) {
    (void)state;
    char *directory = temp_dir_make(), *longest = calloc(1, 12000), place[700];
    strcpy(longest, "{\"messages\": [{\"role\": \"user\", \"content\": \"");
    for (int i = 0; i < 1100; i++) strcat(longest, "seven ");
    strcat(longest, "\"}]}\n");
    const char *const wrongs[][2] = {
        {longest, "1024"},
        {"7\n", "not JSON"},
        {"[7]\n", "\"messages\""},
        {"{\"messages\": []\n", "not JSON"},
        {"{\"messages\": [{\"role\": \"pope\", \"content\": \"a\"}]}\n", "not pope"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}\n", "byte 0xff"},
        {"{\"messages\": [], \"tools\": 7}\n", "tools"},
        {"\n", "not JSON"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        char *lines = calloc(1, strlen(wrongs[i][0]) + 200);
        sprintf(lines, "%s%s%s", TURN("What is 12 + 34?"), wrongs[i][0], TURN("How much is 55 + 8?"));
        const char *file = temp_dir_write(directory, "lines.jsonl", lines, strlen(lines));
        snprintf(place, sizeof place, "'%s', line 2: ", file);
        cli_result r = run_batch(file, NULL, NULL);
        CLI_EXPECT(&r, CLI_REFUSED, place, wrongs[i][1]);
        assert_string_equal(r.out, "\"12 + 34 = 46.\"\nnull\n\"55 + 8 = 63.\"\n");
        cli_free(&r);
        free(lines);
    }
    cli_result r = run_batch("-", wrongs[1][0], NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "standard input, line 1: ");
    assert_string_equal(r.out, "null\n");
    cli_free(&r);
    free(longest);
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),         cmocka_unit_test(seeds),        cmocka_unit_test(always_utf8),
        cmocka_unit_test(prompts_refused), cmocka_unit_test(context_full), cmocka_unit_test(lengths_of_the_checkpoint),
        cmocka_unit_test(as_json),         cmocka_unit_test(batch),        cmocka_unit_test(batch_with_refused_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
