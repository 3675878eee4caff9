/* Tokenizers in the styles of published models against ids that the reference made (tools/make_tokenizer_cases.py), and
 * what must hold for any text. */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "io/json_scan.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tokenizer_style.h"
#include "text/token_lines.h"

/* Compares but for spaces: the command prints "[1, 2]". */
static bool same_ids(const pio_text *got, const char *want, size_t n_want) {
    size_t w = 0;
    for (size_t i = 0; i < got->n_bytes; i++) {
        if (got->bytes[i] == ' ' || got->bytes[i] == '\n') continue;
        if (w == n_want || want[w++] != got->bytes[i]) return false;
    }
    return w == n_want;
}

static void check_case(const char *style, const pio_tokenizer *tokenizer, char *lines[3]) {
    pio_text out = {0}, back = {0};
    pio_error error = {0};
    if (pio_token_line_encode(tokenizer, lines[0], strlen(lines[0]), &out, &error))
        fail_msg("%s: %s", style, error.text);
    if (!same_ids(&out, lines[1], strlen(lines[1])))
        fail_msg("%s: %s\nwant %s\ngot  %.*s", style, lines[0], lines[1], (int)out.n_bytes, out.bytes);
    if (strcmp(lines[1], "[]") != 0) {
        if (pio_token_line_decode(tokenizer, lines[1], strlen(lines[1]), &back, &error)) fail_msg("%s", error.text);
        pio_json_cursor a, b; /* the two strings may be escaped differently */
        char *pool = malloc(strlen(lines[2]) + back.n_bytes + 2), *at = pool;
        const char *want, *got;
        size_t n_want, n_got;
        pio_json_scan_begin(&a, lines[2], strlen(lines[2]));
        pio_json_scan_begin(&b, back.bytes, back.n_bytes);
        assert_true(pio_json_scan_string(&a, &at, &want, &n_want));
        assert_true(pio_json_scan_string(&b, &at, &got, &n_got));
        if (n_want != n_got || memcmp(want, got, n_want) != 0)
            fail_msg("%s: %s decodes to %.*s, not %s", style, lines[1], (int)back.n_bytes, back.bytes, lines[2]);
        free(pool);
    }
    pio_text_free(&out);
    pio_text_free(&back);
}

static char *next_line(char **at) {
    char *line = *at, *end = strchr(line, '\n');
    if (!*line || !end) return NULL;
    *end = 0;
    *at = end + 1;
    return line;
}

static void test_styles(void **state) {
    (void)state;
    size_t n;
    char *text = tokenizer_style_data("styles.txt", &n), *at = text, *line;
    pio_tokenizer *tokenizer = NULL;
    char style[64] = "", tables[64];
    int n_styles = 0, n_cases = 0;
    while ((line = next_line(&at))) {
        if (sscanf(line, "style %63s %63s", style, tables) == 2) {
            pio_tokenizer_close(tokenizer);
            tokenizer = tokenizer_style_open(style, tables);
            n_styles++;
            continue;
        }
        char *lines[3] = {line, next_line(&at), next_line(&at)};
        assert_non_null(lines[2]);
        check_case(style, tokenizer, lines);
        n_cases++;
    }
    pio_tokenizer_close(tokenizer);
    free(text);
    assert_in_range(n_styles, 40, 1000);
    assert_in_range(n_cases, 450, 100000);
}

/* Any UTF-8: from random code points, over all planes. */
static size_t random_utf8(test_random *random, char *out, int n_characters) {
    static const uint32_t ends[] = {0x80, 0x250, 0x1100, 0x3100, 0xd800, 0x20000, 0x110000};
    size_t n = 0;
    for (int i = 0; i < n_characters; i++) {
        uint32_t code;
        do code = (uint32_t)test_random_below(random, ends[test_random_below(random, PIO_COUNT(ends))]);
        while (code >= 0xd800 && code < 0xe000);
        n += (size_t)pio_utf8_encode(code, out + n);
    }
    return n;
}

