/* Random weights in place of a checkpoint's: for measuring at full size. Gaussian with variance 1 / columns, so that
 * activations keep their size from layer to layer; some rows' worth is made a unit and used again and again. */
#include <math.h>
#include <string.h>

#include "engine/fill.h"
#include "kernels/dtype/quantize.h"

enum { SAMPLE_ROWS = 64 };

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The sum of four uniform numbers (Irwin and Hall): near enough to a Gaussian. */
static float gaussian(uint64_t *state) {
    uint64_t x = next_random(state);
    int32_t sum = (int32_t)((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48)) - 2 * 0xffff;
    return (float)sum * (1.7320508f / 0x1p16f);
}

static void fill_vector(const pio_weight *weight, float *out) {
    uint64_t random = 0x51ed270b0a7e7e1fu;
    for (int32_t i = 0; i < weight->cols; i++)
        out[i] = weight->kind == PIO_WEIGHT_VALUES ? weight->values[i] : 1.0f + 0.1f * gaussian(&random);
}

/* Repeats the first `made` rows of each plane up to `rows`. */
static void repeat(const pio_canonical *rows, int32_t made) {
    struct {
        char *plane;
        uint64_t row_bytes;
    } planes[] = {{rows->codes, pio_canonical_code_bytes(rows->dtype, 1, rows->cols)},
                  {(char *)rows->subs, pio_canonical_sub_bytes(rows->dtype, 1, rows->cols)},
                  {(char *)rows->scales, pio_canonical_scale_bytes(rows->dtype, 1, rows->cols)}};
    for (size_t p = 0; p < PIO_COUNT(planes); p++)
        for (int32_t r = made; r < rows->rows; r++)
            memcpy(planes[p].plane + planes[p].row_bytes * (uint64_t)r,
                   planes[p].plane + planes[p].row_bytes * (uint64_t)(r - made), planes[p].row_bytes);
}

static pio_status fill_rows(void *user, const pio_fill_unit *unit, pio_fill_scratch *own, pio_canonical *rows,
                            pio_error *error) {
    const pio_model *model = user;
    const pio_weight *weight = &model->spec.weights[unit->weight];
    if (weight->kind == PIO_WEIGHT_VECTOR || weight->kind == PIO_WEIGHT_VALUES) {
        fill_vector(weight, rows->codes);
        return PIO_OK;
    }
    const int32_t made = PIO_MIN(SAMPLE_ROWS, unit->n_rows);
    const uint64_t scratch_bytes = PIO_ROUND_UP(pio_quantize_scratch(weight->cols), 64u),
                   bytes = scratch_bytes + sizeof(float) * (uint64_t)made * (uint64_t)weight->cols;
    char *scratch = pio_fill_scratch_get(own, bytes);
    if (!scratch) return pio_fail_memory(error, "random weights", bytes);
    float *x = (float *)(void *)(scratch + scratch_bytes);
    uint64_t random = (uint64_t)unit->weight << 32 ^ (uint64_t)unit->first_row;
    const float scale = 1.0f / sqrtf((float)weight->cols);
    for (int64_t i = 0; i < (int64_t)made * weight->cols; i++) x[i] = scale * gaussian(&random);
    pio_canonical first = *rows;
    first.rows = made;
    pio_quantize(model->chosen.cpu_features, PIO_DTYPE_F32, x, &first, scratch);
    repeat(rows, made);
    return PIO_OK;
}

pio_status pio_model_fill_dummies(pio_model *model, pio_error *error) {
    return pio_fill(model, "making random weights", fill_rows, model, error);
}
