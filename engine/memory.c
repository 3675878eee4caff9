/* What a model takes on the device: how much, and the buffers themselves. */
#include <stdlib.h>
#include <string.h>

#include "engine/fill.h"
#include "engine/model.h"
#include "engine/step.h"
#include "engine/vision.h"
#include "kernels/kv_cache/kv_cache.h"

enum { DEFAULT_CONTEXT = 32768, MIN_CONTEXT = 256 };

uint64_t pio_model_weight_bytes(const pio_model *model, int32_t index) {
    return pio_weight_bytes(&model->spec.weights[index]);
}

pio_kv_geometry pio_model_cache_geometry(const pio_model *model, int32_t index) {
    const pio_cache *cache = &model->spec.caches[index];
    return (pio_kv_geometry){cache->n_kv_heads, cache->head_dim, model->spec.page_tokens, cache->rope_dim};
}

uint64_t pio_model_cache_bytes(const pio_model *model, int32_t index, int32_t n_pages) {
    const pio_kv_geometry geometry = pio_model_cache_geometry(model, index);
    return pio_kv_bytes(model->spec.caches[index].layout, &geometry, n_pages);
}

static uint64_t all_cache_bytes(const pio_model *model, int32_t n_pages) {
    uint64_t sum = 0;
    for (int32_t i = 0; i < model->spec.n_caches; i++)
        if (!model->spec.caches[i].of_patches) sum += pio_model_cache_bytes(model, i, n_pages);
    return sum;
}

static uint64_t state_bytes(const pio_model *model, int32_t index, int32_t chunk) {
    const pio_bounds most = pio_step_bounds(&model->spec, chunk, PIO_HEAD_ROWS, 0);
    const pio_state *state = &model->spec.states[index];
    return (uint64_t)pio_dim_bound(state->rows, &most) * (uint64_t)state->row_bytes;
}

/* Of the steps of up to `chunk` tokens. */
static uint64_t arena_bytes(const pio_model *model, int32_t chunk) {
    uint64_t most = 1;
    for (int i = 0; i < model->body.n; i++)
        if (model->body.items[i].bound <= chunk) most = PIO_MAX(most, model->body.items[i].plan.arena_bytes);
    for (int i = 0; i < model->head.n; i++) most = PIO_MAX(most, model->head.items[i].plan.arena_bytes);
    return most;
}

/* Pages for `context` tokens of every sequence, and page 0. */
static int32_t pages_for(const pio_model *model, int32_t context) {
    return 1 + model->options.max_sequences * PIO_CEIL_DIV(context, model->spec.page_tokens);
}

pio_memory_plan pio_model_memory_with(const pio_model *model, int32_t context, int32_t chunk) {
    pio_memory_plan plan = model->memory_plan;
    pio_step_limits limits = pio_model_step_limits(model, context, chunk);
    plan.cache = all_cache_bytes(model, pages_for(model, context));
    plan.workspace = arena_bytes(model, chunk);
    plan.states = pio_step_bytes(&limits);
    for (int32_t i = 0; i < model->spec.n_states; i++) plan.states += state_bytes(model, i, chunk);
    plan.ring = state_bytes(model, model->states.ring, chunk);
    plan.total = plan.weights + plan.cache + plan.workspace + plan.states + plan.vision;
    return plan;
}

uint64_t pio_memory_in_heap(const pio_memory_plan *plan, int heap) {
    const uint8_t *heap_of = plan->budget.heap_of;
    return (heap == heap_of[PIO_BUFFER_DEVICE] ? plan->total - plan->ring : 0) +
           (heap == heap_of[PIO_BUFFER_READBACK] ? plan->ring : 0) +
           (heap == heap_of[PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK] ? plan->staging : 0);
}

int pio_memory_full_heap(const pio_memory_plan *plan) {
    const int first = plan->budget.heap_of[PIO_BUFFER_DEVICE];
    if (pio_memory_in_heap(plan, first) > plan->budget.heaps[first].bytes) return first;
    for (int i = 0; i < plan->budget.n_heaps; i++)
        if (pio_memory_in_heap(plan, i) > plan->budget.heaps[i].bytes) return i;
    return -1;
}

bool pio_memory_fits(const pio_memory_plan *plan, uint64_t limit_bytes) {
    return (!limit_bytes || plan->total <= limit_bytes) && pio_memory_full_heap(plan) < 0;
}

/* The largest context, halving from `wanted`, that fits. */
static int32_t fitting_context(const pio_model *model, int32_t wanted) {
    for (; wanted > MIN_CONTEXT; wanted /= 2) {
        const pio_memory_plan plan = pio_model_memory_with(model, wanted, model->options.chunk);
        if (pio_memory_fits(&plan, model->options.memory_limit_bytes)) break;
    }
    return wanted;
}

pio_status pio_model_look_at_memory(pio_model *model, pio_error *error) {
    pio_memory_plan *plan = &model->memory_plan;
    const uint64_t limit = model->options.memory_limit_bytes;
    pio_status status = pio_device_memory_budget(model->chosen.device, &plan->budget, error);
    plan->available = status ? 0 : limit ? PIO_MIN(limit, plan->budget.free_bytes) : plan->budget.free_bytes;
    return status;
}

