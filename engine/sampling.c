#include "engine/sampling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/json.h"
#include "kernels/sample/sample.h"

enum { CONFIG_LIMIT_BYTES = 16 << 20, WRITE_BYTES = 64 << 10 };

pio_sampling pio_sampling_greedy(void) {
    return (pio_sampling){.top_p = 1, .repetition_penalty = 1};
}

/* ---- generation_config.json ---- */

static pio_status read_end_ids(const pio_json_object *root, pio_generation *out, pio_error *error) {
    int64_t ids[PIO_MAX_END_IDS];
    size_t n = 0;
    pio_status status = pio_json_get_ints(root, "eos_token_id", 0, INT32_MAX, ids, PIO_COUNT(ids), &n, error);
    for (size_t i = 0; i < n && !status; i++) out->end_ids[i] = (int32_t)ids[i];
    if (!status) out->n_end_ids = (int32_t)n;
    return status;
}

static pio_status read_settings(const pio_json_object *root, pio_generation *out, pio_error *error) {
    bool sample = false;
    double temperature = 1, top_p = 1, min_p = 0, repetition = 1;
    int64_t top_k = 0, max_new_tokens = 0, max_length = 0;
    pio_status status = pio_json_get_bool_or(root, "do_sample", false, &sample, error);
    if (!status) status = pio_json_get_double_or(root, "temperature", 0, 100, 1, &temperature, error);
    if (!status) status = pio_json_get_double_or(root, "top_p", 0, 1, 1, &top_p, error);
    if (!status) status = pio_json_get_double_or(root, "min_p", 0, 1, 0, &min_p, error);
    if (!status) status = pio_json_get_double_or(root, "repetition_penalty", 1e-3, 1e3, 1, &repetition, error);
    if (!status) status = pio_json_get_int_or(root, "top_k", 0, INT32_MAX, 0, &top_k, error);
    if (!status) status = pio_json_get_int_or(root, "max_new_tokens", 1, INT32_MAX, 0, &max_new_tokens, error);
    if (!status) status = pio_json_get_int_or(root, "max_length", 1, INT32_MAX, 0, &max_length, error);
    out->sampling = (pio_sampling){.temperature = sample ? (float)temperature : 0,
                                   .top_p = (float)top_p,
                                   .min_p = (float)min_p,
                                   .top_k = (int32_t)top_k,
                                   .repetition_penalty = (float)repetition};
    out->max_new_tokens = (int32_t)max_new_tokens;
    out->max_length = (int32_t)max_length;
    return status ? status : read_end_ids(root, out, error);
}

/* Reads one of the directory's files, if it is there. */
static pio_status read_if_there(const char *directory, const char *file,
                                pio_status (*read)(const pio_json_object *, pio_generation *, pio_error *),
                                pio_generation *out, pio_error *error) {
    char path[4200];
    pio_json *json = NULL;
    snprintf(path, sizeof path, "%s/%s", directory, file);
    if (access(path, F_OK)) return PIO_OK;
    pio_status status = pio_json_load(path, CONFIG_LIMIT_BYTES, &json, error);
    if (status) return status;
    pio_json_object root = pio_json_root(json);
    status = read(&root, out, error);
    pio_json_free(json);
    return status;
}

pio_status pio_generation_read(const char *directory, pio_generation *out, pio_error *error) {
    *out = (pio_generation){.sampling = pio_sampling_greedy()};
    pio_status status = read_if_there(directory, "generation_config.json", read_settings, out, error);
    if (!status && !out->n_end_ids) status = read_if_there(directory, "config.json", read_end_ids, out, error);
    return status;
}

pio_status pio_sampling_check(const pio_sampling *s, int32_t vocab_size, pio_error *error) {
    const struct {
        const char *name;
        double value, least, most;
    } values[] = {
        {"temperature", s->temperature, 0, 100},
        {"top_p", s->top_p, 0, 1},
        {"min_p", s->min_p, 0, 1},
        {"repetition_penalty", s->repetition_penalty, 1e-3, 1e3},
        {"presence_penalty", s->presence_penalty, -100, 100},
        {"frequency_penalty", s->frequency_penalty, -100, 100},
        {"top_k", s->top_k, 0, INT32_MAX},
        {"the number of logit biases", s->n_biases, 0, PIO_MAX_LOGIT_BIASES},
    };
    for (size_t i = 0; i < PIO_COUNT(values); i++)
        if (!(values[i].value >= values[i].least && values[i].value <= values[i].most))
            return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is %g, but must be %g to %g", values[i].name,
                            values[i].value, values[i].least, values[i].most);
    for (int32_t i = 0; i < s->n_biases; i++)
        if (s->biases[i].id < 0 || s->biases[i].id >= vocab_size || !isfinite(s->biases[i].bias))
            return pio_fail(error, PIO_INVALID_ARGUMENT,
                            "the logit bias of token %d is outside the vocabulary of %d or not a number",
                            s->biases[i].id, vocab_size);
    return PIO_OK;
}

