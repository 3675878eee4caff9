#include "engine/step.h"

#include <stdlib.h>
#include <string.h>

#include "models/states.h"

enum { PART_ALIGNMENT = 64, WRITE_BYTES = 64 << 10 };

/* The parts of the block, in their order; offsets follow from the limits. */
typedef enum part {
    COUNTS,
    IDS,
    POSITIONS,
    CACHE_ROWS,
    SEQUENCES,
    PAGES,
    OUT_ROWS,
    DRAWS,
    PICTURE_ROWS,
    COUNTERS,
    N_PARTS
} part;

struct pio_step_host {
    pio_step_limits limits;
    uint64_t at[N_PARTS + 1]; /* offset of each part; the last is the whole size */
    char *block;              /* the host's copy */
    const char *logits;       /* mapped, or those of `fetched` */
    pio_buffer *fetched;      /* where logits are copied from a device whose memory is not mapped; NULL: not yet */
    const int32_t *ring;      /* mapped */
};

pio_step_limits pio_model_step_limits(const pio_model *model, int32_t context, int32_t chunk) {
    const int32_t n_sequences = model->options.max_sequences;
    return (pio_step_limits){.tokens = chunk,
                             .sequences = n_sequences,
                             .pages = n_sequences * PIO_CEIL_DIV(context, model->spec.page_tokens),
                             .outs = PIO_HEAD_ROWS,
                             .picture_rows = model->config.common.eyes.merge ? chunk : 0};
}

static void lay_out(const pio_step_limits *l, uint64_t at[N_PARTS + 1]) {
    const uint64_t bytes[N_PARTS] = {
        [COUNTS] = sizeof(pio_step_counts),
        [IDS] = sizeof(int32_t) * (uint64_t)l->tokens,
        [POSITIONS] = 3 * sizeof(int32_t) * (uint64_t)l->tokens,
        [CACHE_ROWS] = sizeof(int32_t) * (uint64_t)l->tokens,
        [SEQUENCES] = sizeof(pio_step_sequence) * (uint64_t)l->sequences,
        [PAGES] = sizeof(int32_t) * (uint64_t)l->pages,
        [OUT_ROWS] = sizeof(int32_t) * (uint64_t)l->outs,
        [DRAWS] = sizeof(pio_step_draw) * (uint64_t)l->outs,
        [PICTURE_ROWS] = sizeof(pio_addr) * (uint64_t)l->picture_rows,
        [COUNTERS] = sizeof(uint32_t) * PIO_STEP_COUNTERS,
    };
    at[0] = 0;
    for (int i = 0; i < N_PARTS; i++) at[i + 1] = PIO_ROUND_UP(at[i] + bytes[i], (uint64_t)PART_ALIGNMENT);
}

uint64_t pio_step_bytes(const pio_step_limits *limits) {
    uint64_t at[N_PARTS + 1];
    lay_out(limits, at);
    return at[N_PARTS];
}

static pio_status map_results(pio_model *model, pio_error *error) {
    void *logits = NULL, *ring = NULL;
    pio_status status = pio_buffer_map(model->state_buffers[model->states.ring], &ring, error);
    if (!status && model->chosen.caps.host_visible)
        status = pio_buffer_map(model->state_buffers[model->states.logits], &logits, error);
    model->step_host->logits = logits;
    model->step_host->ring = ring;
    return status;
}

static void *part_of(const pio_model *model, part which) {
    return model->step_host->block + model->step_host->at[which];
}

/* Queues the first `bytes` of a part, in pieces that a write may have. */
static pio_status send(pio_model *model, part which, size_t bytes, pio_error *error) {
    const char *from = part_of(model, which);
    pio_addr to = model->step->address + model->step_host->at[which];
    pio_status status = PIO_OK;
    for (size_t done = 0; done < bytes && !status; done += WRITE_BYTES)
        status =
            pio_queue_write(model->queue, to + done, from + done, PIO_MIN(bytes - done, (size_t)WRITE_BYTES), error);
    return status;
}

