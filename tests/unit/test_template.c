/* Templates against what the reference makes of them (tools/make_template_cases.py), limits, refusals, and the reading
 * of a checkpoint's chat template. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "io/file.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "text/chat.h"

static char *read_data(const char *name, size_t *n_bytes) {
    char path[512], *text;
    pio_error error = {0};
    snprintf(path, sizeof path, "%s/template/%s", PIO_TEST_DATA, name);
    if (pio_file_read_text(path, 64 << 20, &text, n_bytes, &error)) fail_msg("%s", error.text);
    return text;
}

static json_t *read_json(const char *name) {
    size_t n;
    char *text = read_data(name, &n);
    json_t *json = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static pio_status render(const char *source, size_t n, json_t *input, pio_text *out, bool *compiled, pio_error *error) {
    pio_template *t;
    pio_status status = pio_template_compile(source, n, "case", &t, error);
    *compiled = !status;
    assert_true((status == PIO_OK) == (t != NULL));
    if (!status) status = pio_template_render(t, input, NULL, out, error);
    pio_template_free(t);
    return status;
}

/* ---- cases ---- */

static int check_case(json_t *wanted, const char *name, const char *source, size_t n, json_t *input) {
    pio_text out = {0};
    pio_error error = {0};
    bool compiled;
    assert_true(pio_text_append(&out, "before", 6));
    pio_status status = render(source, n, input, &out, &compiled, &error);
    json_t *output = json_object_get(wanted, "output");
    const char *fails = json_string_value(json_object_get(wanted, "fails"));
    int wrong = 0;
    if (output) {
        size_t n_want = json_string_length(output);
        wrong = status || out.n_bytes != n_want + 6 || memcmp(out.bytes + 6, json_string_value(output), n_want);
    } else {
        /* what is refused early here may be refused late by the reference, but not the other way round */
        wrong = !status || (compiled && !strcmp(fails, "compile")) || out.n_bytes != 6 || error.status != status ||
                !strstr(error.text, "template 'case', line ");
    }
    if (wrong)
        print_error("%s\nwanted: %s\ngot: %.*s\nerror: %s\n", name, output ? json_string_value(output) : fails,
                    (int)out.n_bytes, out.bytes, error.text);
    pio_text_free(&out);
    return wrong;
}

static void reference_cases(void **state) {
    (void)state;
    json_t *inputs = read_json("inputs.json"), *snippets = read_json("snippets.json");
    size_t n;
    char *lines = read_data("cases.jsonl", &n);
    int n_cases = 0, n_wrong = 0;
    for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1, n_cases++) {
        json_t *wanted = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        assert_non_null(wanted);
        const char *name = json_string_value(json_object_get(wanted, "template"));
        json_t *input = json_array_get(inputs, (size_t)json_integer_value(json_object_get(wanted, "input")));
        assert_non_null(input);
        if (!strncmp(name, "snippets.json:", 14)) {
            json_t *text = json_array_get(snippets, (size_t)atoi(name + 14));
            n_wrong += check_case(wanted, name, json_string_value(text), json_string_length(text), input);
        } else {
            size_t n_source;
            char *source = read_data(name, &n_source);
            n_wrong += check_case(wanted, name, source, n_source, input);
            free(source);
        }
        json_decref(wanted);
    }
    assert_true(n_cases > 200);
    assert_int_equal(n_wrong, 0);
    free(lines);
    json_decref(inputs);
    json_decref(snippets);
}

/* ---- refusals ---- */

static void expect_error(const char *source, pio_status wanted, const char *sentence) {
    pio_text out = {0};
    pio_error error = {0};
    bool compiled;
    json_t *input = json_pack("{s:[{s:s}], s:i, s:s}", "messages", "role", "user", "n", 3, "text", "abc");
    pio_status status = render(source, strlen(source), input, &out, &compiled, &error);
    if (status != wanted || !strstr(error.text, sentence))
        fail_msg("%s: status %d, '%s' lacks '%s'", source, status, error.text, sentence);
    assert_int_equal(out.n_bytes, 0);
    pio_text_free(&out);
    json_decref(input);
}

