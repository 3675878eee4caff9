#include "engine/vision.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "graph/plan.h"

enum { ALIGNMENT = 256, MOST_PATCHES = 1 << 20 };

int32_t pio_picture_tokens(const pio_picture *picture) {
    return picture->rows / picture->merge * (picture->cols / picture->merge);
}

pio_status pio_vision_check(const pio_model *model, const pio_picture *p, pio_error *error) {
    const pio_model_eyes *eyes = &model->config.common.eyes;
    if (!eyes->merge)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s' is a model without eyes: leave the pictures out",
                        model->directory);
    if (p->merge != eyes->merge || p->patch_values != eyes->patch_values)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "a picture was cut into patches of %d numbers, %d to a side merged, and '%s' takes %d and %d: "
                        "its preprocessor_config.json belongs to another model",
                        p->patch_values, p->merge, model->directory, eyes->patch_values, eyes->merge);
    if (p->rows < p->merge || p->cols < p->merge || p->rows % p->merge || p->cols % p->merge ||
        (int64_t)p->rows * p->cols > MOST_PATCHES)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "a picture has %d x %d patches, but must have multiples of %d and at most %d in all", p->rows,
                        p->cols, p->merge, MOST_PATCHES);
    return PIO_OK;
}

static pio_bounds bounds_of(const pio_model *model, int32_t n_patches) {
    return pio_step_bounds(&model->spec, 1, 1, n_patches);
}

static pio_status make_plan(const pio_model *model, int32_t n_patches, pio_plan *plan, pio_error *error) {
    const pio_bounds bounds = bounds_of(model, n_patches);
    return pio_plan_make(&model->spec, pio_spec_graph(&model->spec, "vision"), &model->selector, &bounds, false, plan,
                         error);
}

pio_status pio_vision_make_buckets(pio_model *model, pio_error *error) {
    const int32_t merged = model->spec.n_merged;
    if (!merged) return PIO_OK;
    const int32_t bounds[] = {merged, 16 * merged, PIO_VISION_PATCHES / merged * merged};
    pio_status status = PIO_OK;
    for (size_t i = 0; i < PIO_COUNT(bounds) && !status; i++) {
        pio_bucket *bucket = &model->vision.items[model->vision.n];
        bucket->bound = bounds[i];
        status = make_plan(model, bounds[i], &bucket->plan, error);
        if (!status) model->vision.n++;
    }
    return status;
}

/* ---- what a run takes ---- */

/* Offsets in the two buffers of a run: what the host writes, and what the device alone sees, which has a copy of the
 * former where the device's memory is its own. */
typedef struct layout {
    int32_t n_pictures, n_patches, n_pages;
    uint64_t counts, positions, cache_rows, sequences, pages, taps, patches, upload_bytes;
    uint64_t inputs;                         /* of the copy */
    uint64_t arena, caches, workspace_bytes; /* the caches, one behind the other, from `caches` on */
    uint64_t rows_bytes;
} layout;

static uint64_t take(uint64_t *end, uint64_t bytes) {
    const uint64_t at = *end;
    *end = PIO_ROUND_UP(at + bytes, (uint64_t)ALIGNMENT);
    return at;
}

static uint64_t state_bytes(const pio_model *model, const char *name, int32_t n_patches) {
    const pio_bounds bounds = bounds_of(model, n_patches);
    const pio_state *state = &model->spec.states[pio_spec_state(&model->spec, name)];
    return (uint64_t)pio_dim_bound(state->rows, &bounds) * (uint64_t)state->row_bytes;
}

/* Patches of n_pictures, each with pages of its own in the cache, page 0 being padding. */
static layout lay_out(const pio_model *model, int32_t n_pictures, int32_t n_patches, int32_t n_pages,
                      uint64_t arena_bytes) {
    layout l = {.n_pictures = n_pictures, .n_patches = n_patches, .n_pages = n_pages};
    uint64_t *end = &l.upload_bytes;
    const uint64_t n = (uint64_t)n_patches;
    l.counts = take(end, sizeof(pio_step_counts));
    l.positions = take(end, 3 * sizeof(int32_t) * n);
    l.cache_rows = take(end, sizeof(int32_t) * n);
    l.sequences = take(end, sizeof(pio_step_sequence) * (uint64_t)n_pictures);
    l.pages = take(end, sizeof(int32_t) * (uint64_t)n_pages);
    l.taps = take(end, sizeof(pio_step_taps) * n);
    l.patches = take(end, state_bytes(model, "patches", n_patches));
    if (!model->chosen.caps.host_visible) l.inputs = take(&l.workspace_bytes, l.upload_bytes);
    l.arena = take(&l.workspace_bytes, arena_bytes);
    l.caches = l.workspace_bytes;
    for (int32_t i = 0; i < model->spec.n_caches; i++)
        if (model->spec.caches[i].of_patches) take(&l.workspace_bytes, pio_model_cache_bytes(model, i, 1 + n_pages));
    l.rows_bytes = state_bytes(model, "pictures", n_patches);
    return l;
}

