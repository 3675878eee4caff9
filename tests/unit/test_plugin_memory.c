/* Every allocation of a plugin's life may fail, alone or with all after it: the answer is a sentence, and the plugin
 * can be cleaned up. (A sanitizer's leak check sees what is left behind.) */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "inference_pio/plugin.h"
#include "tests/support/failing_memory.h"
#include "tests/support/random.h"

#define TINY PIO_SOURCE_DIR "/assets/tiny/qwen3_4b_instruct_2507"

static const pio_option settings_list[] = {{"threads", "1"}, {"context", "128"}, {"stop", "[\"x\", \"y\"]"}};
static const pio_option answer_list[] = {
    {"max_tokens", "3"}, {"logit_bias", "5=1"}, {"repetition_penalty", "1.1"}, {"thinking_budget", "2"}};

static bool ignore(void *user, pio_delta delta, int32_t call, const char *text, size_t bytes) {
    (void)delta, (void)call, (void)text;
    *(size_t *)user += bytes;
    return true;
}

/* The sentence of a failure stands in the plugin. */
static void check(const pio_plugin *p, pio_status status) {
    if (status && status != PIO_OUT_OF_MEMORY) fail_msg("%s: %s", pio_status_name(status), pio_plugin_error(p));
    assert_int_equal(status != PIO_OK, strlen(pio_plugin_error(p)) > 0);
}

static pio_status open_plugin(pio_plugin **p) {
    pio_error error;
    pio_status status = pio_create_qwen3_4b_instruct_2507_plugin(p, &error);
    assert_int_equal(status == PIO_OK, *p != NULL);
    if (!status) check(*p, status = pio_plugin_initialize(*p, &(pio_options){settings_list, 3}));
    if (!status) check(*p, status = pio_plugin_load_model(*p, TINY));
    return status;
}

static pio_status ask(pio_plugin *p) {
    const pio_options answers = {answer_list, 4};
    pio_result *result;
    size_t heard = 0;
    if (!pio_plugin_settings(p)) return PIO_OUT_OF_MEMORY;
    pio_status status = pio_plugin_chat_completion(
        p, "{\"messages\": [{\"role\": \"user\", \"content\": \"Spell a.\"}], \"tools\": [{\"name\": \"now\"}]}",
        &answers, ignore, &heard, &result);
    check(p, status);
    assert_int_equal(status == PIO_OK, result != NULL);
    if (!status) assert_int_equal(heard, pio_result_text_bytes(result));
    pio_result_free(result);
    if (status) return status;
    check(p, status = pio_plugin_generate_text(p, "a b c", &answers, NULL, NULL, &result));
    pio_result_free(result);
    return status;
}

static pio_status live(void) {
    pio_plugin *p;
    pio_status status = open_plugin(&p);
    if (!status) status = ask(p);
    pio_plugin_cleanup(p);
    return status;
}

/* Lets allocation n fail for n = first, first + stride, ... until nothing fails any more. */
static void fail_each(pio_status (*run)(void *), void *user, long first, long stride, long least) {
    for (int once = 0; once < 2; once++) {
        pio_status status = PIO_OUT_OF_MEMORY;
        long failed = 0;
        for (long n = first; status; n += stride) {
            const long before = atomic_load(&failing_memory_failures);
            failing_memory_once = once;
            failing_memory_left = n;
            status = run(user);
            failing_memory_left = -1;
            if (!status && atomic_load(&failing_memory_failures) > before)
                status = PIO_OUT_OF_MEMORY; /* one that was overcome */
            else
                failed += status != PIO_OK;
        }
        print_message("%ld failures\n", failed);
        assert_true(failed >= least);
    }
    failing_memory_once = false;
}

static pio_status run_life(void *user) {
    (void)user;
    return live();
}

static pio_status run_answers(void *user) {
    return ask(user);
}

static void a_life_with_failures(void **state) {
    (void)state;
    enum { STRIDE = 97 };
    test_random random = test_random_begin("a_life_with_failures");
    fail_each(run_life, NULL, (long)test_random_below(&random, STRIDE), STRIDE, 10);
}

/* The same plugin answers on after each failure. */
static void answers_with_failures(void **state) {
    (void)state;
    pio_plugin *p;
    assert_int_equal(open_plugin(&p), PIO_OK);
    assert_int_equal(ask(p), PIO_OK); /* what is kept for later answers is made */
    fail_each(run_answers, p, 0, 1, 20);
    pio_plugin_cleanup(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_life_with_failures), cmocka_unit_test(answers_with_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
