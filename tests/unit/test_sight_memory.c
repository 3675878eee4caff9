/* While pictures are placed, seen and answered for, every allocation may fail: the answer is a sentence, and the engine
 * answers the next request as if nothing had happened. (A sanitizer's leak check sees what is left behind.) */
#include "tests/support/test.h"

#include <string.h>

#include "tests/support/engine.h"
#include "tests/support/failing_memory.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_vl_odd"

enum { TEXT = 4, MOST = 128, ANSWER = 3 };

static void every_failure_is_a_status(void **state) {
    (void)state;
    test_random random = test_random_begin("every_failure_is_a_status");
    const pio_engine_options options = test_engine_options(false);
    pio_engine *engine = test_engine_open(GOLDEN, &options);
    const pio_model_eyes *eyes = &pio_engine_model(engine)->config.common.eyes;
    pio_picture picture = test_picture_random(&random, 6, 10, eyes->merge, eyes->patch_values);
    const pio_picture *pictures[] = {&picture};
    int32_t ids[MOST], n = 0;
    for (int i = 0; i < TEXT; i++) ids[n++] = 3 + i;
    for (int i = 0; i < 15; i++) ids[n++] = eyes->image_token;
    for (int i = 0; i < TEXT; i++) ids[n++] = 9 + i;
    test_answer wanted, answer;
    test_answer_begin(&wanted, ids, n, ANSWER);
    wanted.request.pictures = pictures;
    wanted.request.n_pictures = 1;
    test_answers_run(engine, &wanted, 1);
    long failed = 0;
    pio_status status = PIO_OUT_OF_MEMORY;
    for (long k = 0; status; k++, failed += status != PIO_OK) {
        pio_error error = {0};
        test_answer_begin(&answer, ids, n, ANSWER);
        answer.request.pictures = pictures;
        answer.request.n_pictures = 1;
        pio_request *requests[] = {&answer.request};
        failing_memory_left = k;
        status = pio_engine_run(engine, requests, 1, NULL, NULL, &error);
        failing_memory_left = -1;
        if (status && (status != PIO_OUT_OF_MEMORY || !error.text[0])) fail_msg("allocation %ld: %s", k, error.text);
    }
    print_message("%ld failures\n", failed);
    assert_true(failed > 20);
    test_answers_equal(&answer, &wanted);
    free(picture.patches);
    pio_engine_destroy(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
