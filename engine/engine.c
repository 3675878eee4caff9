#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/pages.h"
#include "engine/request.h"
#include "engine/step.h"

enum { MAX_LAG = 2 }; /* steps in flight on a device that works by itself */

/* A request on its way. ids[0 .. n_known) are known to the host; the cache holds, or will hold when the steps in flight
 * are done, the first n_fed of them; n_drawn tokens were drawn or are being drawn. */
typedef struct sequence {
    pio_request *request;
    int32_t *ids; /* [context] */
    int32_t n_known, n_fed, n_drawn;
    int32_t *pages; /* [pages of a context] */
    int32_t n_pages, n_published;
    pio_sight *sight; /* its pictures; NULL: none */
    int32_t slot;
    int32_t in_flight; /* steps that work on it */
    bool done;
    uint64_t started_ns, first_ns;
} sequence;

/* A submitted step and the tokens that it draws. */
typedef struct flight {
    uint64_t number;
    int32_t n_draws;
    struct {
        sequence *of;
        int32_t ring;
    } draws[PIO_MAX_SLOTS];
    sequence *members[PIO_MAX_SLOTS];
    int32_t n_members;
} flight;

struct pio_engine {
    pio_model *model;
    pio_pages *pages;
    pio_slots *slots;
    sequence *sequences; /* [n_sequences] */
    int32_t n_sequences, n_active;
    flight flights[MAX_LAG];
    int first_flight, n_flights, lag;
    int32_t next_ring;
    bool spoke;        /* a token was handed out: from then on a failure is final */
    pio_error failure; /* the device has failed and no other will do; status PIO_OK: not so */
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int32_t context_pages(const pio_model *model) {
    return PIO_CEIL_DIV(model->options.context, model->spec.page_tokens);
}

pio_model *pio_engine_model(pio_engine *engine) {
    return engine->model;
}

/* Frees all that belongs to the model. */
static void free_parts(pio_engine *engine) {
    for (int32_t i = 0; engine->sequences && i < engine->n_sequences; i++) {
        free(engine->sequences[i].ids);
        free(engine->sequences[i].pages);
    }
    free(engine->sequences);
    pio_slots_destroy(engine->slots);
    pio_pages_destroy(engine->pages);
    engine->sequences = NULL;
    engine->slots = NULL;
    engine->pages = NULL;
}

void pio_engine_destroy(pio_engine *engine) {
    if (!engine) return;
    free_parts(engine);
    pio_model_close(engine->model);
    free(engine);
}

static pio_status make_parts(pio_engine *engine, pio_model *model, pio_error *error) {
    const int32_t n = engine->n_sequences = model->options.max_sequences;
    engine->lag = model->chosen.caps.asynchronous ? MAX_LAG : 1;
    pio_status status = pio_pages_create(model->n_pages, model->spec.page_tokens, &engine->pages, error);
    if (!status) status = pio_slots_create(model, &engine->slots, error);
    if (status) return status;
    engine->sequences = calloc((size_t)n, sizeof *engine->sequences);
    if (!engine->sequences) return pio_fail_memory(error, "the sequences", sizeof(sequence) * (size_t)n);
    for (int32_t i = 0; i < n; i++) {
        sequence *s = &engine->sequences[i];
        s->ids = malloc(sizeof *s->ids * (size_t)(model->options.context + 1));
        s->pages = malloc(sizeof *s->pages * (size_t)context_pages(model));
        s->slot = i;
        if (!s->ids || !s->pages) return pio_fail_memory(error, "a sequence", 4ull * (unsigned)model->options.context);
    }
    return PIO_OK;
}

pio_status pio_engine_create(pio_model *model, pio_engine **out, pio_error *error) {
    *out = NULL;
    const int32_t n = model->options.max_sequences;
    pio_status status = pio_model_check_computes(model, error);
    if (status) return status;
    if (n > PIO_MAX_SLOTS)
        return pio_fail(error, PIO_LIMIT, "%d sequences at once are more than the %d that are possible", n,
                        PIO_MAX_SLOTS);
    pio_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return pio_fail_memory(error, "the engine", sizeof *engine);
    status = make_parts(engine, model, error);
    if (status) { /* the model stays the caller's */
        free_parts(engine);
        free(engine);
        return status;
    }
    engine->model = model;
    *out = engine;
    return PIO_OK;
}

pio_status pio_check_prompt(const pio_model *model, const int32_t *ids, int32_t n, pio_error *error) {
    if (n < 1) return pio_fail(error, PIO_INVALID_ARGUMENT, "the prompt is empty: give at least one token");
    if (n > model->options.context)
        return pio_fail(
            error, PIO_LIMIT, "the prompt has %d tokens and the context holds %d%s", n, model->options.context,
            model->options.context < model->config.common.max_positions ? ": shorten it or raise --context"
                                                                        : ", all that the model knows: shorten it");
    for (int32_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= model->config.common.vocab_size)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "token id %d at position %d is outside the vocabulary of %d",
                            ids[i], i, model->config.common.vocab_size);
    return PIO_OK;
}