pio_status pio_vision_bytes(const pio_model *model, int32_t n_patches, uint64_t *bytes, pio_error *error) {
    pio_plan plan;
    pio_status status = make_plan(model, n_patches, &plan, error);
    if (status) return status;
    const layout l = lay_out(model, 1, n_patches, PIO_CEIL_DIV(n_patches, model->spec.page_tokens), plan.arena_bytes);
    *bytes = (model->chosen.caps.host_visible ? l.upload_bytes : 0) + l.workspace_bytes + l.rows_bytes;
    pio_plan_free(&plan);
    return PIO_OK;
}

/* ---- a run ---- */

typedef struct run {
    pio_model *model;
    const pio_picture *const *pictures;
    pio_plan plan;
    layout at;
    pio_buffer *upload, *workspace, *rows;
    pio_addr *addresses; /* of caches and states, as the run has them */
    uint64_t *cache_bytes;
    pio_memory memory;
    pio_list *list;
} run;

/* The four rows of the table around position `at` of n on each axis, its first and last being the table's. */
static void tap(const pio_picture *picture, int32_t side, int32_t row, int32_t col, pio_step_taps *taps) {
    const double y = (double)row * (side - 1) / PIO_MAX(1, picture->rows - 1);
    const double x = (double)col * (side - 1) / PIO_MAX(1, picture->cols - 1);
    const int32_t top = (int32_t)y, left = (int32_t)x;
    for (int k = 0; k < 4; k++) {
        const int down = k / 2, right = k % 2;
        taps->row[k] = PIO_MIN(top + down, side - 1) * side + PIO_MIN(left + right, side - 1);
        taps->share[k] = (float)((down ? y - top : 1 - (y - top)) * (right ? x - left : 1 - (x - left)));
    }
}

/* Writes one picture's part of the step; its first patch, sequence and page are `first`, `index` and `page`. */
static void fill_picture(const run *r, char *host, int32_t index, int32_t first, int32_t page) {
    const pio_picture *p = r->pictures[index];
    const int32_t n = p->rows * p->cols, page_tokens = r->model->spec.page_tokens, m = p->merge;
    int32_t *positions = (int32_t *)(host + r->at.positions), *cache_rows = (int32_t *)(host + r->at.cache_rows);
    pio_step_taps *taps = (pio_step_taps *)(host + r->at.taps);
    const uint64_t patch_bytes = (uint64_t)r->model->spec.states[pio_spec_state(&r->model->spec, "patches")].row_bytes;
    ((pio_step_sequence *)(host + r->at.sequences))[index] = (pio_step_sequence){first, n, 0, page};
    for (int32_t i = 0; i < PIO_CEIL_DIV(n, page_tokens); i++)
        ((int32_t *)(host + r->at.pages))[page + i] = 1 + page + i;
    for (int32_t i = 0; i < n; i++) {
        const int32_t block = i / (m * m), in_block = i % (m * m), blocks = p->cols / m, patch = first + i;
        const int32_t row = block / blocks * m + in_block / m, col = block % blocks * m + in_block % m;
        memcpy(positions + 3 * patch, (int32_t[3]){0, row, col}, 3 * sizeof *positions);
        cache_rows[patch] = (1 + page) * page_tokens + i;
        tap(p, r->model->config.common.eyes.table_side, row, col, &taps[patch]);
        memcpy(host + r->at.patches + patch_bytes * (uint64_t)patch, p->patches + (size_t)i * (size_t)p->patch_values,
               sizeof *p->patches * (size_t)p->patch_values);
    }
}

static pio_status fill(const run *r, pio_error *error) {
    void *host;
    pio_status status = pio_buffer_map(r->upload, &host, error);
    if (status) return status;
    *(pio_step_counts *)host = (pio_step_counts){.n_sequences = r->at.n_pictures, .n_patches = r->at.n_patches};
    for (int32_t i = 0, first = 0, page = 0; i < r->at.n_pictures; i++) {
        const int32_t n = r->pictures[i]->rows * r->pictures[i]->cols;
        fill_picture(r, host, i, first, page);
        first += n;
        page += PIO_CEIL_DIV(n, r->model->spec.page_tokens);
    }
    return pio_buffer_flush(r->upload, 0, r->at.upload_bytes, error);
}

/* The model's addresses, with this run's in place of those of patches and pictures. No rows are padding, so none needs
 * a live count. */
