#include "tests/support/test.h"
#include <string.h>

#include "base/status.h"

static void a_failure_carries_its_sentence(void **state) {
    (void)state;
    pio_error error = {0};
    assert_int_equal(pio_fail(&error, PIO_NOT_FOUND, "no tensor '%s'", "w"), PIO_NOT_FOUND);
    assert_string_equal(error.text, "no tensor 'w'");
    assert_int_equal(pio_fail_prefix(&error, "model.safetensors"), PIO_NOT_FOUND);
    assert_string_equal(error.text, "model.safetensors: no tensor 'w'");
}

static void an_endless_sentence_is_cut(void **state) {
    (void)state;
    pio_error error;
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(pio_fail(&error, PIO_LIMIT, "%s", text), PIO_LIMIT);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_int_equal(pio_fail(NULL, PIO_LIMIT, "%s", text), PIO_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_carries_its_sentence),
        cmocka_unit_test(an_endless_sentence_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
