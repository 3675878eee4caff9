/* Models, their logits and their answers: what tests of the engine share. Everything aborts the test on failure. */
#ifndef PIO_TESTS_ENGINE_H
#define PIO_TESTS_ENGINE_H

#include "engine/request.h"
#include "tests/support/pictures.h"
#include "tests/support/random.h"

/* The bundled sibling of Qwen3-4B-Instruct-2507: 512 ids, 1,024 positions. */
#define TEST_TINY PIO_SOURCE_DIR "/assets/tiny/qwen3_4b_instruct_2507"

/* The backend that PIO_BACKEND names (tests/CMakeLists.txt: the tests labelled with a backend), else PIO_AUTO. */
int test_backend(void);
bool test_is_cpu(void); /* that is the CPU, whose memory is the process's */

/* Everything takes ten times as long, on a device in software or under sanitizers: tests do less then. */
bool test_is_slow(void);

/* The tests' backend, two threads, weights as stored, float32 or the default arithmetic; change what a test varies. */
pio_engine_options test_engine_options(bool compute_f32);

/* Opened and loaded; closed with pio_model_close. */
pio_model *test_model_load(const char *directory, const pio_engine_options *options);
pio_engine *test_engine_open(const char *directory, const pio_engine_options *options);

/* Ids of text: none stands for a picture, or begins or ends one. Every random prompt of a model is made here. */
void test_random_ids(test_random *random, const pio_model *model, int32_t *ids, int32_t n);

/* Feeds ids[0 .. n) from an empty cache, `step` tokens at a time; logits: [n, vocab]. */
void test_model_logits(pio_model *model, const int32_t *ids, int32_t n, int32_t step, float *logits);

/* The same of a prompt with pictures. */
void test_model_logits_seen(pio_model *model, const int32_t *ids, int32_t n, int32_t step,
                            const test_pictures *pictures, float *logits);

/* What the device holds in a buffer, whether it can be mapped or not; free() it. */
void *test_buffer_read(const pio_model *model, const pio_buffer *buffer);

/* The mean square of got - wanted over the mean square of wanted; infinite where a number is not finite. */
double test_nmse(const float *got, const float *wanted, size_t n);

/* A request and the tokens that it was given. */
enum { TEST_MOST_TOKENS = 1024 };
typedef struct test_answer {
    pio_request request;
    int32_t tokens[TEST_MOST_TOKENS];
    int32_t n_tokens;
    int32_t stop_after; /* the callback ends the answer there; 0: never */
} test_answer;

/* A greedy request without end tokens, which may be changed before it is run; *answer must not move until then. */
void test_answer_begin(test_answer *answer, const int32_t *prompt, int32_t n_prompt, int32_t max_tokens);

/* Runs n of them together. */
void test_answers_run(pio_engine *engine, test_answer *answers, int32_t n);

void test_answers_equal(const test_answer *a, const test_answer *b);
bool test_answers_alike(const test_answer *a, const test_answer *b); /* the same tokens */

#endif
