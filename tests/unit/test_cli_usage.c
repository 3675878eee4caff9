/* The command line itself: help, unknown things, values out of range. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cli.h"
#include "tests/support/test.h"

static const char *const commands[] = {"devices",  "run",        "chat",   "bench", "logits",
                                       "tokenize", "detokenize", "render", "plan",  "compare"};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void overview(void **state) {
    (void)state;
    static const char *const spellings[] = {"--help", "-h", "help"};
    for (size_t i = 0; i < 3; i++) {
        cli_result r = CLI(spellings[i]);
        CLI_EXPECT(&r, CLI_DONE, NULL);
        assert_string_equal(r.err, "");
        for (int c = 0; c < N_COMMANDS; c++) {
            char line[64];
            snprintf(line, sizeof line, "\n  inference-pio %s ", commands[c]);
            if (!strstr(r.out, line)) fail_msg("the overview lacks '%s'", commands[c]);
        }
        assert_non_null(strstr(r.out, "cpu|null"));
        cli_free(&r);
    }
    cli_result version = CLI("--version");
    CLI_EXPECT(&version, CLI_DONE, NULL);
    assert_int_equal(strncmp(version.out, "inference-pio ", 14), 0);
    cli_free(&version);
}

static void help_of_each(void **state) {
    (void)state;
    for (int c = 0; c < N_COMMANDS; c++) {
        cli_result r = CLI(commands[c], "--help"), again = CLI(commands[c], "no such model", "--nonsense", "-h");
        CLI_EXPECT(&r, CLI_DONE, NULL);
        CLI_EXPECT(&again, CLI_DONE, NULL);
        assert_string_equal(r.err, "");
        assert_string_equal(r.out, again.out);
        assert_int_equal(strncmp(r.out + 14, commands[c], strlen(commands[c])), 0);
        assert_non_null(strstr(r.out, "--help"));
        assert_null(strstr(r.out, "bf16, q8 or q4: ")); /* choices are listed once */
        assert_null(strstr(r.out, "q4 (bf16"));
        cli_free(&r);
        cli_free(&again);
    }
}

static void help_in_a_broken_environment(void **state) {
    (void)state;
    const cli_call call = {.arguments = (const char *const[]){"run", "--help", NULL},
                           .environment = (const char *const[]){"PIO_BACKEND=abacus", NULL}};
    cli_result r = cli_run(&call);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    cli_free(&r);
}

static void nothing_said(void **state) {
    (void)state;
    const cli_call call = {.arguments = (const char *const[]){NULL}};
    cli_result r = cli_run(&call);
    assert_int_equal(r.code, CLI_USAGE);
    assert_string_equal(r.out, "");
    assert_non_null(strstr(r.err, "COMMAND --help"));
    cli_free(&r);
}

/* A line of arguments that is refused before anything is opened, and what the sentence must name. */
typedef struct wrong {
    const char *arguments[8];
    const char *parts[3];
} wrong;

