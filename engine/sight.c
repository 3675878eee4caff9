#include "engine/sight.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "engine/vision.h"

/* One picture among the tokens. */
typedef struct place {
    int32_t first, n_tokens; /* the tokens that stand for it */
    int32_t position;        /* of its first row on all axes */
    int32_t next;            /* position of the token behind it */
    int32_t buffer;          /* that holds its rows; -1: not seen, or let go */
    int32_t row;             /* of its first one there */
} place;

struct pio_sight {
    pio_model *model;
    const pio_picture *const *pictures;
    place *places; /* [n_pictures] */
    int32_t n_pictures;
    pio_buffer **buffers; /* [n_pictures]: of one run of the vision graph each; NULL where let go */
    int32_t n_buffers;
    pio_page_content *contents; /* [pages of the prompt] */
    int32_t n_contents;
};

/* ---- which tokens stand for which picture ---- */

static bool is_picture(const pio_model_eyes *eyes, int32_t id) {
    return eyes->merge && (id == eyes->image_token || id == eyes->video_token);
}

static int32_t next_picture(const pio_model_eyes *eyes, const int32_t *ids, int32_t from, int32_t n_ids) {
    while (from < n_ids && !is_picture(eyes, ids[from])) from++;
    return from;
}

/* The tokens of picture i from `from` on, into *first. */
static pio_status find_tokens(const pio_model *model, const int32_t *ids, int32_t n_ids, const pio_picture *picture,
                              int32_t i, int32_t from, int32_t *first, pio_error *error) {
    const pio_model_eyes *eyes = &model->config.common.eyes;
    pio_status status = pio_vision_check(model, picture, error);
    if (status) return status;
    const int32_t wanted = pio_picture_tokens(picture), at = next_picture(eyes, ids, from, n_ids);
    int32_t n = 0;
    while (at + n < n_ids && n < wanted && ids[at + n] == ids[at]) n++;
    *first = at;
    if (n == wanted) return PIO_OK;
    if (!n)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "the prompt has image tokens for %d pictures and %d or more are given: put a place for each "
                        "into the prompt",
                        i, i + 1);
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "picture %d takes %d image tokens and the prompt has %d for it, from position %d on: expand the "
                    "prompt to the picture's size",
                    i + 1, wanted, n, at);
}

pio_status pio_sight_check(const pio_model *model, const int32_t *ids, int32_t n_ids,
                           const pio_picture *const *pictures, int32_t n_pictures, pio_error *error) {
    int32_t at = 0;
    for (int32_t i = 0; i < n_pictures; i++) {
        pio_status status = find_tokens(model, ids, n_ids, pictures[i], i, at, &at, error);
        if (status) return status;
        at += pio_picture_tokens(pictures[i]);
    }
    at = next_picture(&model->config.common.eyes, ids, at, n_ids);
    if (at == n_ids) return PIO_OK;
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "the image token %d at position %d belongs to none of the %d pictures given: give one for each "
                    "place in the prompt, no larger and no smaller",
                    ids[at], at, n_pictures);
}

/* ---- what pages hold ---- */

/* splitmix64's finalizer (Steele, Lea, Flood 2014) */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static pio_page_content content_of(const pio_sight *sight, int32_t first, int32_t end) {
    pio_page_content content = {{0, 0}};
    for (int32_t i = 0; i < sight->n_pictures; i++) {
        const place *p = &sight->places[i];
        if (p->first >= end || p->first + p->n_tokens <= first) continue;
        const uint64_t where = (uint64_t)(uint32_t)(p->first - first) + 0x9e3779b97f4a7c15u;
        for (int k = 0; k < 2; k++) content.hash[k] = mix(content.hash[k] ^ sight->pictures[i]->hash[k] ^ mix(where));
    }
    return content;
}

/* ---- its life ---- */

pio_status pio_sight_create(pio_model *model, const int32_t *ids, int32_t n_ids, const pio_picture *const *pictures,
                            int32_t n_pictures, pio_sight **out, pio_error *error) {
    const int32_t page_tokens = model->spec.page_tokens, n_pages = PIO_CEIL_DIV(n_ids, page_tokens);
    pio_sight *sight = *out = calloc(1, sizeof *sight);
    if (sight) {
        sight->places = calloc((size_t)n_pictures + 1, sizeof *sight->places);
        sight->buffers = calloc((size_t)n_pictures + 1, sizeof(pio_buffer *));
        sight->contents = calloc((size_t)n_pages + 1, sizeof *sight->contents);
    }
    if (!sight || !sight->places || !sight->buffers || !sight->contents) {
        pio_sight_destroy(sight);
        *out = NULL;
        return pio_fail_memory(error, "the places of pictures", sizeof *sight->places * (size_t)n_pictures);
    }
    sight->model = model;
    sight->pictures = pictures;
    sight->n_pictures = n_pictures;
    sight->n_contents = n_pages;
    int32_t at = 0, position = 0;
    for (int32_t i = 0; i < n_pictures; i++) {
        const pio_picture *p = pictures[i];
        const int32_t first = next_picture(&model->config.common.eyes, ids, at, n_ids);
        position += first - at;
        const int32_t next = position + PIO_MAX(p->rows, p->cols) / p->merge;
        sight->places[i] = (place){first, pio_picture_tokens(p), position, next, -1, 0};
        position = next;
        at = first + sight->places[i].n_tokens;
    }
    for (int32_t i = 0; i < n_pages; i++)
        sight->contents[i] = content_of(sight, i * page_tokens, (i + 1) * page_tokens);
    return PIO_OK;
}

