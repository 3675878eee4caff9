/* chat on a pipe: conversations, lines that are refused, tools and pictures. A person's chat is in test_cli_signals.c.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

#define CODER   "qwen3_coder_30b"
#define VL      "qwen3_vl_2b"
#define PICTURE PIO_SOURCE_DIR "/assets/pictures/scene_1.png"

static cli_result talk(const char *model, const char *lines, const char *option, const char *value) {
    const cli_call call = {.arguments = (const char *const[]){"chat", model, "--stats", option, value, NULL},
                           .input = lines};
    return cli_run(&call);
}

static cli_result chat(const char *lines) {
    return talk(CLI_TINY, lines, NULL, NULL);
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
    cli_result r = chat("My name is Ada.\nWhat is 12 + 34?\n\nCount the letters of banana.\nWhat is my name?");
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
    r = chat("");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, "");
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

/* A line that cannot be answered is named, and the next is answered as if it had not been. */
static void refused_lines(void **state) {
    (void)state;
    char longest[6 * 1100 + 60] = "What is 1 + 1?\n";
    for (int i = 0; i < 1100; i++) strcat(longest, "seven ");
    cli_result r = chat(longest);
    CLI_EXPECT(&r, CLI_REFUSED, "standard input, line 2: ", "1024", "tokens");
    assert_string_equal(r.out, "1 + 1 = 2.\n");
    cli_free(&r);
    r = chat(strcat(longest, "\nWhat is 2 + 2?\n"));
    CLI_EXPECT(&r, CLI_REFUSED, "warning: standard input, line 2: ", "inference-pio: standard input, line 2: ", "1024");
    assert_string_equal(r.out, "1 + 1 = 2.\n2 + 2 = 4.\n");
    cli_free(&r);
    r = chat("What is 1 + 1?\ncaf\xe9\nWhat is 2 + 2?\n\xff\n");
    CLI_EXPECT(&r, CLI_REFUSED, "warning: standard input, line 2: ",
               "inference-pio: 2 lines were refused, the last of them: standard input, line 4: ", "UTF-8");
    assert_string_equal(r.out, "1 + 1 = 2.\n2 + 2 = 4.\n");
    cli_free(&r);
}

/* Longer than any memory should be made for: passed over without being kept. */
static void endless_line(void **state) {
    (void)state;
    static char chunk[1 << 16];
    memset(chunk, 'a', sizeof chunk);
    for (int more = 0; more < 2; more++) {
        const cli_call call = {.arguments = (const char *const[]){"chat", CLI_TINY, NULL}, .keep_input_open = true};
        cli_process *process = cli_start(&call);
        for (int i = 0; i < 65 << 4; i++) /* 65 MiB */
            for (size_t n = 0; n < sizeof chunk;) {
                const ssize_t written = write(process->in, chunk + n, sizeof chunk - n);
                assert_true(written > 0);
                n += (size_t)written;
            }
        if (more) cli_send(process, "\nWhat is 2 + 2?\n");
        cli_result r = cli_finish(process);
        CLI_EXPECT(&r, CLI_REFUSED, "standard input, line 1: the line is longer than 67108864 bytes");
        assert_string_equal(r.out, more ? "2 + 2 = 4.\n" : "");
        cli_free(&r);
    }
}

static void as_json(void **state) {
    (void)state;
    cli_result r = talk(CLI_TINY, "What is 12 + 34?\nHow much is 55 + 8?\n", "--json", NULL);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    static const char *const texts[] = {"12 + 34 = 46.", "55 + 8 = 63."};
    char *line = strtok(r.out, "\n");
    for (int i = 0; i < 2; i++, line = strtok(NULL, "\n")) {
        json_t *answer = json_loads(line, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(answer, "text")), texts[i]);
        assert_string_equal(json_string_value(json_object_get(answer, "finish")), "stop");
        json_decref(answer);
    }
    assert_null(line);
    cli_free(&r);
}

/* ---- tools ---- */

