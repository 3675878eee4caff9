/* Every allocation of compiling and rendering a template, and of opening a checkpoint's, fails once: the answer is
 * PIO_OUT_OF_MEMORY, the output is as before, and nothing is left behind (a sanitizer's leak check sees to that). */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/failing_memory.h"
#include "tests/support/temp_dir.h"
#include "text/chat.h"

static const char config[] =
    "{\"bos_token\": {\"content\": \"<s>\"}, \"chat_template\": [{\"name\": \"default\", \"template\": "
    "\"{% macro m(a) %}[{{ a }}]{% endmacro %}{% set ns = namespace(n=0) %}{{ bos_token }}"
    "{% for x in messages %}{% set ns.n = ns.n + 1 %}{{ m(x.content|trim|upper) }}{{ ns.n }}{% endfor %}"
    "{{ ('0123456789' * 9999)|length }}{{ messages|tojson(indent=2)|length }}{{ '%s-%5d' % ('a', 7) }}"
    "{{ messages|map(attribute='role')|sort|join(',') }}{{ 'é{}'.format(range(9)|list) }}\"}]}";

static pio_status render_all(const char *directory, json_t *input, pio_text *out, pio_error *error) {
    pio_chat_template *chat;
    pio_status status = pio_chat_template_open(directory, &chat, error);
    if (!status) status = pio_chat_template_render(chat, input, out, error);
    assert_true(chat || status);
    pio_chat_template_free(chat);
    return status;
}

static void every_failure_is_a_status(void **state) {
    (void)state;
    char *directory = temp_dir_make();
    temp_dir_write(directory, "tokenizer_config.json", config, sizeof config - 1);
    temp_dir_write(directory, "special_tokens_map.json", "{\"eos_token\": \"x\"}", 18);
    json_t *input = json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "messages", "role", "user", "content", " hi ", "role",
                              "assistant", "content", "ho");
    pio_text expected = {0};
    pio_error error = {0};
    if (render_all(directory, input, &expected, &error)) fail_msg("%s", error.text);
    pio_status status = PIO_OUT_OF_MEMORY;
    long n = 0;
    for (; status != PIO_OK && n < 1000; n++) {
        pio_text out = {0};
        error = (pio_error){0};
        assert_true(pio_text_append(&out, "before", 6));
        failing_memory_left = n;
        status = render_all(directory, input, &out, &error);
        failing_memory_left = -1;
        if (status != PIO_OK && status != PIO_OUT_OF_MEMORY) fail_msg("allocation %ld: %s", n, error.text);
        if (status) {
            assert_non_null(strstr(error.text, "not enough memory"));
            assert_int_equal(out.n_bytes, 6);
        } else {
            assert_int_equal(out.n_bytes, expected.n_bytes + 6);
            assert_memory_equal(out.bytes + 6, expected.bytes, expected.n_bytes);
        }
        pio_text_free(&out);
    }
    assert_int_equal(status, PIO_OK);
    assert_true(n > 10); /* else the linker did not send the calls here */
    pio_text_free(&expected);
    json_decref(input);
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
