/* Lists are recorded per bound on the rows of a step: a step runs in the least bound that holds it, its spare rows as
 * padding. Small steps have bounds that double; from 16 on they grow by a third to a half, so that a prefill wastes
 * little. */
#include <string.h>

#include "engine/model.h"

static const int32_t token_bounds[PIO_MAX_BUCKETS - 1] = {1,  2,   4,   8,   16,  24,  32,  48,   64,
                                                          96, 128, 192, 256, 384, 512, 768, 1024, 1536};
static const int32_t head_bounds[] = {1, 2, 4, 8, PIO_HEAD_ROWS};

static pio_status add_bucket(pio_model *model, pio_buckets *buckets, const char *graph, pio_symbol symbol,
                             int32_t bound, pio_error *error) {
    pio_bucket *bucket = &buckets->items[buckets->n];
    pio_bounds bounds = symbol == PIO_TOKENS ? pio_step_bounds(&model->spec, bound, PIO_HEAD_ROWS, 0)
                                             : pio_step_bounds(&model->spec, model->options.chunk, bound, 0);
    bucket->bound = bound;
    pio_status status = pio_plan_make(&model->spec, pio_spec_graph(&model->spec, graph), &model->selector, &bounds,
                                      model->options.keep_taps, &bucket->plan, error);
    if (!status) buckets->n++;
    return status;
}

pio_status pio_model_make_buckets(pio_model *model, pio_error *error) {
    pio_status status = PIO_OK;
    for (size_t i = 0;
         i < PIO_COUNT(token_bounds) && token_bounds[i] && token_bounds[i] < model->options.chunk && !status; i++)
        status = add_bucket(model, &model->body, "body", PIO_TOKENS, token_bounds[i], error);
    if (!status) status = add_bucket(model, &model->body, "body", PIO_TOKENS, model->options.chunk, error);
    for (size_t i = 0; i < PIO_COUNT(head_bounds) && !status; i++)
        status = add_bucket(model, &model->head, "head", PIO_OUTS, head_bounds[i], error);
    return status;
}

const pio_bucket *pio_bucket_for(const pio_buckets *buckets, int32_t n) {
    for (int i = 0; i < buckets->n; i++)
        if (buckets->items[i].bound >= n) return &buckets->items[i];
    return NULL;
}

static pio_status record(pio_model *model, pio_bucket *bucket, pio_error *error) {
    pio_schedule schedule;
    pio_status status = pio_list_create(model->chosen.device, true, &bucket->list, error);
    if (!status) status = pio_schedule_make(&bucket->plan, &model->memory, &schedule, error);
    if (status) return status;
    status = pio_record(&schedule, model->kernels, bucket->list, error);
    pio_schedule_free(&schedule);
    return status;
}

/* All lists are recorded before the first one ends: a device that compiles kernels then knows all of them. */
static pio_status record_all(pio_model *model, int n_body, int n_head, pio_error *error) {
    pio_status status = PIO_OK;
    for (int i = 0; i < n_body && !status; i++) status = record(model, &model->body.items[i], error);
    for (int i = 0; i < n_head && !status; i++) status = record(model, &model->head.items[i], error);
    for (int i = 0; i < n_body && !status; i++) status = pio_list_end(model->body.items[i].list, error);
    for (int i = 0; i < n_head && !status; i++) status = pio_list_end(model->head.items[i].list, error);
    return status;
}

/* What a device has to compile waits for the first step that needs it, but for one token's way: an answer decodes
 * without a pause. */
pio_status pio_model_record(pio_model *model, pio_error *error) {
    const bool compiles = pio_device_extension(model->chosen.device, "compiled") != NULL;
    return record_all(model, compiles ? 1 : model->body.n, compiles ? 1 : model->head.n, error);
}

pio_status pio_bucket_ready(pio_model *model, pio_buckets *buckets, int32_t n, const pio_bucket **out,
                            pio_error *error) {
    pio_bucket *bucket = buckets->items + (pio_bucket_for(buckets, n) - buckets->items);
    *out = bucket;
    if (bucket->list) return PIO_OK;
    pio_status status = record(model, bucket, error);
    if (!status) status = pio_list_end(bucket->list, error);
    if (!status) return PIO_OK;
    pio_list_destroy(bucket->list);
    bucket->list = NULL;
    return status;
}