/* ---- slots ---- */

struct pio_slots {
    pio_model *model;
    pio_buffer *biases; /* pio_sample_bias [max_sequences, PIO_MAX_LOGIT_BIASES]; made on first need, like the counts */
    pio_buffer *counts; /* u16 [max_sequences, vocab] */
    uint16_t *host;     /* [vocab] */
};

pio_status pio_slots_create(pio_model *model, pio_slots **out, pio_error *error) {
    *out = calloc(1, sizeof **out);
    if (!*out) return pio_fail_memory(error, "the sampler slots", sizeof **out);
    (*out)->model = model;
    return PIO_OK;
}

void pio_slots_destroy(pio_slots *slots) {
    if (!slots) return;
    pio_buffer_destroy(slots->biases);
    pio_buffer_destroy(slots->counts);
    free(slots->host);
    free(slots);
}

static pio_status write_all(pio_queue *queue, pio_addr to, const void *data, size_t bytes, pio_error *error) {
    pio_status status = PIO_OK;
    for (size_t done = 0; done < bytes && !status; done += WRITE_BYTES)
        status = pio_queue_write(queue, to + done, (const char *)data + done,
                                 PIO_MIN(bytes - done, (size_t)WRITE_BYTES), error);
    return status;
}

static pio_status set_counts(pio_slots *slots, int32_t slot, const int32_t *prompt, int32_t n_prompt, pio_addr *address,
                             pio_error *error) {
    const size_t vocab = (size_t)slots->model->config.common.vocab_size, bytes = sizeof(uint16_t) * vocab;
    pio_status status = PIO_OK;
    if (!slots->counts)
        status = pio_buffer_create(slots->model->chosen.device, bytes * (size_t)slots->model->options.max_sequences,
                                   PIO_BUFFER_DEVICE, "token counts", &slots->counts, error);
    if (!status && !slots->host) slots->host = malloc(bytes);
    if (!status && !slots->host) status = pio_fail_memory(error, "token counts", bytes);
    if (status) return status;
    memset(slots->host, 0, bytes);
    for (int32_t i = 0; i < n_prompt; i++) slots->host[prompt[i]] = PIO_COUNT_IN_PROMPT;
    *address = slots->counts->address + bytes * (size_t)slot;
    return write_all(slots->model->queue, *address, slots->host, bytes, error);
}

static pio_status set_biases(pio_slots *slots, int32_t slot, const pio_sampling *s, pio_addr *address,
                             pio_error *error) {
    const size_t bytes = sizeof(pio_sample_bias) * PIO_MAX_LOGIT_BIASES;
    pio_sample_bias biases[PIO_MAX_LOGIT_BIASES];
    pio_status status = PIO_OK;
    if (!slots->biases)
        status = pio_buffer_create(slots->model->chosen.device, bytes * (size_t)slots->model->options.max_sequences,
                                   PIO_BUFFER_DEVICE, "logit biases", &slots->biases, error);
    if (status) return status;
    for (int32_t i = 0; i < s->n_biases; i++) biases[i] = (pio_sample_bias){s->biases[i].id, s->biases[i].bias};
    *address = slots->biases->address + bytes * (size_t)slot;
    return write_all(slots->model->queue, *address, biases, sizeof *biases * (size_t)s->n_biases, error);
}

pio_status pio_slots_set(pio_slots *slots, int32_t slot, const pio_sampling *s, const int32_t *prompt, int32_t n_prompt,
                         pio_error *error) {
    pio_sample_slot state = {.temperature = s->temperature,
                             .top_p = s->top_p,
                             .min_p = s->min_p,
                             .repetition_penalty = s->repetition_penalty,
                             .presence_penalty = s->presence_penalty,
                             .frequency_penalty = s->frequency_penalty,
                             .top_k = s->top_k,
                             .seed = s->seed,
                             .n_biases = s->n_biases};
    pio_status status = PIO_OK;
    if (s->repetition_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0)
        status = set_counts(slots, slot, prompt, n_prompt, &state.counts, error);
    if (!status && s->n_biases) status = set_biases(slots, slot, s, &state.biases, error);
    pio_addr to = slots->model->memory.states[slots->model->states.slots] + sizeof state * (size_t)slot;
    return status ? status : pio_queue_write(slots->model->queue, to, &state, sizeof state, error);
}
