#include "engine/taps.h"

#include <stdlib.h>

struct pio_taps {
    pio_model *model;
    pio_tensor *tensors;              /* [n]: of the body, in the order of layers */
    pio_list *lists[PIO_MAX_BUCKETS]; /* copies of all taps, a list a bucket of the body */
    pio_buffer *buffer;               /* [n][chunk rows] */
    uint64_t row_bytes, tap_bytes;
    int32_t n;
    const char *host;
};

static const pio_graph *body_of(const pio_model *model) {
    return model->body.items[0].plan.graph;
}

static pio_status find_taps(pio_taps *taps, pio_error *error) {
    const pio_graph *graph = body_of(taps->model);
    taps->tensors = malloc(sizeof *taps->tensors * (size_t)PIO_MAX(1, graph->n_tensors));
    if (!taps->tensors)
        return pio_fail_memory(error, "the taps", sizeof *taps->tensors * (size_t)PIO_MAX(1, graph->n_tensors));
    for (pio_tensor t = 0; t < graph->n_tensors && taps->model->options.keep_taps; t++)
        if (graph->tensors[t].tap) taps->tensors[taps->n++] = t;
    return taps->n ? PIO_OK : pio_fail(error, PIO_INTERNAL, "'%s' was opened without its taps", taps->model->directory);
}

static pio_status record(pio_taps *taps, int index, pio_error *error) {
    const pio_model *model = taps->model;
    const pio_bucket *bucket = &model->body.items[index];
    pio_status status = pio_list_create(model->chosen.device, true, &taps->lists[index], error);
    for (int32_t i = 0; i < taps->n && !status; i++) {
        uint64_t bytes;
        const pio_addr from = pio_plan_locate(&bucket->plan, &model->memory, taps->tensors[i], &bytes);
        const pio_addr to = taps->buffer->address + taps->tap_bytes * (uint64_t)i;
        status = pio_list_copy(taps->lists[index], to, from, taps->row_bytes * (uint64_t)bucket->bound, error);
    }
    return status ? status : pio_list_end(taps->lists[index], error);
}

pio_status pio_taps_create(pio_model *model, pio_taps **out, pio_error *error) {
    pio_taps *taps = *out = calloc(1, sizeof *taps);
    if (!taps) return pio_fail_memory(error, "the taps", sizeof *taps);
    taps->model = model;
    taps->row_bytes = (uint64_t)pio_encoding_stride(PIO_ENC_F32, model->config.common.hidden_size);
    taps->tap_bytes = taps->row_bytes * (uint64_t)model->options.chunk;
    void *host = NULL;
    pio_status status = find_taps(taps, error);
    if (!status)
        status = pio_buffer_create(model->chosen.device, taps->tap_bytes * (uint64_t)taps->n, PIO_BUFFER_READBACK,
                                   "taps", &taps->buffer, error);
    if (!status) status = pio_buffer_map(taps->buffer, &host, error);
    taps->host = host;
    for (int i = 0; i < model->body.n && !status; i++) status = record(taps, i, error);
    if (status) {
        pio_taps_destroy(taps);
        *out = NULL;
    }
    return status;
}

void pio_taps_destroy(pio_taps *taps) {
    if (!taps) return;
    for (int i = 0; i < PIO_MAX_BUCKETS; i++) pio_list_destroy(taps->lists[i]);
    pio_buffer_destroy(taps->buffer);
    free(taps->tensors);
    free(taps);
}

int32_t pio_taps_count(const pio_taps *taps) {
    return taps->n;
}

const char *pio_taps_name(const pio_taps *taps, int32_t tap) {
    return body_of(taps->model)->tensors[taps->tensors[tap]].name;
}

pio_status pio_taps_read(pio_taps *taps, int32_t n_rows, pio_error *error) {
    pio_model *model = taps->model;
    const pio_bucket *bucket = pio_bucket_for(&model->body, n_rows);
    if (!bucket) return pio_fail(error, PIO_INTERNAL, "no body step has %d rows", n_rows);
    uint64_t number;
    pio_status status = pio_queue_submit(model->queue, &taps->lists[bucket - model->body.items], 1, &number, error);
    if (!status) status = pio_queue_wait(model->queue, number, UINT64_MAX, error);
    return status ? status : pio_buffer_invalidate(taps->buffer, 0, taps->buffer->bytes, error);
}

const float *pio_taps_row(const pio_taps *taps, int32_t tap, int32_t row) {
    return (const float *)(taps->host + taps->tap_bytes * (uint64_t)tap + taps->row_bytes * (uint64_t)row);
}

pio_status pio_taps_less_workspace(const pio_model *model, uint64_t *bytes, pio_error *error) {
    const pio_buckets *const sets[] = {&model->body, &model->head};
    pio_status status = PIO_OK;
    *bytes = 1;
    for (size_t s = 0; s < PIO_COUNT(sets); s++)
        for (int i = 0; i < sets[s]->n && !status; i++) {
            const pio_plan *with = &sets[s]->items[i].plan;
            pio_plan plan;
            status = pio_plan_make(&model->spec, with->graph, &model->selector, &with->bounds, false, &plan, error);
            if (status) break;
            *bytes = PIO_MAX(*bytes, plan.arena_bytes);
            pio_plan_free(&plan);
        }
    return status;
}