/* A byte-level tokenizer without a normalizer loses nothing, and streaming gives what decoding gives. */
static void test_round_trip(void **state) {
    (void)state;
    test_random random = test_random_begin("round trip");
    pio_tokenizer *tokenizer = tokenizer_style_open("llama3", "bytes");
    for (int round = 0; round < 400; round++) {
        char text[4 * 200];
        size_t n = random_utf8(&random, text, 1 + (int)test_random_below(&random, 200));
        pio_token_ids ids = {0};
        pio_text back = {0}, streamed = {0};
        pio_utf8_gate gate = {0};
        pio_error error = {0};
        assert_int_equal(pio_tokenizer_encode(tokenizer, text, n, &ids, &error), PIO_OK);
        assert_int_equal(pio_tokenizer_decode(tokenizer, ids.items, (size_t)ids.n_items, &back, &error), PIO_OK);
        assert_int_equal(back.n_bytes, n);
        assert_memory_equal(back.bytes, text, n);
        for (int32_t i = 0; i < ids.n_items; i++) {
            size_t n_token;
            const char *bytes = pio_tokenizer_token_bytes(tokenizer, ids.items[i], &n_token);
            assert_int_equal(pio_utf8_gate_push(&gate, bytes, n_token, &streamed, &error), PIO_OK);
            assert_int_equal(pio_utf8_valid_prefix(streamed.bytes, streamed.n_bytes), streamed.n_bytes);
        }
        assert_int_equal(pio_utf8_gate_finish(&gate, &streamed, &error), PIO_OK);
        assert_int_equal(streamed.n_bytes, n);
        assert_memory_equal(streamed.bytes, text, n);
        free(ids.items);
        pio_text_free(&back);
        pio_text_free(&streamed);
    }
    pio_tokenizer_close(tokenizer);
}

/* Ids that no text has: decoding and streaming agree on what broken bytes become. */
static void test_streaming_of_random_ids(void **state) {
    (void)state;
    test_random random = test_random_begin("random ids");
    pio_tokenizer *tokenizer = tokenizer_style_open("qwen", "bytes");
    for (int round = 0; round < 400; round++) {
        int32_t ids[64];
        size_t n = 1 + test_random_below(&random, 64);
        pio_text whole = {0}, streamed = {0};
        pio_utf8_gate gate = {0};
        pio_error error = {0};
        for (size_t i = 0; i < n; i++) {
            size_t n_bytes;
            int32_t vocab = pio_tokenizer_vocab_size(tokenizer);
            ids[i] = (int32_t)test_random_below(&random, test_random_below(&random, 2) ? 256 : (uint64_t)vocab);
            const char *bytes = pio_tokenizer_token_bytes(tokenizer, ids[i], &n_bytes);
            assert_int_equal(pio_utf8_gate_push(&gate, bytes, n_bytes, &streamed, &error), PIO_OK);
            assert_int_equal(pio_utf8_valid_prefix(streamed.bytes, streamed.n_bytes), streamed.n_bytes);
        }
        assert_int_equal(pio_utf8_gate_finish(&gate, &streamed, &error), PIO_OK);
        assert_int_equal(pio_tokenizer_decode(tokenizer, ids, n, &whole, &error), PIO_OK);
        assert_int_equal(whole.n_bytes, streamed.n_bytes);
        assert_memory_equal(whole.bytes, streamed.bytes, whole.n_bytes);
        pio_text_free(&whole);
        pio_text_free(&streamed);
    }
    pio_tokenizer_close(tokenizer);
}

