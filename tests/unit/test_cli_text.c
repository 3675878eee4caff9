/* tokenize, detokenize and render: lines in, lines out, and the line that is at fault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

static cli_result pass(const char *command, const char *model, const char *input, size_t n) {
    const cli_call call = {.arguments = (const char *const[]){command, model, NULL}, .input = input, .n_input = n};
    return cli_run(&call);
}

/* Random text of all planes goes to ids and comes back, a line each. */
static void there_and_back(void **state) {
    (void)state;
    test_random random = test_random_begin("there_and_back");
    char lines[40000], *at = lines;
    for (int line = 0; line < 40; line++) {
        *at++ = '"';
        for (int n = (int)test_random_below(&random, 60); n > 0; n--) {
            switch (test_random_below(&random, 6)) {
            case 0:
                at += sprintf(at, "%s", "\xf0\x9f\x98\x80");
                break;
            case 1:
                at += sprintf(at, "%s", "\xe4\xb8\xad");
                break;
            case 2:
                at += sprintf(at, "%s", "<|im_end|>");
                break;
            case 3:
                at += sprintf(at, "%s", "\\n");
                break;
            default:
                *at++ = (char)('a' + test_random_below(&random, 26));
            }
        }
        *at++ = '"';
        *at++ = '\n';
    }
    *at = 0;
    cli_result ids = pass("tokenize", CLI_TINY, lines, 0);
    CLI_EXPECT(&ids, CLI_DONE, NULL);
    assert_string_equal(ids.err, "");
    cli_result text = pass("detokenize", CLI_TINY_PATH, ids.out, 0);
    CLI_EXPECT(&text, CLI_DONE, NULL);
    assert_string_equal(text.out, lines);
    cli_free(&ids);
    cli_free(&text);
}

/* An input, what stdout holds before it fails, and the parts of the sentence. */
typedef struct line_case {
    const char *command, *input;
    size_t n_input;
    const char *out, *parts[2];
} line_case;

#define BYTES(text) text, sizeof text - 1

static const line_case line_cases[] = {
    {"tokenize", BYTES("\"\"\n"), "[]\n", {NULL}},
    {"tokenize", BYTES("\"\""), "[]\n", {NULL}},
    {"tokenize", BYTES("\"\"\n\"open\n"), "[]\n", {"line 2", "not closed"}},
    {"tokenize", BYTES("\n"), "", {"line 1"}},
    {"tokenize", BYTES("plain\n"), "", {"line 1"}},
    {"tokenize", BYTES("\"\" \"\"\n"), "", {"line 1"}},
    {"tokenize", BYTES("\"a\xff\"\n"), "", {"line 1", "UTF-8"}},
    {"tokenize", BYTES("\"\xed\xa0\x80\"\n"), "", {"line 1", "UTF-8"}},
    {"tokenize", BYTES("\"\\ud800\"\n"), "", {"line 1"}},
    {"tokenize", BYTES("\"a\0b\"\n"), "", {"line 1"}},
    {"tokenize", BYTES("[\"a\"]\n"), "", {"line 1"}},
    {"detokenize", BYTES("[]\n[]"), "\"\"\n\"\"\n", {NULL}},
    {"detokenize", BYTES("[]\n\n"), "\"\"\n", {"line 2"}},
    {"detokenize", BYTES("[1, 512]\n"), "", {"line 1", "512"}},
    {"detokenize", BYTES("[-1]\n"), "", {"line 1"}},
    {"detokenize", BYTES("[1.5]\n"), "", {"line 1"}},
    {"detokenize", BYTES("[\"1\"]\n"), "", {"line 1"}},
    {"detokenize", BYTES("[1,]\n"), "", {"line 1"}},
    {"detokenize", BYTES("[1\n"), "", {"line 1"}},
    {"detokenize", BYTES("[1] 2\n"), "", {"line 1"}},
    {"detokenize", BYTES("[99999999999999999999999]\n"), "", {"line 1"}},
    {"detokenize", BYTES("\xff\n"), "", {"line 1"}},
};

static void lines(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof line_cases / sizeof *line_cases; i++) {
        const line_case *c = &line_cases[i];
        cli_result r = pass(c->command, CLI_TINY, c->input, c->n_input);
        CLI_EXPECT(&r, c->parts[0] ? CLI_REFUSED : CLI_DONE, c->parts[0], c->parts[1]);
        assert_string_equal(r.out, c->out);
        cli_free(&r);
    }
    cli_result nothing = pass("tokenize", CLI_TINY, "", 0);
    CLI_EXPECT(&nothing, CLI_DONE, NULL);
    assert_string_equal(nothing.out, "");
    cli_free(&nothing);
}

/* Broken bytes come out as U+FFFD: every single byte is a token of a byte-level vocabulary. */
static void broken_bytes(void **state) {
    (void)state;
    char all[4000] = "";
    for (int id = 0; id < 512; id++) sprintf(all + strlen(all), "[%d]\n", id);
    cli_result r = pass("detokenize", CLI_TINY, all, 0);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_non_null(strstr(r.out, "\"\xef\xbf\xbd\"\n"));
    assert_non_null(strstr(r.out, "\"<|im_end|>\"\n"));
    cli_free(&r);
}

