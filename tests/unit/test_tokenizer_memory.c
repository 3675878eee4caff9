/* Allocations of opening and using a tokenizer fail: the answer is PIO_OUT_OF_MEMORY and nothing has changed, or the
 * same ids and text as ever; nothing leaks (a sanitizer's leak check sees to that). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/failing_memory.h"
#include "tests/support/random.h"
#include "tests/support/tokenizer_style.h"
#include "text/token_lines.h"

/* Long enough for the cache of pieces and for the heap of candidates, with composed, special and unknown characters. */
static const char line[] =
    "\"<|im_start|>user\\nThe cat sat on the mat; e\\u0301te\\u0301 1234567 \\u4f60\\u597d \\ud83e\\udd99 WE'LL  <s> "
    "abababababababababababababababababababababababababababababababababababababababababababab  <mask> z\\u0300\\u0327 "
    "the other cat is there, and the tokenizer world of Unicode, Hello world 123 and the end of the text <|im_end|>\"";

typedef struct results {
    pio_text ids, back, streamed;
} results;

static void free_results(results *r) {
    pio_text_free(&r->ids);
    pio_text_free(&r->back);
    pio_text_free(&r->streamed);
}

/* Ids one by one through the gate. */
static pio_status stream(const pio_tokenizer *tokenizer, const pio_text *ids, pio_text *out, pio_error *error) {
    pio_utf8_gate gate = {0};
    pio_status status = PIO_OK;
    for (size_t at = 0; at + 2 < ids->n_bytes && !status;) {
        char *end;
        long id = strtol(ids->bytes + at + 1, &end, 10); /* behind '[' or ',' */
        at = (size_t)(end - ids->bytes);
        size_t n;
        const char *bytes = pio_tokenizer_token_bytes(tokenizer, (int32_t)id, &n);
        status = pio_utf8_gate_push(&gate, bytes, n, out, error);
    }
    return status ? status : pio_utf8_gate_finish(&gate, out, error);
}

static pio_status use(const char *json, size_t n, results *out, pio_error *error) {
    pio_tokenizer *tokenizer;
    pio_status status = pio_tokenizer_parse("test", json, n, &tokenizer, error);
    assert_true(!status == (tokenizer != NULL));
    if (!status) status = pio_token_line_encode(tokenizer, line, sizeof line - 1, &out->ids, error);
    if (!status) status = pio_token_line_decode(tokenizer, out->ids.bytes, out->ids.n_bytes - 1, &out->back, error);
    if (!status) status = stream(tokenizer, &out->ids, &out->streamed, error);
    pio_tokenizer_close(tokenizer);
    return status;
}

static bool same(const pio_text *a, const pio_text *b) {
    return a->n_bytes == b->n_bytes && !memcmp(a->bytes, b->bytes, a->n_bytes);
}

/* One run in which `n` allocations succeed; false: none failed any more. */
static bool run_failing(const char *style, const char *json, size_t n_json, long n, bool once, const results *wanted) {
    results got = {0};
    pio_error error = {0};
    atomic_store(&failing_memory_failures, 0);
    atomic_store(&failing_memory_once, once);
    atomic_store(&failing_memory_left, n);
    pio_status status = use(json, n_json, &got, &error);
    atomic_store(&failing_memory_left, -1);
    bool failed = atomic_load(&failing_memory_failures) > 0;
    if (status && (status != PIO_OUT_OF_MEMORY || !failed)) fail_msg("%s, allocation %ld: %s", style, n, error.text);
    if (status) assert_non_null(strstr(error.text, "not enough memory"));
    if (!status &&
        (!same(&got.ids, &wanted->ids) || !same(&got.back, &wanted->back) || !same(&got.streamed, &wanted->streamed)))
        fail_msg("%s, allocation %ld: other ids or text", style, n);
    free_results(&got);
    return failed;
}

static void check_style(const char *style, const char *tables, test_random *random) {
    size_t n_json;
    char *json = tokenizer_style_json(style, tables, &n_json);
    results wanted = {0};
    pio_error error = {0};
    atomic_store(&failing_memory_calls, 0);
    if (use(json, n_json, &wanted, &error)) fail_msg("%s: %s", style, error.text);
    const long n_calls = atomic_load(&failing_memory_calls);
    assert_true(n_calls > 60); /* else the linker did not send the calls here */
    assert_true(wanted.ids.n_bytes > 100 && wanted.back.n_bytes > 100);
    for (int once = 0; once < 2; once++) {
        /* All of the first and the last; between them tokens are looked at one by one. */
        for (long n = 0; n < n_calls; n += n < 250 || n > n_calls - 250 ? 1 : 1 + (long)test_random_below(random, 200))
            assert_true(run_failing(style, json, n_json, n, once, &wanted));
    }
    assert_false(run_failing(style, json, n_json, n_calls, false, &wanted));
    free_results(&wanted);
    free(json);
}

static void test_failing_allocations(void **state) {
    (void)state;
    test_random random = test_random_begin("failing allocations");
    check_style("qwen", "bytes", &random);
    check_style("deepseek_coder", "bytes", &random);
    check_style("flags", "bytes", &random);
    check_style("strips", "bytes", &random);
    check_style("byte_normalizer", "bytes", &random);
    check_style("clip", "clip", &random);
    check_style("llama2", "characters", &random);
    check_style("metaspace_split", "characters", &random);
    check_style("no_decoder", "characters", &random);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