void pio_sight_destroy(pio_sight *sight) {
    if (!sight) return;
    for (int32_t i = 0; i < sight->n_buffers; i++) pio_buffer_destroy(sight->buffers[i]);
    free(sight->places);
    free(sight->buffers);
    free(sight->contents);
    free(sight);
}

const pio_page_content *pio_sight_contents(const pio_sight *sight) {
    return sight ? sight->contents : NULL;
}

pio_page_content pio_sight_content(const pio_sight *sight, int32_t page) {
    return sight && page < sight->n_contents ? sight->contents[page] : (pio_page_content){{0, 0}};
}

/* ---- seeing ---- */

static pio_status let_go(pio_sight *sight, int32_t first, pio_error *error) {
    for (int32_t b = 0; b < sight->n_buffers; b++) {
        bool needed = false;
        for (int32_t i = 0; i < sight->n_pictures; i++)
            needed |= sight->places[i].buffer == b && sight->places[i].first + sight->places[i].n_tokens > first;
        if (needed || !sight->buffers[b]) continue;
        pio_queue *queue = sight->model->queue; /* steps in flight may read it yet */
        pio_status status = pio_queue_wait(queue, atomic_load(&queue->last_number), UINT64_MAX, error);
        if (status) return status;
        pio_buffer_destroy(sight->buffers[b]);
        sight->buffers[b] = NULL;
        for (int32_t i = 0; i < sight->n_pictures; i++)
            if (sight->places[i].buffer == b) sight->places[i].buffer = -1;
    }
    return PIO_OK;
}

/* Sees picture i and, while there is room, those behind it. */
static pio_status see(pio_sight *sight, int32_t i, pio_error *error) {
    int32_t n = 0, row = 0;
    int64_t n_patches = 0;
    for (; i + n < sight->n_pictures; n++) {
        const pio_picture *p = sight->pictures[i + n];
        n_patches += (int64_t)p->rows * p->cols;
        if (n && n_patches > PIO_VISION_PATCHES) break;
    }
    /* A picture may be let go and, where a prompt is fed again from the start, wanted once more. */
    int32_t b = 0;
    while (b < sight->n_buffers && sight->buffers[b]) b++;
    pio_status status = pio_vision_run(sight->model, sight->pictures + i, n, &sight->buffers[b], error);
    if (status) return status;
    sight->n_buffers = PIO_MAX(sight->n_buffers, b + 1);
    for (int32_t k = 0; k < n; k++) {
        place *p = &sight->places[i + k];
        p->buffer = b;
        p->row = row;
        row += p->n_tokens;
    }
    return PIO_OK;
}

pio_status pio_sight_look(pio_sight *sight, int32_t first, int32_t n, pio_error *error) {
    pio_status status = let_go(sight, first, error);
    for (int32_t i = 0; i < sight->n_pictures && !status; i++) {
        const place *p = &sight->places[i];
        if (p->first >= first + n || p->first + p->n_tokens <= first || p->buffer >= 0) continue;
        status = see(sight, i, error);
    }
    return status;
}

pio_addr pio_sight_token(const pio_sight *sight, int32_t token, int32_t positions[3]) {
    int32_t low = 0, high = sight->n_pictures; /* the last picture that begins at the token or before is low - 1 */
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (sight->places[middle].first <= token)
            low = middle + 1;
        else
            high = middle;
    }
    const place *p = low ? &sight->places[low - 1] : NULL;
    const int32_t in_picture = p ? token - p->first : 0;
    if (!p || in_picture >= p->n_tokens) {
        const int32_t at = p ? p->next + in_picture - p->n_tokens : token;
        for (int axis = 0; axis < 3; axis++) positions[axis] = at;
        return 0;
    }
    const pio_picture *picture = sight->pictures[low - 1];
    const int32_t cols = picture->cols / picture->merge;
    positions[0] = p->position;
    positions[1] = p->position + in_picture / cols;
    positions[2] = p->position + in_picture % cols;
    if (p->buffer < 0) return 0;
    const pio_spec *spec = &sight->model->spec;
    return sight->buffers[p->buffer]->address +
           (pio_addr)(p->row + in_picture) * (pio_addr)spec->states[pio_spec_state(spec, "pictures")].row_bytes;
}