pio_status pio_step_create(pio_model *model, pio_error *error) {
    struct pio_step_host *host = model->step_host = calloc(1, sizeof *host);
    if (!host) return pio_fail_memory(error, "the step block", sizeof *host);
    host->limits = pio_model_step_limits(model, model->options.context, model->options.chunk);
    lay_out(&host->limits, host->at);
    host->block = calloc(1, host->at[N_PARTS]);
    if (!host->block) return pio_fail_memory(error, "the step block", host->at[N_PARTS]);
    pio_status status = pio_buffer_create(model->chosen.device, host->at[N_PARTS], PIO_BUFFER_DEVICE, "step block",
                                          &model->step, error);
    if (status) return status;
    const pio_addr base = model->step->address;
    model->memory.step = (pio_step_addresses){.counts = base + host->at[COUNTS],
                                              .ids = base + host->at[IDS],
                                              .positions = base + host->at[POSITIONS],
                                              .cache_rows = base + host->at[CACHE_ROWS],
                                              .sequences = base + host->at[SEQUENCES],
                                              .pages = base + host->at[PAGES],
                                              .out_rows = base + host->at[OUT_ROWS],
                                              .draws = base + host->at[DRAWS],
                                              .picture_rows = base + host->at[PICTURE_ROWS],
                                              .counters = base + host->at[COUNTERS]};
    model->memory.live[PIO_TOKENS] = base + offsetof(pio_step_counts, n_tokens);
    model->memory.live[PIO_OUTS] = base + offsetof(pio_step_counts, n_outs);
    model->memory.live[PIO_CHOICES] = base + offsetof(pio_step_counts, n_choices);
    model->memory.live[PIO_PATCHES] = base + offsetof(pio_step_counts, n_patches);
    model->memory.live[PIO_MERGED] = base + offsetof(pio_step_counts, n_merged);
    status = map_results(model, error);
    return status ? status : send(model, COUNTERS, sizeof(uint32_t) * PIO_STEP_COUNTERS, error);
}

void pio_step_destroy(pio_model *model) {
    pio_buffer_destroy(model->step);
    model->step = NULL;
    if (!model->step_host) return;
    pio_buffer_destroy(model->step_host->fetched);
    free(model->step_host->block);
    free(model->step_host);
    model->step_host = NULL;
}

/* Positions of token `at` and, for a model with eyes, the picture row in its place. */
static void place_token(const pio_model *model, const pio_step_item *item, int32_t at, int32_t row) {
    int32_t *positions = (int32_t *)part_of(model, POSITIONS) + 3 * row;
    pio_addr picture = 0;
    if (item->sight)
        picture = pio_sight_token(item->sight, at, positions);
    else
        for (int axis = 0; axis < 3; axis++) positions[axis] = at;
    if (model->step_host->limits.picture_rows) ((pio_addr *)part_of(model, PICTURE_ROWS))[row] = picture;
}

/* Writes the items into the host's block. */
static void fill(const pio_model *model, const pio_step_item *items, int32_t n_items) {
    int32_t *ids = part_of(model, IDS), *cache_rows = part_of(model, CACHE_ROWS);
    int32_t *pages = part_of(model, PAGES), row = 0, page = 0;
    pio_step_sequence *sequences = part_of(model, SEQUENCES);
    const int32_t page_tokens = model->spec.page_tokens;
    for (int32_t i = 0; i < n_items; i++) {
        const pio_step_item *item = &items[i];
        sequences[i] = (pio_step_sequence){row, item->n, item->context, page};
        memcpy(pages + page, item->pages, sizeof *pages * (size_t)item->n_pages);
        page += item->n_pages;
        for (int32_t t = 0; t < item->n; t++, row++) {
            int32_t at = item->context + t;
            ids[row] = item->ids[t];
            cache_rows[row] = item->pages[at / page_tokens] * page_tokens + at % page_tokens;
            place_token(model, item, at, row);
        }
    }
}

