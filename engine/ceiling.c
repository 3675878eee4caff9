#include "engine/ceiling.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/probe/probe.h"

enum { ROW_BYTES = 1 << 20, N_ROWS = 512, MEGA_OPS = 4000, N_TRIES = 3, SUMS_BYTES = 8 * PIO_PROBE_WORKERS };
enum { WRITE_BYTES = 64 << 10 };

struct pio_probe {
    pio_model *model;
    pio_buffer *data, *sums;
    pio_list *read, *ops;
    double ops_a_run; /* of all workers */
};

/* The row of the highest rank for `op` and the activations' encoding. */
static const pio_row *find_row(const pio_model *model, pio_op op, pio_encoding acts) {
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows), *best = NULL;
    for (int i = 0; i < n_rows; i++) {
        const pio_row *row = rows[i];
        if (row->op != op || row->backend != model->selector.backend || row->acts != acts) continue;
        if ((row->features & model->selector.features) != row->features) continue;
        if (!best || row->rank > best->rank) best = row;
    }
    return best;
}

/* The encoding in which large products of this model with such weights are computed: the first that the device has a
 * probe for. */
static pio_encoding encoding_of(const pio_model *model, pio_dtype weights) {
    static const pio_encoding quantised[] = {PIO_ENC_S8, PIO_ENC_F16, PIO_ENC_F32},
                              floats[] = {PIO_ENC_BF16, PIO_ENC_F16, PIO_ENC_F32};
    const pio_encoding *e = weights == PIO_DTYPE_Q8 || weights == PIO_DTYPE_Q4 ? quantised : floats;
    if (model->options.compute_f32) return PIO_ENC_F32;
    while (*e != PIO_ENC_F32 && !find_row(model, PIO_OP_PROBE_OPS, *e)) e++;
    return *e;
}

/* A processor's thread is a worker; a GPU's multiprocessor has room for several. */
static int workers_of(const pio_model *model) {
    const pio_device_caps *caps = &model->chosen.caps;
    return caps->asynchronous ? PIO_MIN(4 * caps->n_workers, PIO_PROBE_WORKERS - 1) : caps->n_workers;
}

static pio_status record_row(pio_probe *probe, const pio_row *row, const pio_call *call, pio_list **list,
                             pio_error *error) {
    if (!row)
        return pio_fail(error, PIO_UNSUPPORTED,
                        "the %s backend has no kernel for %s, and bench no ceiling: use another",
                        pio_backend_name(probe->model->selector.backend), pio_op_get(call->op)->name);
    pio_status status = pio_list_create(probe->model->chosen.device, true, list, error);
    if (!status) status = pio_kernels_record(probe->model->kernels, *list, row, call, error);
    return status ? status : pio_list_end(*list, error);
}

/* Writes the first row and copies it into the others, on the device. */
static pio_status fill_data(pio_probe *probe, pio_error *error) {
    uint64_t words[WRITE_BYTES / 8], number;
    pio_list *list = NULL;
    pio_status status = pio_list_create(probe->model->chosen.device, false, &list, error);
    for (uint64_t at = 0; at < ROW_BYTES && !status; at += sizeof words) {
        for (uint64_t i = 0; i < PIO_COUNT(words); i++) words[i] = (at / 8 + i) * 0x9e3779b97f4a7c15u;
        status = pio_queue_write(probe->model->queue, probe->data->address + at, words, sizeof words, error);
    }
    for (uint64_t row = 1; row < N_ROWS && !status; row++)
        status = pio_list_copy(list, probe->data->address + ROW_BYTES * row, probe->data->address, ROW_BYTES, error);
    if (!status) status = pio_list_end(list, error);
    if (!status) status = pio_queue_submit(probe->model->queue, &list, 1, &number, error);
    if (!status) status = pio_queue_wait(probe->model->queue, number, UINT64_MAX, error);
    pio_list_destroy(list);
    return status;
}

pio_status pio_probe_create(pio_model *model, pio_dtype weights, pio_probe **out, pio_error *error) {
    pio_probe *probe = *out = calloc(1, sizeof *probe);
    if (!probe) return pio_fail_memory(error, "the probes", sizeof *probe);
    probe->model = model;
    pio_device *device = model->chosen.device;
    pio_status status =
        pio_buffer_create(device, (uint64_t)ROW_BYTES * N_ROWS, PIO_BUFFER_DEVICE, "probe", &probe->data, error);
    if (!status) status = pio_buffer_create(device, SUMS_BYTES, PIO_BUFFER_DEVICE, "probe sums", &probe->sums, error);
    if (!status) status = fill_data(probe, error);
    if (!status) {
        pio_call read = {.op = PIO_OP_PROBE_READ, .n_in = 1, .n_out = 1, .n_workers = workers_of(model)};
        read.in[0] =
            (pio_operand){.address = probe->data->address, .rows = N_ROWS, .cols = ROW_BYTES / 4, .stride = ROW_BYTES};
        read.out[0].address = probe->sums->address;
        status = record_row(probe, find_row(model, PIO_OP_PROBE_READ, PIO_ENC_F32), &read, &probe->read, error);
    }
    if (!status) {
        pio_call ops = {
            .op = PIO_OP_PROBE_OPS, .n_in = 1, .n_out = 1, .attrs.flags = MEGA_OPS, .n_workers = workers_of(model)};
        ops.in[0] = (pio_operand){.address = probe->data->address, .rows = 1, .cols = 16, .stride = 64};
        ops.out[0].address = probe->sums->address;
        probe->ops_a_run = 1e6 * MEGA_OPS * workers_of(model);
        status =
            record_row(probe, find_row(model, PIO_OP_PROBE_OPS, encoding_of(model, weights)), &ops, &probe->ops, error);
    }
    if (status) {
        pio_probe_destroy(probe);
        *out = NULL;
    }
    return status;
}

void pio_probe_destroy(pio_probe *probe) {
    if (!probe) return;
    pio_list_destroy(probe->read);
    pio_list_destroy(probe->ops);
    pio_buffer_destroy(probe->data);
    pio_buffer_destroy(probe->sums);
    free(probe);
}

static pio_status time_list(pio_probe *probe, pio_list *list, double work, double *best, pio_error *error) {
    pio_status status = PIO_OK;
    for (int i = 0; i < N_TRIES && !status; i++) {
        uint64_t number, ns = 0;
        status = pio_queue_submit(probe->model->queue, &list, 1, &number, error);
        if (!status) status = pio_queue_wait(probe->model->queue, number, UINT64_MAX, error);
        if (!status) status = pio_queue_elapsed(probe->model->queue, number, &ns, error);
        if (!status && ns) *best = PIO_MAX(*best, work / ((double)ns / 1e9));
    }
    return status;
}

pio_status pio_probe_measure(pio_probe *probe, pio_ceilings *ceilings, pio_error *error) {
    pio_status status = time_list(probe, probe->read, (double)probe->data->bytes, &ceilings->read_bytes_per_s, error);
    return status ? status : time_list(probe, probe->ops, probe->ops_a_run, &ceilings->ops_per_s, error);
}
