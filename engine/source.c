#include "engine/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTERLEAVE_BLOCK = 16 }; /* rows of gate, then as many of up: as kernels/linear reads them */

/* Whether each of the `rows` filters of a convolution has `cols` numbers. */
static bool is_convolution(const pio_stored_tensor *tensor, int32_t rows, int32_t cols) {
    uint64_t n = 1;
    for (int i = 1; i < tensor->rank; i++) {
        if (tensor->dims[i] > (uint64_t)cols) return false;
        n *= tensor->dims[i];
        if (n > (uint64_t)cols) return false;
    }
    return tensor->dims[0] == (uint64_t)rows && n == (uint64_t)cols;
}

static int32_t tensor_cols(const pio_weight *weight, const pio_weight_part *part) {
    if (part->transposed) return part->rows;
    return part->from.tensor_cols ? part->from.tensor_cols : weight->cols;
}

/* Whether the tensor has the part's shape, or its text in `wanted`. */
static bool has_shape(const pio_stored_tensor *tensor, const pio_weight *weight, const pio_weight_part *part,
                      char wanted[64]) {
    const int32_t rows = part->from.tensor_rows, cols = tensor_cols(weight, part);
    if (weight->kind == PIO_WEIGHT_VECTOR) {
        snprintf(wanted, 64, "[%d]", cols);
        return tensor->rank == 1 && tensor->dims[0] == (uint64_t)cols;
    }
    snprintf(wanted, 64, "[%d, %d]", rows, cols);
    const uint64_t last = tensor->rank ? tensor->dims[tensor->rank - 1] : 0;
    if (tensor->rank == 4 || tensor->rank == 5) return is_convolution(tensor, rows, cols);
    if (last != (uint64_t)cols) return false;
    if (tensor->rank == 2) return tensor->dims[0] == (uint64_t)rows;
    return tensor->rank == 3 && tensor->dims[1] && tensor->dims[0] == (uint64_t)rows / tensor->dims[1] &&
           (uint64_t)rows % tensor->dims[1] == 0;
}

/* Finds the part's tensor, under its second name where the first is not there, and checks shape and type. */
static pio_status check_part(const pio_model *model, const pio_weight *weight, pio_weight_part *part, bool *is_bf16,
                             pio_error *error) {
    const pio_stored_tensor *tensor = pio_checkpoint_find(model->checkpoint, part->from.tensor);
    char shape[128], wanted[64];
    if (!tensor && part->or_from.tensor[0] && (tensor = pio_checkpoint_find(model->checkpoint, part->or_from.tensor)))
        part->from = part->or_from;
    if (!tensor)
        return pio_fail(
            error, PIO_NOT_FOUND,
            "'%s': tensor '%s' is missing: the checkpoint is incomplete or its config.json is another model's; "
            "download it again",
            model->directory, part->from.tensor);
    if (!has_shape(tensor, weight, part, wanted))
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': tensor '%s' has shape %s, but config.json asks for %s: they do not belong "
                        "together; download both from one place",
                        model->directory, part->from.tensor, pio_stored_tensor_shape(tensor, shape, sizeof shape),
                        wanted);
    if (tensor->dtype != PIO_STORED_BF16 && tensor->dtype != PIO_STORED_F16 && tensor->dtype != PIO_STORED_F32)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': tensor '%s' holds %s: give a checkpoint in BF16, F16 or F32",
                        model->directory, part->from.tensor, pio_stored_dtype_name(tensor->dtype));
    *is_bf16 &= tensor->dtype == PIO_STORED_BF16;
    return PIO_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static pio_status check_unknown(const pio_model *model, pio_error *error) {
    const pio_spec *spec = &model->spec;
    const char **known = malloc(sizeof *known * (size_t)PIO_MAX(1, spec->n_parts));
    if (!known) return pio_fail_memory(error, "the names of tensors", sizeof *known * (size_t)spec->n_parts);
    for (int32_t i = 0; i < spec->n_parts; i++) known[i] = spec->parts[i].from.tensor;
    qsort(known, (size_t)spec->n_parts, sizeof *known, by_name);
    pio_status status = PIO_OK;
    for (size_t i = 0; i < pio_checkpoint_n_tensors(model->checkpoint) && !status; i++) {
        const char *name = pio_checkpoint_tensor(model->checkpoint, i)->name;
        if (bsearch(&name, known, (size_t)spec->n_parts, sizeof *known, by_name)) continue;
        if (pio_model_is_extra(&model->config, name)) continue;
        status = pio_fail(error, PIO_UNSUPPORTED,
                          "'%s': tensor '%.100s' is not part of a %s model: the checkpoint is of another architecture "
                          "or version; give "
                          "the config.json that it was published with",
                          model->directory, name, model->family->model_type);
    }
    free(known);
    return status;
}

pio_status pio_source_check(pio_model *model, pio_error *error) {
    pio_spec *spec = &model->spec;
    for (int32_t i = 0; i < spec->n_weights; i++) {
        pio_weight *weight = &spec->weights[i];
        bool is_bf16 = true;
        for (int32_t j = 0; j < weight->n_parts; j++) {
            pio_status status = check_part(model, weight, &spec->parts[weight->first_part + j], &is_bf16, error);
            if (status) return status;
        }
        if (weight->dtype == PIO_DTYPE_BF16 && !is_bf16) weight->dtype = PIO_DTYPE_F32;
    }
    return check_unknown(model, error);
}

/* Row `row` of a weight whose two parts of `half` rows take turns in blocks: *part and the row in it. */
static int32_t interleaved_row(int32_t half, int32_t row, int32_t *part) {
    int32_t block = row / (2 * INTERLEAVE_BLOCK), in_block = row % (2 * INTERLEAVE_BLOCK);
    int32_t width = PIO_MIN(INTERLEAVE_BLOCK, half - block * INTERLEAVE_BLOCK);
    *part = in_block >= width;
    return block * INTERLEAVE_BLOCK + in_block - (*part ? width : 0);
}

pio_source_row pio_source_find(const pio_model *model, const pio_stored_tensor *const *tensors, int32_t index,
                               int32_t row) {
    const pio_weight *weight = &model->spec.weights[index];
    const int32_t first = weight->first_part + row / weight->rows * (weight->n_parts / weight->n_matrices);
    const pio_weight_part *parts = &model->spec.parts[first];
    int32_t part = 0;
    row %= weight->rows;
    if (weight->interleaved)
        row = interleaved_row(parts[0].rows, row, &part);
    else
        while (row >= parts[part].rows) row -= parts[part++].rows;
    const pio_stored_tensor *tensor = tensors[first + part];
    const pio_weight_part *from = &parts[part];
    const uint64_t element_bytes = pio_stored_dtype_bits(tensor->dtype) / 8;
    const int32_t cols = tensor_cols(weight, from);
    const uint64_t at = from->transposed
                            ? (uint64_t)from->from.first_row * (uint64_t)cols + (uint64_t)row
                            : (uint64_t)(from->from.first_row + row) * (uint64_t)cols + (uint64_t)from->from.first_col;
    return (pio_source_row){tensor, (const char *)tensor->data + element_bytes * at, from->transposed ? cols : 1};
}