static void refusals_name_their_cause(void **state) {
    (void)state;
    expect_error("\n{{ raise_exception('no ' ~ n) }}", PIO_INVALID_ARGUMENT, "template 'case', line 2: no 3");
    expect_error("{% include 'x' %}", PIO_UNSUPPORTED, "line 1: 'include' is not served");
    expect_error("{% extends 'x' %}", PIO_UNSUPPORTED, "'extends' is not served");
    expect_error("{{ n|nonesuch }}", PIO_UNSUPPORTED, "no filter named 'nonesuch'");
    expect_error("{% if n %}\n{{ n is nonesuch }}{% endif %}", PIO_UNSUPPORTED, "line 2: there is no test named");
    expect_error("a\nb{% if n %}", PIO_CORRUPT, "endif");
    expect_error("{% endif %}", PIO_CORRUPT, "'endif' begins no statement");
    expect_error("{{ n ", PIO_CORRUPT, "the end of the template");
    expect_error("{{ 'n }}", PIO_CORRUPT, "a string begins here that has no end");
    expect_error("{# n }}", PIO_CORRUPT, "comment");
    expect_error("{{ n ? 1 }}", PIO_CORRUPT, "'?' has no meaning");
    expect_error("{{ (n] }}", PIO_CORRUPT, "']' where ')' is due");
    expect_error("{{ \"\\ud800\" }}", PIO_CORRUPT, "not an escape of a character");
    expect_error("{{ nonesuch.x }}", PIO_INVALID_ARGUMENT, "'nonesuch' is undefined");
    expect_error("{{ messages[0].x.y }}", PIO_INVALID_ARGUMENT, "a dict has no attribute 'x'");
    expect_error("{{ messages.append(1) }}", PIO_INVALID_ARGUMENT, "cannot change a list");
    expect_error("{{ n + text }}", PIO_INVALID_ARGUMENT, "'+' is not defined between a int and a str");
    expect_error("{{ text.__class__ }}", PIO_UNSUPPORTED, "'__class__' is not accessible");
    expect_error("{{ 9223372036854775807 + 1 }}", PIO_UNSUPPORTED, "64 bits");
    expect_error("{% set n.x = 1 %}", PIO_INVALID_ARGUMENT, "not a namespace");
    expect_error("{{ n(1) }}", PIO_INVALID_ARGUMENT, "a int cannot be called");
    expect_error("\xff", PIO_CORRUPT, "not UTF-8");
}

/* ---- limits ---- */

static void expect_limit(const char *source, pio_template_limits limits, const char *sentence) {
    pio_template *t;
    pio_text out = {0};
    pio_error error = {0};
    json_t *input = json_object();
    assert_int_equal(pio_template_compile(source, strlen(source), "case", &t, &error), PIO_OK);
    pio_status status = pio_template_render(t, input, &limits, &out, &error);
    if (status != PIO_LIMIT || !strstr(error.text, sentence))
        fail_msg("%s: status %d, '%s' lacks '%s'", source, status, error.text, sentence);
    pio_template_free(t);
    pio_text_free(&out);
    json_decref(input);
}

