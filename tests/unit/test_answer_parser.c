/* Answers taken apart: every case of tests/data/answers, whole, byte by byte, and cut in two at every byte; what is
 * given out of a call's arguments is a prefix of what they become. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/answer_parser.h"
#include "models/chat/tools.h"
#include "tests/support/random.h"
#include "text/utf8.h"

#define DATA PIO_TEST_DATA "/answers/"
enum { MOST_CALLS = 8 };

/* What the events said, joined. */
typedef struct heard {
    pio_text text, reasoning, names[MOST_CALLS], arguments[MOST_CALLS];
    char ids[MOST_CALLS][64];
    int n_calls;
    bool open;
} heard;

static void heard_free(heard *h) {
    pio_text_free(&h->text);
    pio_text_free(&h->reasoning);
    for (int i = 0; i < MOST_CALLS; i++) {
        pio_text_free(&h->names[i]);
        pio_text_free(&h->arguments[i]);
    }
    *h = (heard){.n_calls = 0};
}

static bool hear(void *user, const pio_answer_event *event) {
    heard *h = user;
    if (event->kind <= PIO_ANSWER_REASONING || event->kind == PIO_ANSWER_ARGUMENTS) {
        assert_true(event->n_bytes > 0);
        assert_int_equal(pio_utf8_valid_prefix(event->bytes, event->n_bytes), event->n_bytes);
    }
    switch (event->kind) {
    case PIO_ANSWER_TEXT:
        assert_true(pio_text_append(&h->text, event->bytes, event->n_bytes));
        break;
    case PIO_ANSWER_REASONING:
        assert_true(pio_text_append(&h->reasoning, event->bytes, event->n_bytes));
        break;
    case PIO_ANSWER_CALL:
        assert_false(h->open);
        assert_true(h->n_calls < MOST_CALLS && event->index == h->n_calls);
        h->open = true;
        snprintf(h->ids[h->n_calls], sizeof *h->ids, "%s", event->id);
        assert_true(pio_text_append(&h->names[h->n_calls++], event->name, strlen(event->name)));
        break;
    case PIO_ANSWER_ARGUMENTS:
        assert_true(h->open && event->index == h->n_calls - 1);
        assert_string_equal(event->id, h->ids[event->index]);
        assert_true(pio_text_append(&h->arguments[event->index], event->bytes, event->n_bytes));
        break;
    case PIO_ANSWER_CALL_END:
        assert_true(h->open);
        h->open = false;
        break;
    }
    return true;
}

static const pio_chat_form *form_of(const json_t *line) {
    static const struct {
        const char *name;
        const pio_chat_form *form;
    } forms[] = {
        {"qwen3", &pio_qwen3_chat_form}, {"qwen3_coder", &pio_qwen3_coder_chat_form}, {"glm", &pio_glm_chat_form}};
    const char *name = json_string_value(json_object_get(line, "form"));
    for (size_t i = 0; i < PIO_COUNT(forms); i++)
        if (!strcmp(forms[i].name, name)) return forms[i].form;
    fail_msg("there is no form '%s'", name);
    return NULL;
}

/* Runs the case's answer in pieces that end at the cuts. */
static void parse(const json_t *line, const json_t *tools, const size_t *cuts, size_t n_cuts, heard *h) {
    const json_t *prompt = json_object_get(line, "prompt"), *answer = json_object_get(line, "answer");
    const pio_answer_parser_options options = {.form = form_of(line),
                                               .tools =
                                                   json_integer_value(json_object_get(line, "tools")) ? tools : NULL,
                                               .prompt = json_string_value(prompt),
                                               .n_prompt = json_string_length(prompt),
                                               .answer_id = 0xabc,
                                               .on_event = hear,
                                               .user = h};
    pio_answer_parser *parser;
    pio_error error;
    const char *text = json_string_value(answer);
    size_t at = 0;
    assert_int_equal(pio_answer_parser_create(&options, &parser, &error), PIO_OK);
    for (size_t i = 0; i <= n_cuts; i++) {
        const size_t until = i < n_cuts ? cuts[i] : json_string_length(answer);
        assert_int_equal(pio_answer_parser_push(parser, text + at, until - at, &error), PIO_OK);
        at = until;
    }
    assert_int_equal(pio_answer_parser_finish(parser, &error), PIO_OK);
    assert_false(h->open);
    pio_answer_parser_destroy(parser);
}

static void same(const char *answer, const char *what, const pio_text *got, const char *wanted) {
    if (got->n_bytes != strlen(wanted) || memcmp(got->bytes ? got->bytes : "", wanted, got->n_bytes))
        fail_msg("of '%s' the %s is '%.*s', not '%s'", answer, what, (int)got->n_bytes, got->bytes, wanted);
}