static pio_status fail_context(const pio_model *model, pio_error *error) {
    const int32_t known = model->config.common.max_positions;
    if (model->options.context_of)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s: more positions than the %d that '%s' knows; ask for fewer",
                        model->options.context_of, known, model->directory);
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "--context %d is more than the %d positions that '%s' knows: use at most %d",
                    model->options.context, known, model->directory, known);
}

pio_status pio_model_plan_memory(pio_model *model, pio_error *error) {
    pio_memory_plan *plan = &model->memory_plan;
    pio_status status = pio_model_look_at_memory(model, error);
    if (status) return status;
    for (int32_t i = 0; i < model->spec.n_weights; i++) plan->weights += pio_model_weight_bytes(model, i);
    plan->staging = pio_fill_staging_bytes(model);
    if (model->vision.n)
        status = pio_vision_bytes(model, model->vision.items[model->vision.n - 1].bound, &plan->vision, error);
    if (status) return status;
    int32_t known = model->config.common.max_positions, *context = &model->options.context;
    if (*context > known) return fail_context(model, error);
    int32_t wanted = model->options.most_context ? model->options.most_context : DEFAULT_CONTEXT;
    if (!*context) *context = fitting_context(model, PIO_MIN(known, wanted));
    /* Cache rows and pages are numbered in 32 bits. */
    const int64_t page = model->spec.page_tokens;
    if ((*context + page) * model->options.max_sequences + page > INT32_MAX)
        return pio_fail(error, PIO_LIMIT,
                        "a context of %d tokens for each of %d sequences is more than a cache can number: use a "
                        "smaller --context",
                        *context, model->options.max_sequences);
    model->n_pages = pages_for(model, *context);
    *plan = pio_model_memory_with(model, *context, model->options.chunk);
    return PIO_OK;
}

/* Creates buffer `name`; its address goes to *address. */
static pio_status create(pio_model *model, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **buffer,
                         pio_addr *address, pio_error *error) {
    pio_status status = pio_buffer_create(model->chosen.device, PIO_MAX(bytes, 64), usage, name, buffer, error);
    if (!status) *address = (*buffer)->address;
    return status;
}

static pio_status allocate_arrays(pio_model *model, pio_error *error) {
    const pio_spec *spec = &model->spec;
    size_t n = (size_t)(spec->n_weights + spec->n_caches + spec->n_states) + 1;
    model->weights = calloc((size_t)spec->n_weights + 1, sizeof(pio_buffer *));
    model->caches = calloc((size_t)spec->n_caches + 1, sizeof(pio_buffer *));
    model->state_buffers = calloc((size_t)spec->n_states + 1, sizeof(pio_buffer *));
    model->addresses = calloc(n, sizeof *model->addresses);
    model->cache_bytes = calloc((size_t)spec->n_caches + 1, sizeof *model->cache_bytes);
    bool ready = model->weights && model->caches && model->state_buffers && model->addresses && model->cache_bytes;
    return ready ? PIO_OK : pio_fail_memory(error, "the tables of buffers", n * sizeof(pio_buffer *));
}

pio_status pio_model_allocate(pio_model *model, pio_error *error) {
    const pio_spec *spec = &model->spec;
    pio_status status = pio_model_check_memory(model, error);
    if (!status) status = allocate_arrays(model, error);
    if (status) return status;
    pio_addr *weights = model->addresses, *caches = weights + spec->n_weights, *states = caches + spec->n_caches;
    for (int32_t i = 0; i < spec->n_weights && !status; i++)
        status = create(model, pio_model_weight_bytes(model, i), PIO_BUFFER_DEVICE, spec->weights[i].name,
                        &model->weights[i], &weights[i], error);
    for (int32_t i = 0; i < spec->n_caches && !status; i++) {
        if (spec->caches[i].of_patches) continue; /* a run of the vision graph has its own */
        model->cache_bytes[i] = pio_model_cache_bytes(model, i, model->n_pages);
        status =
            create(model, model->cache_bytes[i], PIO_BUFFER_DEVICE, "KV cache", &model->caches[i], &caches[i], error);
    }
    for (int32_t i = 0; i < spec->n_states && !status; i++)
        status = create(model, state_bytes(model, i, model->options.chunk),
                        i == model->states.ring ? PIO_BUFFER_READBACK : PIO_BUFFER_DEVICE, spec->states[i].name,
                        &model->state_buffers[i], &states[i], error);
    model->memory =
        (pio_memory){.weights = weights, .caches = caches, .states = states, .cache_bytes = model->cache_bytes};
    if (!status)
        status = create(model, model->memory_plan.workspace, PIO_BUFFER_DEVICE, "workspace", &model->arena,
                        &model->memory.arena, error);
    return status ? status : pio_step_create(model, error);
}

static void destroy_all(pio_buffer **buffers, int32_t n) {
    for (int32_t i = 0; buffers && i < n; i++) pio_buffer_destroy(buffers[i]);
    free(buffers);
}

void pio_model_release(pio_model *model) {
    pio_step_destroy(model);
    pio_vision_release(model);
    destroy_all(model->weights, model->spec.n_weights);
    destroy_all(model->caches, model->spec.n_caches);
    destroy_all(model->state_buffers, model->spec.n_states);
    pio_buffer_destroy(model->arena);
    free(model->addresses);
    free(model->cache_bytes);
    model->weights = model->caches = model->state_buffers = NULL;
    model->arena = NULL;
    model->addresses = NULL;
    model->cache_bytes = NULL;
}