static const char tools[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"write_file\", \"description\": \"Writes a text to a file.\", "
    "\"parameters\": {\"type\": \"object\", \"properties\": {\"path\": {\"type\": \"string\"}, \"text\": {\"type\": "
    "\"string\"}}, \"required\": [\"path\", \"text\"]}}}, {\"type\": \"function\", \"function\": {\"name\": "
    "\"read_file\", \"description\": \"Shows a file.\", \"parameters\": {\"type\": \"object\", \"properties\": "
    "{\"filename\": {\"type\": \"string\"}}, \"required\": [\"filename\"]}}}]";

#define TWO_CALLS "Write gedipo to src/ocean.c. Open the file tests/trees.txt."

static void tool_calls(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    const char *file = temp_dir_write(directory, "tools.json", tools, sizeof tools - 1);
    static const char printed[] = "write_file({\"path\": \"src/ocean.c\", \"text\": "
                                  "\"gedipo\"})\nread_file({\"filename\": \"tests/trees.txt\"})\n";
    cli_result r = CLI("run", CODER, TWO_CALLS, "--tools", file);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, printed);
    cli_free(&r);
    r = CLI("run", CODER, TWO_CALLS, "--tools", file, "--json");
    CLI_EXPECT(&r, CLI_DONE, NULL);
    json_t *answer = json_loads(r.out, 0, NULL), *calls = json_object_get(answer, "tool_calls");
    assert_string_equal(json_string_value(json_object_get(answer, "finish")), "tool_calls");
    assert_int_equal(json_array_size(calls), 2);
    const json_t *second = json_object_get(json_array_get(calls, 1), "function");
    assert_string_equal(json_string_value(json_object_get(second, "name")), "read_file");
    const json_t *arguments = json_object_get(second, "arguments");
    assert_string_equal(json_string_value(json_object_get(arguments, "filename")), "tests/trees.txt");
    json_decref(answer);
    cli_free(&r);
    /* the model goes on when both results are there */
    r = talk(CODER, TWO_CALLS "\n/tool ok\n/tool oaks\n/tool more\nOpen the file a.txt.\n/tool plums\n", "--tools",
             file);
    CLI_EXPECT(&r, CLI_REFUSED, "inference-pio: standard input, line 4: /tool");
    assert_int_equal(strncmp(r.out, printed, sizeof printed - 1), 0);
    const char *rest = r.out + sizeof printed - 1;
    if (!strstr(rest, "read_file({\"filename\": \"a.txt\"})\n") || !strstr(rest, "plums")) fail_msg("%s", r.out);
    cli_free(&r);
    temp_dir_remove(directory);
}

static void tools_refused(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    static const char *const texts[][2] = {{"[{\"name\": \"a\",}]", "line 1 column"},
                                           {"[\n{\"name\": 7}]", "no name"},
                                           {"{}", "array"},
                                           {"", "not JSON"},
                                           {"[{\"name\": \"a\", \"parameters\": []}]", "schema"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *file = temp_dir_write(directory, "tools.json", texts[i][0], strlen(texts[i][0]));
        CLI_REFUSES(CLI_REFUSED, ("--tools '", file, texts[i][1]), "run", CODER, "hi", "--tools", file);
        CLI_REFUSES(CLI_REFUSED, ("--tools '", file, texts[i][1]), "chat", CODER, "--tools", file);
    }
    CLI_REFUSES(CLI_REFUSED, ("--tools", "/no/such/file"), "run", CODER, "hi", "--tools", "/no/such/file");
    temp_dir_remove(directory);
}

/* ---- pictures ---- */

#define DESCRIBE "Describe the picture."

static void pictures(void **state) {
    (void)state;
    cli_result wanted = CLI("run", VL, DESCRIBE, "--image", PICTURE);
    CLI_EXPECT(&wanted, CLI_DONE, NULL);
    assert_true(wanted.n_out > 20);
    cli_result r = talk(VL, DESCRIBE "\n", "--image", PICTURE);
    CLI_EXPECT(&r, CLI_DONE, NULL);
    assert_string_equal(r.out, wanted.out);
    cli_free(&r);
    r = talk(VL, "/image " PICTURE "\n" DESCRIBE "\n/image no/such.png\n", NULL, NULL);
    CLI_EXPECT(&r, CLI_REFUSED, "standard input, line 3: ", "no/such.png");
    assert_string_equal(r.out, wanted.out);
    cli_free(&r);
    r = chat("/image " PICTURE "\nWhat is 1 + 1?\n");
    CLI_EXPECT(&r, CLI_REFUSED, "standard input, line 1: ", "without eyes");
    assert_string_equal(r.out, "1 + 1 = 2.\n");
    cli_free(&r);
    CLI_REFUSES(CLI_REFUSED, ("without eyes"), "chat", CLI_TINY, "--image", PICTURE);
    cli_free(&wanted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversation),  cmocka_unit_test(line_by_line), cmocka_unit_test(refused_lines),
        cmocka_unit_test(endless_line),  cmocka_unit_test(as_json),      cmocka_unit_test(tool_calls),
        cmocka_unit_test(tools_refused), cmocka_unit_test(pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