static void check(const json_t *line, const heard *h) {
    const char *answer = json_string_value(json_object_get(line, "answer"));
    const json_t *calls = json_object_get(line, "calls"), *call;
    size_t i;
    same(answer, "text", &h->text, json_string_value(json_object_get(line, "text")));
    same(answer, "reasoning", &h->reasoning, json_string_value(json_object_get(line, "reasoning")));
    if ((size_t)h->n_calls != json_array_size(calls)) fail_msg("'%s' has %d calls", answer, h->n_calls);
    json_array_foreach(calls, i, call) {
        same(answer, "name", &h->names[i], json_string_value(json_array_get(call, 0)));
        json_t *arguments = json_loadb(h->arguments[i].bytes, h->arguments[i].n_bytes, JSON_REJECT_DUPLICATES, NULL);
        if (!json_equal(arguments, json_array_get(call, 1)))
            fail_msg("of '%s' the arguments are '%.*s'", answer, (int)h->arguments[i].n_bytes, h->arguments[i].bytes);
        json_decref(arguments);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(h->ids[i], h->ids[k]);
    }
}

/* Equal texts, however the answer was cut. */
static void agree(const heard *a, const heard *b) {
    const pio_text *const ours[] = {&a->text, &a->reasoning}, *const theirs[] = {&b->text, &b->reasoning};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ours[i]->n_bytes, theirs[i]->n_bytes);
        if (ours[i]->n_bytes) assert_memory_equal(ours[i]->bytes, theirs[i]->bytes, ours[i]->n_bytes);
    }
    assert_int_equal(a->n_calls, b->n_calls);
    for (int i = 0; i < a->n_calls; i++) {
        assert_int_equal(a->arguments[i].n_bytes, b->arguments[i].n_bytes);
        assert_memory_equal(a->arguments[i].bytes, b->arguments[i].bytes, a->arguments[i].n_bytes);
    }
}

typedef void case_fn(const json_t *line, const json_t *tools);

static int each_case(case_fn *run) {
    FILE *file = fopen(DATA "cases.jsonl", "r");
    json_t *tools = json_load_file(DATA "tools.json", 0, NULL);
    char *text = NULL;
    size_t capacity = 0;
    int n = 0;
    assert_true(file && tools);
    for (; getline(&text, &capacity, file) > 0; n++) {
        json_t *line = json_loads(text, 0, NULL);
        assert_non_null(line);
        run(line, tools);
        json_decref(line);
    }
    free(text);
    fclose(file);
    json_decref(tools);
    return n;
}

static void whole(const json_t *line, const json_t *tools) {
    heard h = {0};
    parse(line, tools, NULL, 0, &h);
    check(line, &h);
    heard_free(&h);
}

static void every_case_whole(void **state) {
    (void)state;
    const int n = each_case(whole);
    print_message("%d cases\n", n);
    assert_true(n >= 200);
}

static void cut(const json_t *line, const json_t *tools) {
    const size_t n = json_string_length(json_object_get(line, "answer"));
    size_t *cuts = calloc(n + 1, sizeof *cuts);
    heard expected = {0}, h = {0};
    parse(line, tools, NULL, 0, &expected);
    for (size_t at = 1; at < n; at++) {
        parse(line, tools, &at, 1, &h);
        agree(&h, &expected);
        heard_free(&h);
        cuts[at - 1] = at;
    }
    parse(line, tools, cuts, n ? n - 1 : 0, &h);
    agree(&h, &expected);
    heard_free(&h);
    heard_free(&expected);
    free(cuts);
}

static void every_case_cut_at_every_byte(void **state) {
    (void)state;
    each_case(cut);
}

static bool refuse(void *user, const pio_answer_event *event) {
    (void)event;
    return --*(int *)user > 0;
}

static void a_listener_stops_it(void **state) {
    (void)state;
    for (int n = 1; n < 4; n++) {
        int left = n;
        const pio_answer_parser_options options = {.form = &pio_glm_chat_form, .on_event = refuse, .user = &left};
        pio_answer_parser *parser;
        pio_error error;
        assert_int_equal(pio_answer_parser_create(&options, &parser, &error), PIO_OK);
        for (int i = 1; i < n; i++) assert_int_equal(pio_answer_parser_push(parser, "a", 1, &error), PIO_OK);
        assert_int_equal(pio_answer_parser_push(parser, "a", 1, &error), PIO_CANCELLED);
        assert_int_equal(pio_answer_parser_push(parser, "a", 1, &error), PIO_CANCELLED);
        assert_int_equal(pio_answer_parser_finish(parser, &error), PIO_CANCELLED);
        pio_answer_parser_destroy(parser);
    }
    pio_answer_parser_destroy(NULL);
}

