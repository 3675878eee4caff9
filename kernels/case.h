/* Cases: the inputs on which every row of an op is compared with the op's reference, by the tests, by the device's
 * self-test and by the op benches. An op's make_case() describes one case through these functions, which fill
 * builder->call; the harness (case.c) makes each operand twice, once for the reference (float32 activations, row-major
 * layout) and once for the row under test (its encoding, its layout), so that both read the same values: activations
 * are encoded and decoded again for the reference, weights are quantised once and packed twice. Numbers are random from
 * the builder's seed; rows past the live count, padding columns and outputs are poisoned with NaN, and after a run
 * everything outside the outputs' live rows must be untouched. */
#ifndef PIO_KERNELS_CASE_H
#define PIO_KERNELS_CASE_H

#include "base/threads.h"
#include "kernels/kernel.h"
#include "kernels/load.h"

/* One sequence of a case's step. */
typedef struct pio_case_sequence {
    int32_t context; /* tokens already in the cache */
    int32_t n_rows;  /* tokens of this step */
} pio_case_sequence;

/* Names the case, e.g. "decode, odd columns"; printf-style. */
void pio_case_name(pio_case_builder *builder, const char *format, ...) PIO_PRINTF(2, 3);

/* The largest normalised mean squared error between row and reference over all live rows, with its reason. The default,
 * 1e-10, is for sums of float32 in another order. */
void pio_case_tolerance(pio_case_builder *builder, double nmse, const char *reason);

/* The call being described: set attrs here. */
pio_call *pio_case_call(pio_case_builder *builder);

/* The layout and encoding of the row under test, for cases that depend on it (a data type's padding, a cache's type).
 */
const pio_row *pio_case_row(const pio_case_builder *builder);

/* A random number: uniform in [0, n), and Gaussian. */
uint32_t pio_case_uniform(pio_case_builder *builder, uint32_t n);
float pio_case_gaussian(pio_case_builder *builder);

/* Operands. `bound` rows of which `live` are live (live rows are random Gaussian times `scale`, some large outliers).
 * Returns the host copy, which may be changed until the case runs. */
float *pio_case_acts(pio_case_builder *builder, int in, int32_t bound, int32_t live, int32_t cols, float scale);
float *pio_case_weight(pio_case_builder *builder, int in, int32_t rows, int32_t cols, float scale);
/* n_matrices of [rows, cols]; like the first, returns the host copy. */
float *pio_case_weights(pio_case_builder *builder, int in, int32_t n_matrices, int32_t rows, int32_t cols, float scale);
/* The weights of operand `in` have this layout, whatever the row's: beside a cache, whose layout the row's is. */
void pio_case_weights_layout(pio_case_builder *builder, int in, pio_layout layout);
/* A float32 vector of n numbers: mean + scale * Gaussian. Returns the host copy, which may be changed until the case
 * runs. */
float *pio_case_vector(pio_case_builder *builder, int in, int32_t n, float mean, float scale);
/* n raw bytes-identical words, the same for reference and row (i32 tables, sampler slots); zeroed, to be filled. */
void *pio_case_words(pio_case_builder *builder, int in, int64_t bytes);
/* A cache with attrs.n_kv_heads, head_dim and page_tokens and `pages` pages, random in the rows that the step's
 * sequences have in their context, NaN elsewhere. Call after pio_case_step and after attrs are set. */
void pio_case_cache(pio_case_builder *builder, int in, int32_t pages);
/* The same of latents, with attrs.head_dim and rope_dim. */
void pio_case_latent_cache(pio_case_builder *builder, int in, int32_t pages);
/* The later a token, the larger its values, or its latent: 2^(doublings * position). */
void pio_case_cache_growth(pio_case_builder *builder, float doublings);
/* The step: ragged sequences with shuffled pages; fills all of call->step. `bound` >= the sum of n_rows. */
void pio_case_step(pio_case_builder *builder, const pio_case_sequence *sequences, int n_sequences, int32_t bound);
/* Parts of the step that a case sets itself, after pio_case_step: ids [live tokens]; the wanted rows and their draws,
 * of which `live` of `bound` are live. */
int32_t *pio_case_ids(pio_case_builder *builder);
int32_t *pio_case_out_rows(pio_case_builder *builder, int32_t bound, int32_t live);
pio_step_draw *pio_case_draws(pio_case_builder *builder, int32_t bound, int32_t live);
/* The taps [bound] of a step's patches, zeroed. */
pio_step_taps *pio_case_taps(pio_case_builder *builder, int32_t bound);
/* Two of three live token rows, from the first on, stand for a picture's row: `cols` random numbers each. */
void pio_case_picture_rows(pio_case_builder *builder, int32_t bound, int32_t live, int32_t cols);
/* Zeroed bytes whose address stands at byte `at` of the words of operand `in`. */
void *pio_case_linked(pio_case_builder *builder, int in, int64_t at, int64_t bytes);

/* A float32 output, poisoned. */
void pio_case_output(pio_case_builder *builder, int out, int32_t bound, int32_t live, int32_t cols);
/* The output is written in this encoding by reference and row alike. */
void pio_case_output_encoding(pio_case_builder *builder, int out, pio_encoding encoding);
/* Raw output words, compared exactly. */
void pio_case_output_words(pio_case_builder *builder, int out, int64_t bytes);
/* The output is the cache operand `in`, compared by what its rows read back as. */
void pio_case_output_cache(pio_case_builder *builder, int out, int in);
/* The output is the operand `in` itself (in-place), so that aliasing is tried too. */
void pio_case_output_in_place(pio_case_builder *builder, int out, int in);

/* ---- running cases ---- */

typedef enum pio_case_outcome { PIO_CASE_PASSED, PIO_CASE_FAILED, PIO_CASE_NOT_SERVED } pio_case_outcome;

typedef struct pio_case_result {
    pio_case_outcome outcome;
    char name[128];
    double nmse;
    char text[512]; /* what is wrong */
} pio_case_result;

/* A device that runs cases. */
typedef struct pio_case_device {
    pio_device *device;
    pio_queue *queue;
    pio_kernels *kernels;
} pio_case_device;

/* Runs case `index` of the row's op through the row (on `device`; NULL: on this CPU, with n_workers taking turns) and
 * through the reference, and compares. `written`: the encoding in which the row writes its output. PIO_NOT_FOUND: there
 * is no such case. */
pio_status pio_case_run(const pio_row *row, const pio_case_device *device, int index, uint64_t seed, int n_workers,
                        pio_encoding written, pio_case_result *result, pio_error *error);

/* Records what pio_case_run would start, into a list that is never submitted: when it ends, a device compiles all that
 * is in it at once. */
pio_status pio_case_record(const pio_row *row, const pio_case_device *device, int index, uint64_t seed, int n_workers,
                           pio_list *list, bool *served, pio_error *error);

/* Runs the row n_times on the case that `describe` makes, with the threads of the pool, each time's seconds into
 * seconds[]. Nothing is compared. PIO_NOT_FOUND: there is no such case. */
pio_status pio_case_time(const pio_row *row, bool (*describe)(pio_case_builder *, int), int index, pio_pool *pool,
                         double *seconds, int n_times, pio_case_result *result, pio_error *error);

#endif