/* ---- sequences ---- */

static pio_status admit(pio_engine *engine, sequence *s, pio_request *request, pio_error *error) {
    *s = (sequence){.request = request, .ids = s->ids, .pages = s->pages, .slot = s->slot, .started_ns = now_ns()};
    memcpy(s->ids, request->prompt, sizeof *s->ids * (size_t)request->n_prompt);
    s->n_known = request->n_prompt;
    /* At least one token is fed anew: its logits are wanted. */
    if (request->n_pictures) {
        pio_status status = pio_sight_create(engine->model, request->prompt, request->n_prompt, request->pictures,
                                             request->n_pictures, &s->sight, error);
        if (status) return status;
    }
    const int32_t reusable = engine->model->options.no_prefix_cache ? 0 : request->n_prompt - 1;
    s->n_pages = s->n_published =
        pio_pages_match(engine->pages, s->ids, pio_sight_contents(s->sight), reusable, s->pages);
    s->n_fed = request->n_reused = s->n_pages * engine->model->spec.page_tokens;
    return pio_slots_set(engine->slots, s->slot, &request->sampling, request->prompt, request->n_prompt, error);
}

/* Pages that follow go first, so that a beginning outlives its continuations. */
static void release(pio_engine *engine, sequence *s) {
    for (int32_t i = s->n_pages - 1; i >= 0; i--) pio_pages_release(engine->pages, s->pages[i]);
    pio_sight_destroy(s->sight);
    s->sight = NULL;
    s->n_pages = 0;
    s->request = NULL;
}

static pio_status ensure_pages(pio_engine *engine, sequence *s, int32_t n_tokens, pio_error *error) {
    int32_t wanted = PIO_CEIL_DIV(n_tokens, engine->model->spec.page_tokens);
    while (s->n_pages < wanted) {
        pio_status status = pio_pages_take(engine->pages, &s->pages[s->n_pages], error);
        if (status) return status;
        s->n_pages++;
    }
    return PIO_OK;
}

/* Makes known which pages are full of tokens that were computed. An equal page may take a page's place; the steps in
 * flight that read the old one run before any that writes to it. */
static void publish(pio_engine *engine, sequence *s) {
    const int32_t page_tokens = engine->model->spec.page_tokens;
    int32_t computed = PIO_MIN(s->n_fed, s->n_known);
    for (; (s->n_published + 1) * page_tokens <= computed; s->n_published++) {
        int32_t parent = s->n_published ? s->pages[s->n_published - 1] : 0;
        s->pages[s->n_published] =
            pio_pages_publish(engine->pages, s->pages[s->n_published], parent, s->ids + s->n_published * page_tokens,
                              pio_sight_content(s->sight, s->n_published));
    }
}

static void finish(sequence *s, pio_finish how) {
    if (s->done) return;
    s->done = true;
    s->request->finish = how;
    uint64_t end = now_ns();
    s->request->prompt_ns = (s->first_ns ? s->first_ns : end) - s->started_ns;
    s->request->decode_ns = s->first_ns ? end - s->first_ns : 0;
}

static pio_status take_token(pio_engine *engine, sequence *s, int32_t token, pio_error *error) {
    pio_request *r = s->request;
    if (s->done) return PIO_OK;
    if (token < 0)
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': no logit of token %d is a finite number: the checkpoint's weights are broken or made "
                        "for another architecture; download it again",
                        engine->model->directory, s->n_known);
    engine->spoke = true;
    if (!s->first_ns) s->first_ns = now_ns();
    s->ids[s->n_known++] = token;
    for (int32_t i = 0; i < r->n_end_ids; i++) {
        if (token != r->end_ids[i]) continue;
        finish(s, PIO_FINISH_STOP);
        return PIO_OK;
    }
    r->n_generated++;
    if (r->on_token && !r->on_token(r->user, token))
        finish(s, PIO_FINISH_STOP);
    else if (r->n_generated == r->max_tokens || s->n_known >= engine->model->options.context)
        finish(s, PIO_FINISH_LENGTH);
    return PIO_OK;
}