static void test_names(void **state) {
    (void)state;
    pio_tokenizer *tokenizer = tokenizer_style_open("qwen", "bytes");
    int32_t end = pio_tokenizer_token_id(tokenizer, "<|im_end|>"), think = pio_tokenizer_token_id(tokenizer, "<think>");
    int32_t space = pio_tokenizer_token_id(tokenizer, "Ġ"),
            begin = pio_tokenizer_token_id(tokenizer, "<｜begin▁of▁sentence｜>");
    size_t n;
    assert_true(end >= 0 && think >= 0 && space >= 0 && begin >= 0);
    assert_true(pio_tokenizer_is_special(tokenizer, end));
    assert_false(pio_tokenizer_is_special(tokenizer, think));
    assert_false(pio_tokenizer_is_special(tokenizer, space));
    assert_false(pio_tokenizer_is_special(tokenizer, -1));
    assert_false(pio_tokenizer_is_special(tokenizer, INT32_MAX));
    assert_int_equal(pio_tokenizer_token_id(tokenizer, "no such token"), -1);
    assert_int_equal(pio_tokenizer_vocab_size(tokenizer), think + 2);
    assert_memory_equal(pio_tokenizer_token_bytes(tokenizer, space, &n), " ", 1);
    assert_int_equal(n, 1);
    const char *bytes = pio_tokenizer_token_bytes(tokenizer, end, &n);
    assert_int_equal(n, 10);
    assert_memory_equal(bytes, "<|im_end|>", 10);
    assert_null(pio_tokenizer_token_bytes(tokenizer, think + 2, &n));
    assert_int_equal(n, 0);
    pio_tokenizer_close(tokenizer);
    pio_tokenizer_close(NULL);

    tokenizer = tokenizer_style_open("llama2", "characters");
    bytes = pio_tokenizer_token_bytes(tokenizer, pio_tokenizer_token_id(tokenizer, "<0xC3>"), &n);
    assert_int_equal(n, 1);
    assert_int_equal((unsigned char)bytes[0], 0xc3);
    bytes = pio_tokenizer_token_bytes(tokenizer, pio_tokenizer_token_id(tokenizer, "▁the"), &n);
    assert_int_equal(n, 4);
    assert_memory_equal(bytes, " the", 4);
    pio_tokenizer_close(tokenizer);
}

static void expect_text_failure(const pio_tokenizer *tokenizer, const char *text, size_t n, pio_status wanted,
                                const char *part) {
    pio_token_ids ids = {0};
    pio_error error = {0};
    int32_t *item = pio_array_push((void **)&ids.items, &ids.n_items, &ids.items_capacity, sizeof *ids.items);
    *item = 42;
    assert_int_equal(pio_tokenizer_encode(tokenizer, text, n, &ids, &error), wanted);
    if (!strstr(error.text, part)) fail_msg("'%s' does not say '%s'", error.text, part);
    assert_int_equal(ids.n_items, 1);
    assert_int_equal(ids.items[0], 42);
    free(ids.items);
}

static void test_bad_calls(void **state) {
    (void)state;
    pio_tokenizer *tokenizer = tokenizer_style_open("qwen", "bytes");
    pio_text out = {0};
    pio_error error = {0};
    expect_text_failure(tokenizer, "abc\xff", 4, PIO_INVALID_ARGUMENT, "byte 3 (0xff)");
    expect_text_failure(tokenizer, "ab\xe4\xbd", 4, PIO_INVALID_ARGUMENT, "byte 2");
    int32_t vocab = pio_tokenizer_vocab_size(tokenizer), ids[3] = {1, vocab, 2};
    assert_int_equal(pio_tokenizer_decode(tokenizer, ids, 3, &out, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "place 1"));
    assert_int_equal(out.n_bytes, 0);
    static const char *const bad_strings[] = {"", "x", "\"abc", "\"a\" 1", "[1]", "\"\\ud800\"", "\"\xff\"", "null"};
    for (size_t i = 0; i < PIO_COUNT(bad_strings); i++)
        assert_int_equal(pio_token_line_encode(tokenizer, bad_strings[i], strlen(bad_strings[i]), &out, &error),
                         PIO_INVALID_ARGUMENT);
    static const char *const bad_lists[] = {"",     "1",     "[1",      "[1,]",          "[1] 2",
                                            "[-1]", "[1.5]", "[\"1\"]", "[99999999999]", "[2000000]"};
    for (size_t i = 0; i < PIO_COUNT(bad_lists); i++)
        assert_int_equal(pio_token_line_decode(tokenizer, bad_lists[i], strlen(bad_lists[i]), &out, &error),
                         PIO_INVALID_ARGUMENT);
    assert_int_equal(out.n_bytes, 0);
    assert_int_equal(pio_token_line_decode(tokenizer, " [ ] ", 5, &out, &error), PIO_OK);
    assert_int_equal(out.n_bytes, 3);
    assert_memory_equal(out.bytes, "\"\"\n", 3);
    pio_text_free(&out);
    pio_tokenizer_close(tokenizer);
}