/* Pieces of cases in any order: whatever comes out, it is well formed and does not depend on the cuts. */
static void shuffled_marks_do_no_harm(void **state) {
    (void)state;
    static const char *const pieces[] = {"<tool_call>",
                                         "</tool_call>",
                                         "<function=get_weather>",
                                         "<function=",
                                         "</function>",
                                         "<parameter=city>",
                                         "x",
                                         "<parameter=city=",
                                         "</parameter>",
                                         "\n",
                                         "<arg_key>",
                                         "city",
                                         "</arg_key>",
                                         "<arg_value>",
                                         "</arg_value>",
                                         "{",
                                         "}",
                                         "\"name\": \"now\"",
                                         "<think>",
                                         "</think>",
                                         "get_weather",
                                         "<",
                                         ">",
                                         "[1, 2",
                                         " ",
                                         "\xc3",
                                         "\xa4",
                                         "now",
                                         ","};
    static const char *const forms[] = {"qwen3", "qwen3_coder", "glm"};
    test_random random = test_random_begin("shuffled_marks_do_no_harm");
    json_t *tools = json_load_file(DATA "tools.json", 0, NULL);
    for (int round = 0; round < 3000; round++) {
        pio_text answer = {0}, clean = {0};
        const int n = 1 + (int)test_random_below(&random, 14);
        for (int i = 0; i < n; i++) {
            const char *piece = pieces[test_random_below(&random, PIO_COUNT(pieces))];
            assert_true(pio_text_append(&answer, piece, strlen(piece)));
        }
        assert_true(pio_utf8_append_lossy(&clean, answer.bytes, answer.n_bytes));
        json_t *line = json_pack("{s:s, s:i, s:o}", "form", forms[test_random_below(&random, 3)], "tools", 1, "answer",
                                 json_stringn(clean.bytes, clean.n_bytes));
        heard a = {0}, b = {0};
        size_t at = 1 + test_random_below(&random, clean.n_bytes);
        parse(line, tools, NULL, 0, &a);
        parse(line, tools, &at, 1, &b);
        agree(&a, &b);
        for (int i = 0; i < a.n_calls; i++) {
            json_t *arguments = json_loadb(a.arguments[i].bytes, a.arguments[i].n_bytes, JSON_REJECT_DUPLICATES, NULL);
            if (!json_is_object(arguments)) fail_msg("'%.*s'", (int)a.arguments[i].n_bytes, a.arguments[i].bytes);
            json_decref(arguments);
        }
        heard_free(&a);
        heard_free(&b);
        json_decref(line);
        pio_text_free(&answer);
        pio_text_free(&clean);
    }
    json_decref(tools);
}

/* Whether an answer begins in thought is what its own prompt says: thoughts of turns that have ended are over. */
static void the_prompt_says_whether_a_model_is_thinking(void **state) {
    (void)state;
    static const struct {
        const char *prompt;
        bool reasoning;
    } cases[] = {
        {"[gMASK]<sop><|user|>a<|assistant|><think>", true},
        {"[gMASK]<sop><|user|>a<|assistant|><think>so", true},
        {"[gMASK]<sop><|user|>a<|assistant|></think>", false},
        {"[gMASK]<sop><|user|>a<|assistant|><think>so</think>b", false},
        {"[gMASK]<sop><|user|>a<|assistant|>", false},
        {"[gMASK]<sop><|user|>a<|assistant|><think>cut<|user|>b<|assistant|></think>", false},
        {"[gMASK]<sop><|user|>a<|assistant|><think>cut<|user|>b", false},
        {"[gMASK]<sop><|user|>a<|assistant|><think>cut<|observation|>b", false},
        {"[gMASK]<sop><|user|>a<|assistant|><think>cut<|system|>b", false},
        {"[gMASK]<sop><|user|><think>", false},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        const pio_answer_parser_options options = {
            .form = &pio_glm_chat_form, .prompt = cases[i].prompt, .n_prompt = strlen(cases[i].prompt)};
        pio_answer_parser *parser;
        pio_error error;
        if (pio_answer_parser_create(&options, &parser, &error)) fail_msg("%s", error.text);
        if (pio_answer_parser_is_reasoning(parser) != cases[i].reasoning)
            fail_msg("'%s': %s", cases[i].prompt, cases[i].reasoning ? "not in thought" : "in thought");
        pio_answer_parser_destroy(parser);
    }
}

static void tools_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"[", "line 1"},
        {"{}", "array"},
        {"[7]", "tool 0"},
        {"[{}]", "no name"},
        {"[{\"name\": \"a<b\"}]", "'a<b'"},
        {"[{\"name\": \"a\"}, {\"type\": \"function\", \"function\": {\"name\": \"a\"}}]", "same name"},
        {"[{\"name\": \"a\", \"parameters\": []}]", "schema"},
        {"[{\"type\": \"code\", \"function\": {\"name\": \"a\"}}]", "type"},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        json_t *tools;
        pio_error error = {0};
        assert_int_not_equal(pio_tools_parse("tools", cases[i].text, strlen(cases[i].text), &tools, &error), PIO_OK);
        assert_null(tools);
        if (!strstr(error.text, cases[i].word)) fail_msg("'%s' lacks '%s'", error.text, cases[i].word);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_whole),
        cmocka_unit_test(every_case_cut_at_every_byte),
        cmocka_unit_test(a_listener_stops_it),
        cmocka_unit_test(shuffled_marks_do_no_harm),
        cmocka_unit_test(the_prompt_says_whether_a_model_is_thinking),
        cmocka_unit_test(tools_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