static pio_status set_addresses(run *r, pio_error *error) {
    const pio_spec *spec = &r->model->spec;
    const size_t n = (size_t)(spec->n_caches + spec->n_states);
    r->addresses = malloc(n * sizeof *r->addresses);
    r->cache_bytes = malloc(((size_t)spec->n_caches + 1) * sizeof *r->cache_bytes);
    if (!r->addresses || !r->cache_bytes) return pio_fail_memory(error, "a picture's addresses", n * sizeof(pio_addr));
    pio_addr *caches = r->addresses, *states = r->addresses + spec->n_caches;
    memcpy(caches, r->model->memory.caches, (size_t)spec->n_caches * sizeof *caches);
    memcpy(states, r->model->memory.states, (size_t)spec->n_states * sizeof *states);
    memcpy(r->cache_bytes, r->model->cache_bytes, (size_t)spec->n_caches * sizeof *r->cache_bytes);
    uint64_t end = r->at.caches;
    for (int32_t i = 0; i < spec->n_caches; i++) {
        if (!spec->caches[i].of_patches) continue;
        r->cache_bytes[i] = pio_model_cache_bytes(r->model, i, 1 + r->at.n_pages);
        caches[i] = r->workspace->address + take(&end, r->cache_bytes[i]);
    }
    const pio_addr inputs =
        r->model->chosen.caps.host_visible ? r->upload->address : r->workspace->address + r->at.inputs;
    states[pio_spec_state(spec, "patches")] = inputs + r->at.patches;
    states[pio_spec_state(spec, "pictures")] = r->rows->address;
    r->memory = (pio_memory){.weights = r->model->memory.weights,
                             .caches = caches,
                             .states = states,
                             .cache_bytes = r->cache_bytes,
                             .arena = r->workspace->address + r->at.arena,
                             .step = {.counts = inputs + r->at.counts,
                                      .positions = inputs + r->at.positions,
                                      .cache_rows = inputs + r->at.cache_rows,
                                      .sequences = inputs + r->at.sequences,
                                      .pages = inputs + r->at.pages,
                                      .taps = inputs + r->at.taps}};
    return PIO_OK;
}

static pio_status record(run *r, pio_error *error) {
    pio_schedule schedule;
    pio_status status = pio_list_create(r->model->chosen.device, false, &r->list, error);
    if (!status) status = pio_schedule_make(&r->plan, &r->memory, &schedule, error);
    if (status) return status;
    if (!r->model->chosen.caps.host_visible) {
        const pio_addr inputs = r->workspace->address + r->at.inputs;
        status = pio_list_copy(r->list, inputs, r->upload->address, r->at.upload_bytes, error);
        if (!status) status = pio_list_barrier(r->list, error);
    }
    if (!status) status = pio_record(&schedule, r->model->kernels, r->list, error);
    if (!status) status = pio_list_end(r->list, error);
    pio_schedule_free(&schedule);
    return status;
}

/* Makes *buffer as large as wanted, unless it is. */
static pio_status grow(pio_model *model, pio_buffer **buffer, uint64_t bytes, uint32_t usage, const char *name,
                       pio_error *error) {
    if (*buffer && (*buffer)->bytes >= bytes) return PIO_OK;
    pio_buffer_destroy(*buffer);
    *buffer = NULL;
    return pio_buffer_create(model->chosen.device, bytes, usage, name, buffer, error);
}

static pio_status allocate(run *r, pio_error *error) {
    pio_model *model = r->model;
    pio_status status = grow(model, &model->picture_upload, r->at.upload_bytes, PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK,
                             "the patches of a picture", error);
    if (!status)
        status = grow(model, &model->picture_workspace, r->at.workspace_bytes, PIO_BUFFER_DEVICE,
                      "the workspace of a picture", error);
    if (!status)
        status = pio_buffer_create(model->chosen.device, r->at.rows_bytes, PIO_BUFFER_DEVICE, "the rows of a picture",
                                   &r->rows, error);
    r->upload = model->picture_upload;
    r->workspace = model->picture_workspace;
    return status;
}

void pio_vision_release(pio_model *model) {
    pio_buffer_destroy(model->picture_upload);
    pio_buffer_destroy(model->picture_workspace);
    model->picture_upload = model->picture_workspace = NULL;
}

static pio_status see(run *r, int32_t n, pio_error *error) {
    int32_t n_patches = 0, n_pages = 0;
    for (int32_t i = 0; i < n; i++) {
        const int32_t patches = r->pictures[i]->rows * r->pictures[i]->cols;
        n_patches += patches;
        n_pages += PIO_CEIL_DIV(patches, r->model->spec.page_tokens);
    }
    pio_status status = make_plan(r->model, n_patches, &r->plan, error);
    if (status) return status;
    r->at = lay_out(r->model, n, n_patches, n_pages, r->plan.arena_bytes);
    status = allocate(r, error);
    if (!status) status = fill(r, error);
    if (!status) status = set_addresses(r, error);
    if (!status) status = record(r, error);
    uint64_t number;
    if (!status) status = pio_queue_submit(r->model->queue, &r->list, 1, &number, error);
    return status ? status : pio_queue_wait(r->model->queue, number, UINT64_MAX, error);
}

pio_status pio_vision_run(pio_model *model, const pio_picture *const *pictures, int32_t n, pio_buffer **rows,
                          pio_error *error) {
    run r = {.model = model, .pictures = pictures};
    pio_status status = see(&r, n, error);
    pio_list_destroy(r.list);
    pio_plan_free(&r.plan);
    if (r.at.n_patches > PIO_VISION_PATCHES) pio_vision_release(model);
    if (status) pio_buffer_destroy(r.rows);
    *rows = status ? NULL : r.rows;
    free(r.addresses);
    free(r.cache_bytes);
    return status;
}
