/* While an answer is taken apart every allocation may fail: the answer is a status, and nothing is left behind (a
 * sanitizer's leak check sees it). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/answer_parser.h"
#include "tests/support/failing_memory.h"

#define DATA PIO_TEST_DATA "/answers/"

static bool count(void *user, const pio_answer_event *event) {
    *(size_t *)user += event->kind == PIO_ANSWER_ARGUMENTS || event->kind <= PIO_ANSWER_REASONING ? event->n_bytes : 1;
    return true;
}

static const pio_chat_form *form_of(const char *name) {
    return !strcmp(name, "glm")           ? &pio_glm_chat_form
           : !strcmp(name, "qwen3_coder") ? &pio_qwen3_coder_chat_form
                                          : &pio_qwen3_chat_form;
}

static pio_status parse(const json_t *line, const json_t *tools, size_t *heard, pio_error *error) {
    const json_t *prompt = json_object_get(line, "prompt"), *answer = json_object_get(line, "answer");
    const pio_answer_parser_options options = {.form = form_of(json_string_value(json_object_get(line, "form"))),
                                               .tools = tools,
                                               .prompt = json_string_value(prompt),
                                               .n_prompt = json_string_length(prompt),
                                               .on_event = count,
                                               .user = heard};
    const size_t n = json_string_length(answer), half = n / 2;
    const char *text = json_string_value(answer);
    pio_answer_parser *parser;
    pio_status status = pio_answer_parser_create(&options, &parser, error);
    assert_int_equal(status == PIO_OK, parser != NULL);
    if (!status) status = pio_answer_parser_push(parser, text, half, error);
    if (!status) status = pio_answer_parser_push(parser, text + half, n - half, error);
    if (!status) status = pio_answer_parser_finish(parser, error);
    pio_answer_parser_destroy(parser);
    return status;
}

static void fail_each(const json_t *line, const json_t *tools, long *n_failed) {
    size_t expected = 0;
    pio_error error = {0};
    assert_int_equal(parse(line, tools, &expected, &error), PIO_OK);
    for (int once = 0; once < 2; once++) {
        pio_status status = PIO_OUT_OF_MEMORY;
        for (long n = 0; status; n++) {
            size_t heard = 0;
            error = (pio_error){0};
            failing_memory_once = once;
            failing_memory_left = n;
            status = parse(line, tools, &heard, &error);
            failing_memory_left = -1;
            if (status && status != PIO_OUT_OF_MEMORY) fail_msg("allocation %ld: %s", n, error.text);
            assert_true(n < 1000);
            if (!status) assert_int_equal(heard, expected);
            *n_failed += status != PIO_OK;
        }
    }
    failing_memory_once = false;
}

static void every_failure_is_a_status(void **state) {
    (void)state;
    FILE *file = fopen(DATA "cases.jsonl", "r");
    json_t *tools = json_load_file(DATA "tools.json", 0, NULL);
    char *text = NULL;
    size_t capacity = 0;
    long n_failed = 0;
    assert_true(file && tools);
    while (getline(&text, &capacity, file) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        fail_each(line, tools, &n_failed);
        json_decref(line);
    }
    print_message("%ld failures\n", n_failed);
    assert_true(n_failed > 1000); /* else the linker did not send the calls here */
    free(text);
    fclose(file);
    json_decref(tools);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