/* They need no more than the files that they read. */
static void files_needed(void **state) {
    (void)state;
    char *directory = cli_copy_tiny();
    unlink(temp_dir_path(directory, "model.safetensors"));
    unlink(temp_dir_path(directory, "generation_config.json"));
    unlink(temp_dir_path(directory, "config.json"));
    cli_result r = pass("render", directory, "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}", 0);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, "<|im_start|>user\nhi<|im_end|>\n");
    assert_string_equal(r.err, "");
    cli_free(&r);
    unlink(temp_dir_path(directory, "chat_template.jinja"));
    unlink(temp_dir_path(directory, "tokenizer_config.json"));
    r = pass("tokenize", directory, "\"hi\"\n", 0);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    cli_free(&r);
    r = pass("render", directory, "{\"messages\": []}", 0);
    CLI_EXPECT(&r, CLI_REFUSED, directory, "chat_template.jinja");
    cli_free(&r);
    temp_dir_write(directory, "tokenizer.json", "{\"model\": ", 10);
    r = pass("tokenize", directory, "\"hi\"\n", 0);
    CLI_EXPECT(&r, CLI_REFUSED, "tokenizer.json");
    cli_free(&r);
    unlink(temp_dir_path(directory, "tokenizer.json"));
    r = pass("detokenize", directory, "[1]\n", 0);
    CLI_EXPECT(&r, CLI_REFUSED, "tokenizer.json", directory);
    cli_free(&r);
    temp_dir_remove(directory);
}

typedef struct render_case {
    const char *template, *input;
    const char *parts[2];
} render_case;

static const render_case render_cases[] = {
    {NULL, "", {"JSON"}},
    {NULL, "{\"messages\": ", {"JSON"}},
    {NULL, "[]", {"messages"}},
    {NULL, "{\"messages\": [{\"role\": \"user\", \"content\": \"\xff\"}]}", {"standard input", "0xff"}},
    {NULL, "{\"messages\": [{\"role\": \"priest\", \"content\": \"x\"}]}", {"chat_template.jinja", "not priest"}},
    {"{{ raise_exception('enough of it') }}", "{\"messages\": []}", {"chat_template.jinja", "enough of it"}},
    {"{% for a in range(99999) %}{% for b in range(99999) %}{% set c = b %}{% endfor %}{% endfor %}",
     "{\"messages\": []}",
     {"chat_template.jinja"}},
    {"{% for a in range(100000000000) %}x{% endfor %}", "{\"messages\": []}", {"chat_template.jinja"}},
    {"{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for a in range(99999) %}{% set ns.t = ns.t + ns.t %}{% endfor "
     "%}",
     "{\"messages\": []}",
     {"chat_template.jinja"}},
    {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{\"messages\": []}", {"chat_template.jinja"}},
    {"{% if %}", "{\"messages\": []}", {"chat_template.jinja", "line 1"}},
    {"{{ messages[5].content }}", "{\"messages\": []}", {"chat_template.jinja", "line 1"}},
    {"{{ \xff }}", "{\"messages\": []}", {"chat_template.jinja"}},
};

static void templates(void **state) {
    (void)state;
    char *directory = cli_copy_tiny();
    size_t n;
    char *own = cli_read_file(CLI_TINY_PATH "/chat_template.jinja", &n);
    for (size_t i = 0; i < sizeof render_cases / sizeof *render_cases; i++) {
        const render_case *c = &render_cases[i];
        const char *text = c->template ? c->template : own;
        temp_dir_write(directory, "chat_template.jinja", text, strlen(text));
        cli_result r = pass("render", directory, c->input, 0);
        CLI_EXPECT(&r, CLI_REFUSED, c->parts[0], c->parts[1]);
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
    /* the same through a model, which refuses before it answers */
    temp_dir_write(directory, "chat_template.jinja", "{{ raise_exception('enough of it') }}", 37);
    CLI_REFUSES(CLI_REFUSED, ("enough of it"), "run", directory, "hi");
    free(own);
    temp_dir_remove(directory);
}

static void streams(void **state) {
    (void)state;
    static const cli_sink sinks[] = {CLI_CLOSED, CLI_BROKEN_PIPE, CLI_FULL_DISK};
    static const char *const commands[][4] = {
        {"devices"},          {"devices", "--json"},  {"--help"}, {"plan", CLI_TINY}, {"tokenize", CLI_TINY},
        {"render", CLI_TINY}, {"run", CLI_TINY, "hi"}};
    for (size_t s = 0; s < 3; s++) {
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
            const char *input = i == 5 ? "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}" : "\"a\"\n";
            const cli_call call = {.arguments = commands[i], .input = input, .sink = sinks[s]};
            cli_result r = cli_run(&call);
            CLI_EXPECT(&r, CLI_REFUSED, "standard output cannot be written");
            cli_free(&r);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(lines),     cmocka_unit_test(broken_bytes),
        cmocka_unit_test(files_needed),   cmocka_unit_test(templates), cmocka_unit_test(streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
