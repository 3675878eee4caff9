#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"

/* ---- kernels, loaded a family at a time ---- */

enum { MAX_FAMILIES = 32 };

typedef struct family {
    const char *name;
    pio_module *module;
} family;

struct pio_kernels {
    pio_device *device;
    pio_backend backend;
    family families[MAX_FAMILIES];
    int n_families;
    int32_t *index; /* [rows of the build]: of the row's first kernel in its family's module */
};

pio_status pio_kernels_create(pio_device *device, pio_backend backend, pio_kernels **out, pio_error *error) {
    *out = NULL;
    int n_rows;
    pio_rows(&n_rows);
    pio_kernels *kernels = calloc(1, sizeof *kernels);
    if (kernels) kernels->index = calloc((size_t)PIO_MAX(1, n_rows), sizeof *kernels->index);
    if (!kernels || !kernels->index) {
        free(kernels);
        return pio_fail_memory(error, "the table of kernels", sizeof(int32_t) * (size_t)n_rows);
    }
    kernels->device = device;
    kernels->backend = backend;
    *out = kernels;
    return PIO_OK;
}

void pio_kernels_destroy(pio_kernels *kernels) {
    if (!kernels) return;
    for (int i = 0; i < kernels->n_families; i++) pio_module_destroy(kernels->families[i].module);
    free(kernels->index);
    free(kernels);
}

/* Describes the kernels of a family's rows. Returns their number; `descs` may be NULL to count. */
static int describe(pio_kernels *kernels, const char *name, pio_kernel_desc *descs, char (*names)[PIO_ROW_NAME_BYTES]) {
    int n_rows, n = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        const pio_op_info *op = pio_op_get(rows[i]->op);
        if (rows[i]->backend != kernels->backend || strcmp(op->family, name)) continue;
        kernels->index[i] = n;
        for (int j = 0; j < PIO_ROW_KERNELS && rows[i]->functions[j]; j++, n++) {
            if (!descs) continue;
            descs[n] = (pio_kernel_desc){.name = pio_row_name(rows[i], names[n]),
                                         .function = rows[i]->functions[j],
                                         .group = {1, 1, 1},
                                         .args_bytes = (uint32_t)op->args_bytes};
        }
    }
    return n;
}

static pio_status load_family(pio_kernels *kernels, const char *name, pio_module **out, pio_error *error) {
    if (kernels->n_families == MAX_FAMILIES) return pio_fail(error, PIO_LIMIT, "over %d kernel families", MAX_FAMILIES);
    int n = describe(kernels, name, NULL, NULL);
    pio_kernel_desc *descs = calloc((size_t)PIO_MAX(1, n), sizeof *descs);
    char(*names)[PIO_ROW_NAME_BYTES] = calloc((size_t)PIO_MAX(1, n), sizeof *names);
    pio_status status =
        descs && names ? PIO_OK : pio_fail_memory(error, "a family of kernels", sizeof *descs * (size_t)n);
    if (!status) {
        describe(kernels, name, descs, names);
        const pio_module_desc desc = {.name = name, .kernels = descs, .n_kernels = n};
        status = pio_module_create(kernels->device, &desc, out, error);
    }
    free(descs);
    free(names);
    if (!status) kernels->families[kernels->n_families++] = (family){name, *out};
    return status;
}

pio_status pio_kernels_get(pio_kernels *kernels, const pio_row *row, int index, pio_kernel **out, pio_error *error) {
    *out = NULL;
    const char *name = pio_op_get(row->op)->family;
    pio_module *module = NULL;
    for (int i = 0; i < kernels->n_families && !module; i++)
        if (!strcmp(kernels->families[i].name, name)) module = kernels->families[i].module;
    pio_status status = module ? PIO_OK : load_family(kernels, name, &module, error);
    if (status) return status;
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++)
        if (rows[i] == row) *out = pio_module_kernel(module, kernels->index[i] + index);
    return *out ? PIO_OK
                : pio_fail(error, PIO_INTERNAL, "the module %s lacks kernel %d of a row of its own", name, index);
}

/* ---- recording ---- */

/* Takes the dispatches of one row and puts them into a list. */
typedef struct list_recorder {
    pio_recorder base;
    pio_kernels *kernels;
    const pio_row *row;
    pio_list *list;
} list_recorder;

static pio_status record_dispatch(pio_recorder *recorder, int index, const uint32_t groups[3], const void *args,
                                  size_t args_bytes, pio_error *error) {
    list_recorder *r = (list_recorder *)recorder;
    pio_kernel *kernel;
    pio_status status = pio_kernels_get(r->kernels, r->row, index, &kernel, error);
    return status ? status : pio_list_dispatch(r->list, kernel, groups, args, args_bytes, error);
}

static pio_status record_barrier(pio_recorder *recorder, pio_error *error) {
    return pio_list_barrier(((list_recorder *)recorder)->list, error);
}

pio_status pio_record(const pio_schedule *schedule, pio_kernels *kernels, pio_list *list, pio_error *error) {
    for (int32_t i = 0; i < schedule->n_commands; i++) {
        const pio_command *command = &schedule->commands[i];
        const pio_row *row = command->planned->row;
        list_recorder recorder = {{record_dispatch, record_barrier}, kernels, row, list};
        pio_status status = command->barrier_before ? pio_list_barrier(list, error) : PIO_OK;
        if (!status && row->record) {
            status = row->record(&recorder.base, &command->call, error);
        } else if (!status) {
            PIO_ALIGNED(16) char args[PIO_ARGS_MAX_BYTES] = {0};
            const pio_op_info *op = pio_op_get(row->op);
            op->bind(&command->call, args);
            status = record_dispatch(&recorder.base, 0, (const uint32_t[]){1, 1, 1}, args, op->args_bytes, error);
        }
        if (status) return status;
    }
    return PIO_OK;
}
