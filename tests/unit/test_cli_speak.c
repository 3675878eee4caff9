/* run and chat: answers, conversations, stop strings, and what is refused. */
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
    CLI_REFUSES(CLI_REFUSED, ("--batch-file"), "run", CLI_TINY, "--batch-file", CLI_TINY_PATH);
}

/* The context ends the answer, not the program. */
static void context_full(void **state) {
    (void)state;
    cli_result r = CLI("run", CLI_TINY, "What is 12 + 34?", "--context=20", "--stats");
    CLI_EXPECT(&r, CLI_DONE, "answer: ");
    assert_true(r.n_out < 14);
    cli_free(&r);
}

static void batch(void **state) {
    (void)state;
    static const char lines[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"What is 12 + 34?\"}]}\n"
                                "{\"messages\": [{\"role\": \"user\", \"content\": \"How much is 55 + 8?\"}]}\n"
                                "{\"messages\": [{\"role\": \"user\", \"content\": \"Spell abc please.\"}]}\n";
    const cli_call call = {.arguments = (const char *const[]){"run", CLI_TINY, "--batch-file", "-", NULL},
                           .input = lines};
    cli_result r = cli_run(&call);
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    assert_string_equal(r.out, "\"12 + 34 = 46.\"\n\"55 + 8 = 63.\"\n\"a-b-c\"\n");
    cli_free(&r);
    static const struct {
        const char *input, *part;
    } wrongs[] = {
        {"{\"messages\": []\n", "line 1"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n7\n", "line 2"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n{\"messages\": [{\"role\": \"pope\", "
         "\"content\": \"a\"}]}\n",
         "line 2"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}\n", "line 1"},
        {"\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const cli_call bad = {.arguments = call.arguments, .input = wrongs[i].input};
        r = cli_run(&bad);
        CLI_EXPECT(&r, CLI_REFUSED, wrongs[i].part, "--batch-file");
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
}

/* ---- chat on a pipe ---- */

static cli_result chat(const char *lines, const char *option) {
    const cli_call call = {.arguments = (const char *const[]){"chat", CLI_TINY, "--stats", option, NULL},
                           .input = lines};
    return cli_run(&call);
}

/* The number before " from the cache" in the n-th line of statistics. */
static int n_reused(const cli_result *r, int turn) {
    const char *at = r->err;
    for (int i = 0; i <= turn; i++) {
        at = strstr(at, "tokens (");
        if (!at) fail_msg("no statistics of turn %d: %s", turn, r->err);
        at += 8;
    }
    return (int)strtol(at, NULL, 10);
}

static void conversation(void **state) {
    (void)state;
    cli_result r = chat("My name is Ada.\nWhat is 12 + 34?\n\nCount the letters of banana.\nWhat is my name?", NULL);
    CLI_EXPECT(&r, CLI_DONE, "device: ");
    int lines = 0;
    for (const char *at = r.out; (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, 4); /* the empty line is no turn */
    assert_non_null(strstr(r.out, "12 + 34 = 46.\n"));
    const char *last = r.out + r.n_out - 1;
    while (last > r.out && last[-1] != '\n') last--;
    assert_non_null(strstr(last, "Ada"));
    /* a page is reused once it is full: here the first before the last turn at the latest */
    assert_int_equal(n_reused(&r, 0), 0);
    assert_true(n_reused(&r, 3) >= 64);
    assert_true(n_reused(&r, 3) % 64 == 0);
    assert_true(n_reused(&r, 2) <= n_reused(&r, 3));
    cli_free(&r);
}

/* A turn is answered when its line has come, before the next is written. */
static void line_by_line(void **state) {
    (void)state;
    const cli_call call = {.arguments = (const char *const[]){"chat", CLI_TINY, NULL}, .keep_input_open = true};
    cli_process *process = cli_start(&call);
    cli_send(process, "What is 12 + 34?\n");
    assert_true(cli_wait_out(process, "= 46.\n"));
    cli_send(process, "How much is 55 + 8?\n");
    assert_true(cli_wait_out(process, "= 63.\n"));
    cli_result r = cli_finish(process);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    cli_free(&r);
}

static void chats_refused(void **state) {
    (void)state;
    char longest[6 * 1100 + 20] = "What is 1 + 1?\n";
    for (int i = 0; i < 1100; i++) strcat(longest, "seven ");
    cli_result r = chat(longest, NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "1024", "tokens");
    assert_string_equal(r.out, "1 + 1 = 2.\n");
    cli_free(&r);
    r = chat("What is 1 + 1?\ncaf\xe9\nWhat is 2 + 2?\n", NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "UTF-8", "standard input");
    assert_string_equal(r.out, "1 + 1 = 2.\n");
    cli_free(&r);
    r = chat("", NULL);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, "");
    cli_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),         cmocka_unit_test(seeds),        cmocka_unit_test(always_utf8),
        cmocka_unit_test(prompts_refused), cmocka_unit_test(context_full), cmocka_unit_test(batch),
        cmocka_unit_test(conversation),    cmocka_unit_test(line_by_line), cmocka_unit_test(chats_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