/* Whatever the text, detokenize gives one line to every reader of lines, those that cut at U+2028 too. */
static void test_line_escapes(void **state) {
    (void)state;
    static const char line[] =
        "\"\\n\\u000b\\f\\u001c\\\"\\\\\\u0085\\u2028\\u2029 \xc2\x84\xe2\x80\xa7\xe2\x80\xaa\x7f\"";
    pio_tokenizer *tokenizer = tokenizer_style_open("gpt2", "bytes");
    pio_text ids = {0}, back = {0};
    pio_error error = {0};
    assert_int_equal(pio_token_line_encode(tokenizer, line, sizeof line - 1, &ids, &error), PIO_OK);
    assert_int_equal(pio_token_line_decode(tokenizer, ids.bytes, ids.n_bytes, &back, &error), PIO_OK);
    assert_int_equal(back.n_bytes, sizeof line);
    assert_memory_equal(back.bytes, line, sizeof line - 1);
    assert_int_equal(back.bytes[back.n_bytes - 1], '\n');
    pio_text_free(&ids);
    pio_text_free(&back);
    pio_tokenizer_close(tokenizer);
}

/* What a file may get wrong, and a part of the sentence that it must get. */
static const struct {
    const char *json;
    pio_status status;
    const char *part;
} bad_files[] = {
    {"", PIO_CORRUPT, "not valid JSON at byte 0"},
    {"{", PIO_CORRUPT, "not valid JSON at byte 1"},
    {"[]", PIO_CORRUPT, "outermost"},
    {"{} x", PIO_CORRUPT, "behind the outermost"},
    {"{}", PIO_CORRUPT, "'model' is missing"},
    {"{\"model\":null}", PIO_CORRUPT, "'model' must be an object"},
    {"{\"model\":{}}", PIO_UNSUPPORTED, "supported: BPE"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", PIO_UNSUPPORTED, "'Unigram'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", PIO_CORRUPT, "'merges'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}", PIO_CORRUPT, "'vocab'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", PIO_CORRUPT, "not negative"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4000000000},\"merges\":[]}}", PIO_CORRUPT,
     "token 'a' has id 4000000000"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", PIO_CORRUPT,
     "merge 0 needs the token 'b'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}", PIO_CORRUPT, "'aa'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"aa\"]}}", PIO_CORRUPT, "two parts"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", PIO_CORRUPT, "two parts"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", PIO_CORRUPT, "two parts"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[],\"dropout\":0.1}}", PIO_UNSUPPORTED, "dropout is 0.1"},
    {"{\"normalizer\":{\"type\":\"Precompiled\"}}", PIO_UNSUPPORTED, "normalizer 'Precompiled'"},
    {"{\"normalizer\":{}}", PIO_CORRUPT, "no 'type'"},
    {"{\"normalizer\":[]}", PIO_CORRUPT, "object"},
    {"{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", PIO_UNSUPPORTED, "'UnicodeScripts'"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\"}}", PIO_CORRUPT, "'behavior'"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\"}}", PIO_CORRUPT, "'pattern'"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(a\"}}}", PIO_CORRUPT,
     "expression '(a'"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(a)\\\\1\"}}}",
     PIO_UNSUPPORTED, "back-reference"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(?i)tasse\"}}}",
     PIO_UNSUPPORTED, "letters that equal one character"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(?i:a|\\u00df)\"}}}",
     PIO_UNSUPPORTED, "letters that equal one character"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"\\\\p{Klingon}\"}}}",
     PIO_UNSUPPORTED, "'Klingon'"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"\\\\p{!mark}\"}}}",
     PIO_UNSUPPORTED, "'!mark'"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Glob\":\"a\"}}}", PIO_UNSUPPORTED,
     "Glob"},
    {"{\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":1}}", PIO_CORRUPT, "'behavior' must be a string"},
    {"{\"decoder\":{\"type\":\"WordPiece\"}}", PIO_UNSUPPORTED, "'WordPiece'"},
    {"{\"added_tokens\":[{\"id\":1}]}", PIO_CORRUPT, "'content'"},
    {"{\"added_tokens\":[1]}", PIO_CORRUPT, "object"},
    {"{\"added_tokens\":[{\"id\":-5,\"content\":\"a\"}]}", PIO_CORRUPT, "not negative"},
    {"{\"added_tokens\":[{\"id\":1.5,\"content\":\"a\"}]}", PIO_CORRUPT, "whole number"},
    {"{\"added_tokens\":[{\"id\":1,\"content\":\"\"}]}", PIO_CORRUPT, "'content' of an added token is empty"},
    {"{\"normalizer\":{\"type\":\"Strip\",\"strip_left\":true},\"pre_tokenizer\":null,\"added_tokens\":["
     "{\"content\":\" \",\"normalized\":true}],\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}",
     PIO_UNSUPPORTED, "added token 0, ' ', is nothing"},
    {"{\"normalizer\":{\"type\":\"Nmt\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
     "\"prepend_scheme\":\"first\"},\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}",
     PIO_UNSUPPORTED, "'Metaspace' with prepend_scheme 'first'"},
    {"{\"added_tokens\":[{\"content\":\"a\",\"special\":1}]}", PIO_CORRUPT, "'special' must be true or false"},
};