static void renderings_are_bounded(void **state) {
    (void)state;
    const pio_template_limits defaults = {0};
    expect_limit("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", defaults, "steps");
    expect_limit("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", defaults, "deep");
    expect_limit("{{ 'x' * 999999999999 }}", defaults, "of memory");
    expect_limit("{{ [[[[0] * 999] * 999] * 999]|string|length }}", defaults, "");
    expect_limit("{% set ns = namespace(s='x') %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                 defaults, "of memory");
    expect_limit("{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}", defaults, "");
    expect_limit("{{ range(100001) }}", defaults, "100001 items");
    expect_limit("{{ '%999999999d' % 1 }}", defaults, "characters");
    expect_limit("abcdef", (pio_template_limits){.output_bytes = 5}, "more than 5 bytes of text");
    expect_limit("{{ 1 + 1 + 1 + 1 }}", (pio_template_limits){.steps = 5}, "more than 5 steps");
    expect_limit("{{ 1 + 1 + 1 + 1 }}", (pio_template_limits){.depth = 3}, "3 deep");
    expect_limit("{{ 'x' * 9999 }}", (pio_template_limits){.memory_bytes = 9999}, "9999 bytes of memory");
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    static const char *const pieces[] = {"(", "[", "{1:", "not ", "-", "{% if 1 %}", "1 if 1 else ", "a[", "f("};
    for (size_t i = 0; i < PIO_COUNT(pieces); i++) {
        pio_text source = {0};
        pio_error error = {0};
        pio_template *t;
        bool statement = pieces[i][1] == '%';
        assert_true(statement || pio_text_append(&source, "{{ ", 3));
        for (int k = 0; k < 100000; k++) assert_true(pio_text_append(&source, pieces[i], strlen(pieces[i])));
        pio_status status = pio_template_compile(source.bytes, source.n_bytes, "case", &t, &error);
        if (status != PIO_LIMIT) fail_msg("'%s' 100000 times: %d %s", pieces[i], status, error.text);
        pio_text_free(&source);
    }
}

/* A chain of operators is a deep tree, but not a deep text. */
static void long_chains_are_no_crash(void **state) {
    (void)state;
    static const char *const pieces[] = {"+1", "|abs", ".a", "[0]", " and 1", "~1", "==1", " is odd", "**1", "()"};
    for (size_t i = 0; i < PIO_COUNT(pieces); i++) {
        pio_text source = {0}, out = {0};
        pio_error error = {0};
        bool compiled;
        json_t *input = json_object();
        assert_true(pio_text_append(&source, "{{ 1", 4));
        for (int k = 0; k < 100000; k++) assert_true(pio_text_append(&source, pieces[i], strlen(pieces[i])));
        assert_true(pio_text_append(&source, " }}", 3));
        pio_status status = render(source.bytes, source.n_bytes, input, &out, &compiled, &error);
        assert_true(status == PIO_OK || error.text[0]);
        json_decref(input);
        pio_text_free(&source);
        pio_text_free(&out);
    }
}

/* Templates with random damage end with a status, and give the same each time. */
static void damaged_templates(void **state) {
    (void)state;
    static const char *const names[] = {"styles/llama.jinja", "styles/types.jinja", "styles/documents.jinja",
                                        "styles/blocks.jinja"};
    static const char signs[] = "{}%#-+()[]'\"|,.~=<> \nabcdefinorst01";
    test_random random = test_random_begin("damaged_templates");
    json_t *inputs = read_json("inputs.json");
    int n_rendered = 0;
    for (int round = 0; round < 2000; round++) {
        size_t n;
        bool compiled[2];
        pio_text out[2] = {{0}, {0}};
        pio_error error[2] = {{0}, {0}};
        pio_status status[2];
        char *source = read_data(names[test_random_below(&random, PIO_COUNT(names))], &n);
        for (uint64_t hits = 1 + test_random_below(&random, 3); hits; hits--)
            source[test_random_below(&random, n)] = signs[test_random_below(&random, sizeof signs - 1)];
        json_t *input = json_array_get(inputs, test_random_below(&random, json_array_size(inputs)));
        for (int i = 0; i < 2; i++) status[i] = render(source, n, input, &out[i], &compiled[i], &error[i]);
        assert_int_equal(status[0], status[1]);
        assert_int_equal(out[0].n_bytes, out[1].n_bytes);
        assert_string_equal(error[0].text, error[1].text);
        assert_true(!status[0] || error[0].text[0]);
        if (out[0].n_bytes) assert_memory_equal(out[0].bytes, out[1].bytes, out[0].n_bytes);
        assert_int_equal(pio_utf8_valid_prefix(out[0].bytes, out[0].n_bytes), out[0].n_bytes);
        n_rendered += !status[0];
        for (int i = 0; i < 2; i++) pio_text_free(&out[i]);
        free(source);
    }
    assert_true(n_rendered > 100);
    json_decref(inputs);
}

/* ---- checkpoints ---- */

static void write_file(const char *directory, const char *name, const char *text) {
    temp_dir_write(directory, name, text, strlen(text));
}

static void expect_chat(const char *directory, const char *input_text, const char *wanted) {
    pio_chat_template *chat;
    pio_error error = {0};
    pio_text out = {0};
    json_t *input = json_loads(input_text, 0, NULL);
    assert_non_null(input);
    if (pio_chat_template_open(directory, &chat, &error)) fail_msg("%s", error.text);
    if (pio_chat_template_render(chat, input, &out, &error)) fail_msg("%s", error.text);
    assert_int_equal(out.n_bytes, strlen(wanted));
    assert_memory_equal(out.bytes, wanted, out.n_bytes);
    pio_text_free(&out);
    pio_chat_template_free(chat);
    json_decref(input);
}

static void expect_refused(const char *directory, const char *json, const char *part) {
    pio_chat_template *chat;
    pio_error error = {0};
    pio_text out = {0};
    json_t *input = json_loads(json, 0, NULL);
    if (pio_chat_template_open(directory, &chat, &error)) fail_msg("%s", error.text);
    assert_int_equal(pio_chat_template_render(chat, input, &out, &error), PIO_UNSUPPORTED);
    if (!strstr(error.text, part)) fail_msg("'%s' lacks '%s'", error.text, part);
    pio_chat_template_free(chat);
    pio_text_free(&out);
    json_decref(input);
}

static void checkpoints_give_their_template(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    pio_chat_template *chat = (pio_chat_template *)directory;
    pio_error error = {0};
    assert_int_equal(pio_chat_template_open(directory, &chat, &error), PIO_NOT_FOUND);
    assert_null(chat);
    assert_non_null(strstr(error.text, "has no chat template"));

    write_file(
        directory, "tokenizer_config.json",
        "{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"</s>\", \"lstrip\": false}, \"pad_token\": null,"
        " \"model_max_length\": 1000000000000000019884624838656,"
        " \"chat_template\": \"{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}"
        "{{ unk_token is defined }}{{ x }}\"}");
    expect_chat(directory, "{\"messages\": [{\"content\": \"hi\"}], \"x\": 2.50}", "<s>hi</s>False2.5");
    expect_chat(directory, "{\"messages\": [{\"content\": \"hi\"}], \"bos_token\": \"!\"}", "!hi</s>False");
    write_file(directory, "special_tokens_map.json", "{\"unk_token\": \"<u>\", \"bos_token\": \"other\"}");
    expect_chat(directory, "{\"messages\": [{\"content\": \"hi\"}]}", "<s>hi</s>True");

    write_file(directory, "chat_template.json",
               "{\"chat_template\": [{\"name\": \"default\", \"template\": \"plain\"},"
               " {\"name\": \"rag\", \"template\": \"{% nonsense\"},"
               " {\"name\": \"tool_use\", \"template\": \"tools {{ tools|length }}\"}]}");
    expect_chat(directory, "{\"messages\": []}", "plain");
    expect_chat(directory, "{\"messages\": [], \"tools\": null}", "plain");
    expect_chat(directory, "{\"messages\": [], \"tools\": []}", "plain");
    expect_chat(directory, "{\"messages\": [], \"tools\": [{}]}", "tools 1");

    write_file(directory, "chat_template.json",
               "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"tools {{ tools|length }}\"}]}");
    expect_chat(directory, "{\"messages\": [], \"tools\": [{}]}", "tools 1");
    expect_refused(directory, "{\"messages\": []}",
                   "chat_template.json' has a chat template for conversations with tools");
    write_file(directory, "chat_template.json",
               "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"documents\"}]}");
    assert_int_equal(pio_chat_template_open(directory, &chat, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "named 'default'"));

    write_file(directory, "chat_template.jinja", "");
    assert_int_equal(pio_chat_template_open(directory, &chat, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "chat_template.jinja' is empty"));
    write_file(directory, "chat_template.jinja", "file{{ eos_token }}\n");
    expect_chat(directory, "{\"messages\": []}", "file</s>");
    write_file(directory, "chat_template.jinja", "{{ 1 +");
    assert_int_equal(pio_chat_template_open(directory, &chat, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "chat_template.jinja', line 1"));
    write_file(directory, "tokenizer_config.json", "{\"bos_token\": ");
    assert_int_equal(pio_chat_template_open(directory, &chat, &error), PIO_CORRUPT);
    assert_non_null(strstr(error.text, "tokenizer_config.json"));
    temp_dir_remove(directory);
}

static void a_file_alone_is_a_template(void **state) {
    (void)state;
    char path[512];
    pio_chat_template *chat;
    pio_error error = {0};
    pio_text out = {0};
    json_t *input =
        json_pack("{s:[{s:s,s:s}],s:b}", "messages", "role", "user", "content", "Hi", "add_generation_prompt", 1);
    snprintf(path, sizeof path, "%s/template/published/Qwen3.jinja", PIO_TEST_DATA);
    if (pio_chat_template_open_file(path, &chat, &error)) fail_msg("%s", error.text);
    assert_int_equal(pio_chat_template_render(chat, input, &out, &error), PIO_OK);
    static const char wanted[] = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    assert_int_equal(out.n_bytes, sizeof wanted - 1);
    assert_memory_equal(out.bytes, wanted, out.n_bytes);
    assert_int_equal(pio_chat_template_render(chat, json_object_get(input, "messages"), &out, &error),
                     PIO_INVALID_ARGUMENT);
    pio_chat_template_free(chat);
    assert_int_equal(pio_chat_template_open_file("/nonesuch", &chat, &error), PIO_NOT_FOUND);
    pio_chat_template_free(NULL);
    pio_text_free(&out);
    json_decref(input);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference_cases),
                                       cmocka_unit_test(refusals_name_their_cause),
                                       cmocka_unit_test(renderings_are_bounded),
                                       cmocka_unit_test(deep_nesting_is_refused),
                                       cmocka_unit_test(long_chains_are_no_crash),
                                       cmocka_unit_test(damaged_templates),
                                       cmocka_unit_test(checkpoints_give_their_template),
                                       cmocka_unit_test(a_file_alone_is_a_template)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