/* Rows between the live ones and the bound: nobody's, in page 0. */
static void pad(const pio_model *model, int32_t live, int32_t bound) {
    int32_t *ids = part_of(model, IDS), *positions = part_of(model, POSITIONS),
            *cache_rows = part_of(model, CACHE_ROWS);
    for (int32_t row = live; row < bound; row++) {
        ids[row] = 0;
        cache_rows[row] = row % model->spec.page_tokens;
        memset(positions + 3 * row, 0, 3 * sizeof *positions);
        if (model->step_host->limits.picture_rows) ((pio_addr *)part_of(model, PICTURE_ROWS))[row] = 0;
    }
}

static pio_status check_items(const pio_model *model, const pio_step_item *items, int32_t n_items, int32_t *n_tokens,
                              int32_t *n_pages, pio_error *error) {
    const pio_step_limits *limits = &model->step_host->limits;
    *n_tokens = *n_pages = 0;
    for (int32_t i = 0; i < n_items; i++) {
        *n_tokens += items[i].n;
        *n_pages += items[i].n_pages;
        if ((int64_t)items[i].n_pages * model->spec.page_tokens < (int64_t)items[i].context + items[i].n)
            return pio_fail(error, PIO_INTERNAL, "a sequence of %d tokens has %d pages", items[i].context + items[i].n,
                            items[i].n_pages);
    }
    if (n_items > limits->sequences || *n_tokens > limits->tokens || *n_pages > limits->pages)
        return pio_fail(error, PIO_INTERNAL, "a step of %d tokens of %d sequences with %d pages is over its limits",
                        *n_tokens, n_items, *n_pages);
    return PIO_OK;
}

/* Queues what the body reads, and the counts of the whole step. */
static pio_status send_body(pio_model *model, const pio_step_item *items, int32_t n_items, int32_t n_outs,
                            pio_list **list, pio_error *error) {
    int32_t n_tokens, n_pages;
    pio_status status = check_items(model, items, n_items, &n_tokens, &n_pages, error);
    const pio_bucket *bucket;
    if (!status) status = pio_bucket_ready(model, &model->body, n_tokens, &bucket, error);
    if (status) return status;
    fill(model, items, n_items);
    pad(model, n_tokens, bucket->bound);
    *(pio_step_counts *)part_of(model, COUNTS) = (pio_step_counts){
        .n_tokens = n_tokens, .n_sequences = n_items, .n_outs = n_outs, .n_choices = n_tokens * model->spec.n_chosen};
    const struct {
        part which;
        size_t bytes;
    } sends[] = {
        {COUNTS, sizeof(pio_step_counts)},
        {IDS, sizeof(int32_t) * (size_t)bucket->bound},
        {POSITIONS, 3 * sizeof(int32_t) * (size_t)bucket->bound},
        {CACHE_ROWS, sizeof(int32_t) * (size_t)bucket->bound},
        {SEQUENCES, sizeof(pio_step_sequence) * (size_t)n_items},
        {PAGES, sizeof(int32_t) * (size_t)n_pages},
        {PICTURE_ROWS, model->step_host->limits.picture_rows ? sizeof(pio_addr) * (size_t)bucket->bound : 0},
    };
    for (size_t i = 0; i < PIO_COUNT(sends) && !status; i++)
        status = send(model, sends[i].which, sends[i].bytes, error);
    *list = bucket->list;
    return status;
}

/* Queues what the head reads besides the counts. */
static pio_status send_head(pio_model *model, const pio_step_out *outs, int32_t n_outs, pio_list **list,
                            pio_error *error) {
    const pio_bucket *bucket;
    if (n_outs > PIO_HEAD_ROWS)
        return pio_fail(error, PIO_INTERNAL, "a head step of %d rows is over its limit of %d", n_outs, PIO_HEAD_ROWS);
    pio_status status = pio_bucket_ready(model, &model->head, n_outs, &bucket, error);
    if (status) return status;
    int32_t *out_rows = part_of(model, OUT_ROWS);
    pio_step_draw *draws = part_of(model, DRAWS);
    for (int32_t i = 0; i < bucket->bound; i++) {
        const pio_step_out *out = i < n_outs ? &outs[i] : &(const pio_step_out){.slot = -1};
        out_rows[i] = out->row;
        draws[i] = (pio_step_draw){.slot = out->slot, .position = out->position, .ring = out->ring};
    }
    status = send(model, OUT_ROWS, sizeof *out_rows * (size_t)bucket->bound, error);
    *list = bucket->list;
    return status ? status : send(model, DRAWS, sizeof *draws * (size_t)bucket->bound, error);
}