static const wrong wrongs[] = {
    {{"fly"}, {"'fly'"}},
    {{"--fly"}, {"'--fly'"}},
    {{"run"}, {"MODEL"}},
    {{"chat"}, {"MODEL"}},
    {{"bench"}, {"MODEL"}},
    {{"logits"}, {"MODEL"}},
    {{"tokenize"}, {"MODEL"}},
    {{"detokenize"}, {"MODEL"}},
    {{"render"}, {"MODEL"}},
    {{"plan"}, {"MODEL"}},
    {{"compare"}, {"MODEL"}},
    {{"devices", "all"}, {"'all'"}},
    {{"run", CLI_TINY, "a", "b"}, {"'b'"}},
    {{"chat", CLI_TINY, "hello"}, {"'hello'"}},
    {{"plan", CLI_TINY, "--", "--json"}, {"'--json'"}},
    {{"devices", "--fast"}, {"'--fast'"}},
    {{"devices", "--context", "3"}, {"'--context'"}},
    {{"bench", CLI_TINY, "--trace"}, {"'--trace'"}},
    {{"run", CLI_TINY, "hi", "--temp", "1"}, {"'--temp'"}},
    {{"run", CLI_TINY, "hi", "-t"}, {"'-t'"}},
    {{"run", CLI_TINY, "hi", "--context"}, {"--context"}},
    {{"run", CLI_TINY, "hi", "--stop"}, {"--stop"}},
    {{"run", CLI_TINY, "hi", "--context", "0"}, {"--context", "'0'"}},
    {{"run", CLI_TINY, "hi", "--context", "-5"}, {"--context", "'-5'"}},
    {{"run", CLI_TINY, "hi", "--context=many"}, {"--context", "'many'"}},
    {{"run", CLI_TINY, "hi", "--context=12x"}, {"--context", "'12x'"}},
    {{"run", CLI_TINY, "hi", "--context="}, {"--context", "''"}},
    {{"run", CLI_TINY, "hi", "--context=99999999999999999999"}, {"--context", "99999999999999999999"}},
    {{"run", CLI_TINY, "hi", "--max-tokens", "0"}, {"--max-tokens"}},
    {{"run", CLI_TINY, "hi", "--threads", "1025"}, {"--threads", "'1025'"}},
    {{"run", CLI_TINY, "hi", "--device", "-1"}, {"--device", "'-1'"}},
    {{"run", CLI_TINY, "hi", "--weights", "q3"}, {"--weights", "bf16, q8 or q4", "'q3'"}},
    {{"run", CLI_TINY, "hi", "--compute", "f16"}, {"--compute", "'f16'"}},
    {{"run", CLI_TINY, "hi", "--cpu-without", "sse"}, {"--cpu-without", "avx512bf16", "'sse'"}},
    {{"run", CLI_TINY, "hi", "--backend", "abacus"}, {"'abacus'", "cpu", "vulkan, cuda, hip"}},
    {{"run", CLI_TINY, "hi", "--temperature", "warm"}, {"--temperature", "'warm'"}},
    {{"run", CLI_TINY, "hi", "--temperature", "nan"}, {"--temperature", "'nan'"}},
    {{"run", CLI_TINY, "hi", "--temperature", "-1"}, {"--temperature", "'-1'"}},
    {{"run", CLI_TINY, "hi", "--temperature", "1e30"}, {"--temperature", "0 to 100", "'1e30'"}},
    {{"run", CLI_TINY, "hi", "--top-p", "1.5"}, {"--top-p", "'1.5'"}},
    {{"run", CLI_TINY, "hi", "--min-p", "-0.1"}, {"--min-p", "'-0.1'"}},
    {{"run", CLI_TINY, "hi", "--top-k", "-3"}, {"--top-k", "'-3'"}},
    {{"run", CLI_TINY, "hi", "--repetition-penalty", "0"}, {"--repetition-penalty", "'0'"}},
    {{"run", CLI_TINY, "hi", "--seed", "18446744073709551616"}, {"--seed", "18446744073709551616"}},
    {{"run", CLI_TINY, "hi", "--seed", "9223372036854775808"}, {"--seed", "from 0 to 9223372036854775807"}},
    {{"chat", CLI_TINY, "--logit-bias", "5"}, {"--logit-bias", "'5'"}},
    {{"chat", CLI_TINY, "--logit-bias", "-5=1"}, {"--logit-bias", "'-5=1'"}},
    {{"chat", CLI_TINY, "--logit-bias", "5=x"}, {"--logit-bias", "'5=x'"}},
    {{"run", CLI_TINY, "hi", "--system", "\xff"}, {"--system", "UTF-8"}},
    {{"run", CLI_TINY, "hi", "--stop", ""}, {"--stop", "''"}},
    {{"plan", CLI_TINY, "--page-tokens", "100"}, {"--page-tokens", "64", "'100'"}},
    {{"plan", CLI_TINY, "--page_tokens", "128"}, {"'--page_tokens'"}},
    {{"plan", CLI_TINY, "--kv-cache", "f16"}, {"--kv-cache", "auto, bf16 or f32", "'f16'"}},
    {{"plan", CLI_TINY, "--prefix-cache=maybe"}, {"--prefix-cache", "on or off", "'maybe'"}},
    {{"plan", CLI_TINY, "--memory-limit", "1T"}, {"--memory-limit", "1M to 1048576G", "'1T'"}},
    {{"plan", CLI_TINY, "--config"}, {"--config"}},
    {{"plan", CLI_TINY, "--config", "/no/such/file"}, {"/no/such/file"}},
    {{"run", CLI_TINY}, {"prompt", "--batch-file"}},
    {{"run", CLI_TINY, "hi", "--batch-file", "f"}, {"prompt", "--batch-file"}},
    {{"logits", CLI_TINY, "--ids", "1"}, {"--out"}},
    {{"logits", CLI_TINY, "--out", "x"}, {"--ids", "--ids-file"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "1", "--ids-file=f"}, {"--ids", "--ids-file"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "1,two"}, {"--ids", "'two'"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "1;2"}, {"--ids", "'1;2'"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "1,"}, {"--ids", "ends with a comma"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "99999999999999999999"}, {"99999999999999999999"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "1", "--step=0"}, {"--step", "'0'"}},
    {{"logits", CLI_TINY, "--out", "x", "--ids", "1", "--greedy=0"}, {"--greedy", "'0'"}},
    {{"bench", CLI_TINY, "--batch", "0"}, {"--batch", "'0'"}},
    {{"bench", CLI_TINY, "--tokens", "x"}, {"--tokens", "'x'"}},
    {{"bench", CLI_TINY, "--repeats", "1001"}, {"--repeats", "'1001'"}},
    {{"bench", CLI_TINY, "--picture", "257"}, {"--picture", "'257'"}},
};

static void what_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const cli_call call = {.arguments = wrongs[i].arguments};
        cli_result r = cli_run(&call);
        const char *parts[4] = {wrongs[i].parts[0], wrongs[i].parts[1], wrongs[i].parts[2]};
        cli_expect(&r, CLI_USAGE, parts);
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
}

static void refused_in_the_environment(void **state) {
    (void)state;
    static const struct {
        const char *setting, *parts[2];
    } settings[] = {
        {"PIO_BACKEND=abacus", {"PIO_BACKEND", "'abacus'"}},
        {"PIO_DEVICE=first", {"PIO_DEVICE", "'first'"}},
        {"PIO_THREADS=0", {"PIO_THREADS", "'0'"}},
        {"PIO_WEIGHTS=q5", {"PIO_WEIGHTS", "'q5'"}},
        {"PIO_COMPUTE=slow", {"PIO_COMPUTE", "'slow'"}},
        {"PIO_CONTEXT=-1", {"PIO_CONTEXT", "'-1'"}},
        {"PIO_CPU_WITHOUT=mmx", {"PIO_CPU_WITHOUT", "'mmx'"}},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const cli_call call = {.arguments = (const char *const[]){"plan", CLI_TINY, NULL},
                               .environment = (const char *const[]){settings[i].setting, NULL}};
        cli_result r = cli_run(&call);
        CLI_EXPECT(&r, CLI_USAGE, settings[i].parts[0], settings[i].parts[1]);
        cli_free(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overview),
        cmocka_unit_test(help_of_each),
        cmocka_unit_test(help_in_a_broken_environment),
        cmocka_unit_test(nothing_said),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(refused_in_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