/* ---- steps ---- */

/* How many tokens the sequence can feed now: the rest of its prompt, or the one token drawn last, if another may
 * follow. */
static int32_t feedable(const sequence *s) {
    const int32_t n_prompt = s->request->n_prompt;
    if (s->done || (s->n_drawn && s->n_drawn == s->request->max_tokens)) return 0;
    return s->n_fed < n_prompt ? n_prompt - s->n_fed : n_prompt + s->n_drawn - s->n_fed;
}

typedef struct batch {
    pio_step_item items[PIO_MAX_SLOTS];
    int32_t last_ids[PIO_MAX_SLOTS]; /* the slot references of decoding sequences */
    pio_step_out outs[PIO_MAX_SLOTS];
    int32_t n_items, n_outs, n_rows;
} batch;

/* Adds up to `room` tokens of the sequence to the batch. */
static pio_status add_to_batch(pio_engine *engine, sequence *s, int32_t room, batch *b, flight *f, pio_error *error) {
    int32_t n = PIO_MIN(feedable(s), room), n_prompt = s->request->n_prompt;
    const int32_t *ids = s->ids + s->n_fed;
    if (s->n_fed + n > engine->model->options.context) { /* its last token was drawn: nothing follows */
        if (!s->in_flight) finish(s, PIO_FINISH_LENGTH);
        return PIO_OK;
    }
    pio_status status = ensure_pages(engine, s, s->n_fed + n, error);
    if (!status && s->sight) status = pio_sight_look(s->sight, s->n_fed, n, error);
    if (status) return status;
    if (s->n_fed >= s->n_known) { /* drawn, and not yet read */
        b->last_ids[b->n_items] = -1 - s->slot;
        ids = &b->last_ids[b->n_items];
    }
    b->items[b->n_items++] = (pio_step_item){ids, n, s->n_fed, s->pages, s->n_pages, s->sight};
    s->n_fed += n;
    b->n_rows += n;
    s->in_flight++;
    f->members[f->n_members++] = s;
    if (s->n_fed < n_prompt) return PIO_OK;
    b->outs[b->n_outs++] = (pio_step_out){b->n_rows - 1, s->slot, s->n_fed, engine->next_ring};
    f->draws[f->n_draws].of = s;
    f->draws[f->n_draws++].ring = engine->next_ring;
    engine->next_ring = (engine->next_ring + 1) % PIO_RING_TOKENS;
    s->n_drawn++;
    return PIO_OK;
}

/* Decoding sequences first, one token each; then prompts, in what room is left. */
static pio_status fill_batch(pio_engine *engine, batch *b, flight *f, pio_error *error) {
    const int32_t chunk = engine->model->options.chunk, n = engine->model->options.max_sequences;
    pio_status status = PIO_OK;
    for (int prompts = 0; prompts < 2; prompts++) {
        for (int32_t i = 0; i < n && !status; i++) {
            sequence *s = &engine->sequences[i];
            if (!s->request || s->done || b->n_rows >= chunk) continue;
            bool is_prompt = s->n_fed < s->request->n_prompt;
            if (is_prompt != prompts || !feedable(s)) continue;
            status = add_to_batch(engine, s, chunk - b->n_rows, b, f, error);
        }
    }
    return status;
}

static pio_status submit(pio_engine *engine, const batch *b, flight *f, pio_error *error) {
    const int32_t first = PIO_MIN(PIO_HEAD_ROWS, b->n_outs);
    pio_status status = pio_step_run(engine->model, b->items, b->n_items, b->outs, first, &f->number, error);
    for (int32_t i = first; i < b->n_outs && !status; i += PIO_HEAD_ROWS)
        status = pio_step_head(engine->model, b->outs + i, PIO_MIN(PIO_HEAD_ROWS, b->n_outs - i), &f->number, error);
    return status;
}

/* Waits for the oldest step and hands out its tokens. A step without draws has none to wait for. */
static pio_status collect(pio_engine *engine, pio_error *error) {
    flight *f = &engine->flights[engine->first_flight];
    pio_status status = f->n_draws ? pio_step_wait(engine->model, f->number, error) : PIO_OK;
    for (int32_t i = 0; i < f->n_draws && !status; i++)
        status = take_token(engine, f->draws[i].of, pio_step_ring(engine->model, f->draws[i].ring), error);
    for (int32_t i = 0; i < f->n_members; i++) f->members[i]->in_flight--;
    engine->first_flight = (engine->first_flight + 1) % MAX_LAG;
    engine->n_flights--;
    return status;
}