static void test_bad_files(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    for (size_t i = 0; i < PIO_COUNT(bad_files); i++) {
        pio_tokenizer *tokenizer = (pio_tokenizer *)&state;
        pio_error error = {0};
        temp_dir_write(directory, "tokenizer.json", bad_files[i].json, strlen(bad_files[i].json));
        pio_status status = pio_tokenizer_open(directory, &tokenizer, &error);
        if (status != bad_files[i].status || !strstr(error.text, bad_files[i].part) ||
            !strstr(error.text, "tokenizer.json'"))
            fail_msg("%s: %s: '%s'", bad_files[i].json, pio_status_name(status), error.text);
        assert_null(tokenizer);
    }
    pio_error error = {0};
    pio_tokenizer *tokenizer;
    assert_int_equal(pio_tokenizer_open("/nonexistent/place", &tokenizer, &error), PIO_NOT_FOUND);
    assert_non_null(strstr(error.text, "/nonexistent/place/tokenizer.json"));
    temp_dir_remove(directory);
}

/* Cut at any place, or with any byte changed, a file is refused or opens; it does neither crash nor leak. */
static void test_damaged_files(void **state) {
    (void)state;
    test_random random = test_random_begin("damaged files");
    size_t n;
    char *json = tokenizer_style_json("flags", "bytes", &n);
    for (int round = 0; round < 150; round++) {
        pio_tokenizer *tokenizer;
        pio_error error = {0};
        bool cut = round % 2;
        size_t at = test_random_below(&random, round % 3 ? 3000 : n);
        char kept = json[at];
        if (!cut) json[at] = (char)test_random_u64(&random);
        pio_status status = pio_tokenizer_parse("damaged", json, cut ? at : n, &tokenizer, &error);
        if (cut) assert_int_equal(status, PIO_CORRUPT);
        assert_true(!status == (tokenizer != NULL));
        pio_tokenizer_close(tokenizer);
        json[at] = kept;
    }
    free(json);
}