pio_status pio_step_body(pio_model *model, const pio_step_item *items, int32_t n_items, pio_error *error) {
    pio_list *list;
    uint64_t number;
    pio_status status = send_body(model, items, n_items, 0, &list, error);
    return status ? status : pio_queue_submit(model->queue, &list, 1, &number, error);
}

pio_status pio_step_head(pio_model *model, const pio_step_out *outs, int32_t n_outs, uint64_t *number,
                         pio_error *error) {
    pio_list *list;
    pio_step_counts *counts = part_of(model, COUNTS);
    counts->n_outs = n_outs;
    pio_status status = send(model, COUNTS, sizeof *counts, error);
    if (!status) status = send_head(model, outs, n_outs, &list, error);
    return status ? status : pio_queue_submit(model->queue, &list, 1, number, error);
}

pio_status pio_step_run(pio_model *model, const pio_step_item *items, int32_t n_items, const pio_step_out *outs,
                        int32_t n_outs, uint64_t *number, pio_error *error) {
    pio_list *lists[2];
    pio_status status = send_body(model, items, n_items, n_outs, &lists[0], error);
    if (!status && n_outs) status = send_head(model, outs, n_outs, &lists[1], error);
    return status ? status : pio_queue_submit(model->queue, lists, n_outs ? 2 : 1, number, error);
}

pio_status pio_step_wait(pio_model *model, uint64_t number, pio_error *error) {
    pio_status status = pio_queue_wait(model->queue, number, UINT64_MAX, error);
    if (!status)
        status = pio_buffer_invalidate(model->state_buffers[model->states.ring], 0, PIO_RING_TOKENS * sizeof(int32_t),
                                       error);
    return status;
}

/* Makes the buffer that logits are copied to. */
static pio_status make_fetched(pio_model *model, pio_error *error) {
    struct pio_step_host *host = model->step_host;
    const uint64_t bytes = model->state_buffers[model->states.logits]->bytes;
    void *logits;
    if (host->logits) return PIO_OK;
    pio_status status =
        pio_buffer_create(model->chosen.device, bytes, PIO_BUFFER_READBACK, "fetched logits", &host->fetched, error);
    if (!status) status = pio_buffer_map(host->fetched, &logits, error);
    if (!status) host->logits = logits;
    return status;
}

pio_status pio_step_fetch_logits(pio_model *model, int32_t n_outs, pio_error *error) {
    const pio_buffer *from = model->state_buffers[model->states.logits];
    const uint64_t bytes = (uint64_t)model->spec.states[model->states.logits].row_bytes * (uint64_t)n_outs;
    pio_list *list = NULL;
    uint64_t number;
    if (model->chosen.caps.host_visible)
        return pio_buffer_invalidate(model->state_buffers[model->states.logits], 0, bytes, error);
    pio_status status = make_fetched(model, error);
    if (!status) status = pio_list_create(model->chosen.device, false, &list, error);
    if (!status) status = pio_list_copy(list, model->step_host->fetched->address, from->address, bytes, error);
    if (!status) status = pio_list_end(list, error);
    if (!status) status = pio_queue_submit(model->queue, &list, 1, &number, error);
    if (!status) status = pio_queue_wait(model->queue, number, UINT64_MAX, error);
    if (!status) status = pio_buffer_invalidate(model->step_host->fetched, 0, bytes, error);
    pio_list_destroy(list);
    return status;
}

const float *pio_step_logits(const pio_model *model, int32_t out) {
    return (const float *)(model->step_host->logits + model->spec.states[model->states.logits].row_bytes * out);
}

int32_t pio_step_ring(const pio_model *model, int32_t ring) {
    return model->step_host->ring[ring];
}