static pio_status launch(pio_engine *engine, bool *launched, pio_error *error) {
    flight *f = &engine->flights[(engine->first_flight + engine->n_flights) % MAX_LAG];
    batch b = {.n_items = 0};
    f->n_draws = f->n_members = 0;
    pio_status status = fill_batch(engine, &b, f, error);
    *launched = b.n_items > 0;
    if (status || !*launched) return status;
    engine->n_flights++;
    return submit(engine, &b, f, error);
}

/* Lets go of what has ended and lets in what waits. Returns the number of sequences at work. */
static pio_status turn_over(pio_engine *engine, pio_request *const *requests, int32_t n_requests, int32_t *next,
                            int32_t *n_active, pio_error *error) {
    pio_status status = PIO_OK;
    *n_active = 0;
    for (int32_t i = 0; i < engine->model->options.max_sequences && !status; i++) {
        sequence *s = &engine->sequences[i];
        if (s->request) publish(engine, s);
        if (s->request && s->done && !s->in_flight) release(engine, s);
        if (!s->request && *next < n_requests) status = admit(engine, s, requests[(*next)++], error);
        *n_active += s->request != NULL;
    }
    return status;
}

static void cancel_all(pio_engine *engine) {
    for (int32_t i = 0; i < engine->model->options.max_sequences; i++)
        if (engine->sequences[i].request) finish(&engine->sequences[i], PIO_FINISH_CANCELLED);
}

/* After a failure: nothing stays in flight or in use. */
static void abandon(pio_engine *engine) {
    engine->n_flights = 0;
    for (int32_t i = 0; i < engine->model->options.max_sequences; i++) {
        sequence *s = &engine->sequences[i];
        if (!s->request) continue;
        finish(s, PIO_FINISH_CANCELLED);
        release(engine, s);
    }
}

static pio_status check_requests(const pio_model *model, pio_request *const *requests, int32_t n_requests,
                                 pio_error *error) {
    pio_status status = PIO_OK;
    for (int32_t i = 0; i < n_requests && !status; i++) {
        pio_request *r = requests[i];
        r->finish = PIO_FINISH_NONE;
        r->n_generated = r->n_reused = 0;
        status = pio_check_prompt(model, r->prompt, r->n_prompt, error);
        if (!status) status = pio_sight_check(model, r->prompt, r->n_prompt, r->pictures, r->n_pictures, error);
        if (!status) status = pio_sampling_check(&r->sampling, model->config.common.vocab_size, error);
    }
    return status;
}

static pio_status run_all(pio_engine *engine, pio_request *const *requests, int32_t n_requests,
                          bool (*cancelled)(void *), void *user, pio_error *error) {
    int32_t next = 0, n_active = 0;
    pio_status status = check_requests(engine->model, requests, n_requests, error);
    if (status) return status;
    while (!status) {
        status = turn_over(engine, requests, n_requests, &next, &n_active, error);
        if (status || !n_active) break;
        if (cancelled && cancelled(user)) {
            cancel_all(engine);
            while (next < n_requests) requests[next++]->finish = PIO_FINISH_CANCELLED;
        }
        bool launched = false;
        status = launch(engine, &launched, error);
        if (!status && engine->n_flights && (engine->n_flights == engine->lag || !launched))
            status = collect(engine, error);
    }
    if (status) abandon(engine);
    return status;
}

/* Takes the model to another device; false: none will do, and *error says why. */
static bool move(pio_engine *engine, pio_error *error) {
    if (!pio_model_may_move(engine->model, error)) return false;
    free_parts(engine);
    while (pio_model_move(&engine->model, error)) {
        pio_model_note_device(engine->model);
        pio_status status = pio_model_load(engine->model, error);
        if (!status) status = make_parts(engine, engine->model, error);
        if (!status) return true;
        free_parts(engine);
    }
    engine->failure = *error;
    return false;
}

pio_status pio_engine_run(pio_engine *engine, pio_request *const *requests, int32_t n_requests,
                          bool (*cancelled)(void *), void *user, pio_error *error) {
    pio_error own = {0};
    pio_status status;
    if (!error) error = &own;
    if (engine->failure.status) {
        *error = engine->failure;
        return error->status;
    }
    do status = run_all(engine, requests, n_requests, cancelled, user, error);
    while (status && !engine->spoke && move(engine, error));
    return status ? error->status : PIO_OK;
}