/* Order of the keys must not matter: the model first. */
static void test_model_first(void **state) {
    (void)state;
    static const char json[] =
        "{\"model\":{\"merges\":[[\"\xc4\xa0\",\"a\"]],\"vocab\":{\"a\":0,\"\xc4\xa0\":1,\"\xc4\xa0"
        "a\":2}},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false,"
        "\"add_prefix_space\":true},\"normalizer\":null}";
    pio_tokenizer *tokenizer;
    pio_token_ids ids = {0};
    pio_error error = {0};
    assert_int_equal(pio_tokenizer_parse("test", json, sizeof json - 1, &tokenizer, &error), PIO_OK);
    assert_int_equal(pio_tokenizer_encode(tokenizer, "a aa", 4, &ids, &error), PIO_OK);
    static const int32_t wanted[] = {2, 2, 0};
    assert_int_equal(ids.n_items, 3);
    assert_memory_equal(ids.items, wanted, sizeof wanted);
    free(ids.items);
    pio_tokenizer_close(tokenizer);
}

/* Long pieces take the heap, short ones the scan: both must merge alike. A run of one letter has known merges. */
static void test_long_pieces(void **state) {
    (void)state;
    static const char json[] =
        "{\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false,"
        "\"add_prefix_space\":false},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1,\"aaaa\":2},"
        "\"merges\":[\"a a\",\"aa aa\"]}}";
    pio_tokenizer *tokenizer;
    pio_error error = {0};
    assert_int_equal(pio_tokenizer_parse("test", json, sizeof json - 1, &tokenizer, &error), PIO_OK);
    for (int n = 1; n < 300000; n = n < 100 ? n + 1 : n * 7 + 3) {
        char *text = malloc((size_t)n);
        pio_token_ids ids = {0};
        memset(text, 'a', (size_t)n);
        assert_int_equal(pio_tokenizer_encode(tokenizer, text, (size_t)n, &ids, &error), PIO_OK);
        assert_int_equal(ids.n_items, n / 4 + n % 4 / 2 + n % 2);
        for (int32_t i = 0; i < ids.n_items; i++)
            assert_int_equal(ids.items[i], i < n / 4 ? 2 : i == n / 4 && n % 4 > 1);
        free(ids.items);
        free(text);
    }
    pio_tokenizer_close(tokenizer);
}

/* A run of spaces is gone through once by each alternative, however long it is. */
static void test_long_spaces(void **state) {
    (void)state;
    const size_t n = 3000000;
    pio_tokenizer *tokenizer = tokenizer_style_open("qwen", "bytes");
    pio_token_ids ids = {0};
    pio_text back = {0};
    pio_error error = {0};
    char *text = malloc(n);
    memset(text, ' ', n);
    text[n - 1] = 'x';
    if (pio_tokenizer_encode(tokenizer, text, n, &ids, &error)) fail_msg("%s", error.text);
    assert_int_equal(pio_tokenizer_decode(tokenizer, ids.items, (size_t)ids.n_items, &back, &error), PIO_OK);
    assert_int_equal(back.n_bytes, n);
    assert_memory_equal(back.bytes, text, n);
    pio_text_free(&back);
    free(ids.items);
    free(text);
    pio_tokenizer_close(tokenizer);
}

/* A pattern that backtracks for ever ends in an error. */
static void test_runaway_pattern(void **state) {
    (void)state;
    static const char json[] =
        "{\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":"
        "{\"Regex\":\"(?:(?:a|b)+)+(?:c|d)(?:e|f)\"}},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},"
        "\"merges\":[]}}";
    pio_tokenizer *tokenizer;
    pio_error error = {0};
    char text[4096];
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - 3, "dcd", 3);
    assert_int_equal(pio_tokenizer_parse("test", json, sizeof json - 1, &tokenizer, &error), PIO_OK);
    expect_text_failure(tokenizer, text, sizeof text, PIO_LIMIT, "too many ways");
    pio_tokenizer_close(tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_styles),        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_streaming_of_random_ids),
        cmocka_unit_test(test_bad_calls),     cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_model_first),
        cmocka_unit_test(test_long_pieces),   cmocka_unit_test(test_runaway_pattern),
        cmocka_unit_test(test_line_escapes),  cmocka_unit_test(test_long_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
