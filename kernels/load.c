#include "kernels/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Rows of several ops may name the same code: with the same constants it is compiled once. */
typedef struct loaded {
    const pio_row *row; /* the first that wanted it */
    int index;
    pio_launch launch; /* its constants and the size of its subgroups count */
    pio_module *module;
} loaded;

struct pio_kernels {
    pio_device *device;
    loaded *kernels;
    int32_t n_kernels, kernels_capacity;
};

pio_status pio_kernels_create(pio_device *device, pio_kernels **out, pio_error *error) {
    pio_kernels *kernels = *out = calloc(1, sizeof *kernels);
    if (!kernels) return pio_fail_memory(error, "the table of kernels", sizeof *kernels);
    kernels->device = device;
    return PIO_OK;
}

void pio_kernels_destroy(pio_kernels *kernels) {
    if (!kernels) return;
    for (int32_t i = 0; i < kernels->n_kernels; i++) pio_module_destroy(kernels->kernels[i].module);
    free(kernels->kernels);
    free(kernels);
}

static bool same_launch(const pio_launch *a, const pio_launch *b) {
    return a->n_constants == b->n_constants && a->subgroup_size == b->subgroup_size &&
           !memcmp(a->constants, b->constants, sizeof *a->constants * (size_t)a->n_constants);
}

static bool same_code(const loaded *k, const pio_row *row, int index) {
    if (k->row == row && k->index == index) return true;
    return row->code[index] && k->row->code[k->index] == row->code[index] &&
           pio_op_get(k->row->op)->args_bytes == pio_op_get(row->op)->args_bytes;
}

static pio_status load(pio_kernels *kernels, const pio_row *row, int index, const pio_launch *launch,
                       pio_module **module, pio_error *error) {
    char name[PIO_ROW_NAME_BYTES];
    const pio_op_info *op = pio_op_get(row->op);
    loaded *added = PIO_PUSH(kernels, kernels);
    if (!added) return pio_fail_memory(error, "the table of kernels", sizeof *added * (size_t)kernels->n_kernels);
    const pio_kernel_desc desc = {.name = pio_row_name(row, name),
                                  .function = row->functions[index],
                                  .code = row->code[index],
                                  .entry = "main",
                                  .constants = launch->constants,
                                  .n_constants = launch->n_constants,
                                  .subgroup_size = launch->subgroup_size,
                                  .group = {1, 1, 1},
                                  .args_bytes = (uint32_t)op->args_bytes};
    pio_status status = pio_module_create(
        kernels->device, &(pio_module_desc){.name = op->family, .kernels = &desc, .n_kernels = 1}, module, error);
    if (status)
        kernels->n_kernels--;
    else
        *added = (loaded){row, index, *launch, *module};
    return status;
}

pio_status pio_kernels_get(pio_kernels *kernels, const pio_row *row, int index, const pio_launch *launch,
                           pio_kernel **out, pio_error *error) {
    static const pio_launch plain = {.groups = {1, 1, 1}};
    pio_module *module = NULL;
    *out = NULL;
    if (!launch) launch = &plain;
    for (int32_t i = 0; i < kernels->n_kernels && !module; i++) {
        const loaded *k = &kernels->kernels[i];
        if (same_code(k, row, index) && same_launch(&k->launch, launch)) module = k->module;
    }
    pio_status status = module ? PIO_OK : load(kernels, row, index, launch, &module, error);
    if (!status) *out = pio_module_kernel(module, 0);
    return status;
}

/* ---- recording ---- */

/* Takes the dispatches of one row and puts them into a list. */
typedef struct list_recorder {
    pio_recorder base;
    pio_kernels *kernels;
    const pio_row *row;
    pio_list *list;
} list_recorder;

static pio_status record_dispatch(pio_recorder *recorder, int index, const pio_launch *launch, const void *args,
                                  size_t args_bytes, pio_error *error) {
    list_recorder *r = (list_recorder *)recorder;
    pio_kernel *kernel;
    pio_status status = pio_kernels_get(r->kernels, r->row, index, launch, &kernel, error);
    const uint32_t one[3] = {1, 1, 1};
    return status ? status : pio_list_dispatch(r->list, kernel, launch ? launch->groups : one, args, args_bytes, error);
}

static pio_status record_barrier(pio_recorder *recorder, pio_error *error) {
    return pio_list_barrier(((list_recorder *)recorder)->list, error);
}

pio_status pio_kernels_record(pio_kernels *kernels, pio_list *list, const pio_row *row, const pio_call *call,
                              pio_error *error) {
    list_recorder recorder = {{record_dispatch, record_barrier}, kernels, row, list};
    return pio_row_record(row, &recorder.base, call, error);
}
