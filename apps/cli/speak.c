#include "apps/cli/speak.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- sampling ---- */

static pio_status parse_number(const char *name, const char *text, double *out, pio_error *error) {
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (errno || end == text || *end || !isfinite(*out))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s takes a number, not '%.40s'", name, text);
    return PIO_OK;
}

static pio_status apply_numbers(const cli_options *o, pio_sampling *s, pio_error *error) {
    const struct {
        const char *name, *text;
        float *to;
    } numbers[] = {
        {"--temperature", o->temperature, &s->temperature},
        {"--top-p", o->top_p, &s->top_p},
        {"--min-p", o->min_p, &s->min_p},
        {"--repetition-penalty", o->repetition_penalty, &s->repetition_penalty},
        {"--presence-penalty", o->presence_penalty, &s->presence_penalty},
        {"--frequency-penalty", o->frequency_penalty, &s->frequency_penalty},
    };
    for (size_t i = 0; i < PIO_COUNT(numbers); i++) {
        double value;
        if (!numbers[i].text) continue;
        pio_status status = parse_number(numbers[i].name, numbers[i].text, &value, error);
        if (status) return status;
        *numbers[i].to = (float)value;
    }
    return PIO_OK;
}

static pio_status parse_whole(const char *name, const char *text, unsigned long long most, unsigned long long *out,
                              pio_error *error) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || *out > most)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s takes a whole number from 0 to %llu, not '%.40s'", name, most,
                        text);
    return PIO_OK;
}

static pio_status apply_biases(const cli_options *o, cli_speaker *out, pio_error *error) {
    for (int i = 0; i < o->n_biases; i++) {
        char *end;
        double bias = 0;
        long id = strtol(o->biases[i], &end, 10);
        if (end == o->biases[i] || *end != '=' || id < 0 || id > INT32_MAX)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "--logit-bias takes ID=NUMBER, not '%.40s'", o->biases[i]);
        pio_status status = parse_number("--logit-bias", end + 1, &bias, error);
        if (status) return status;
        out->biases[i] = (pio_logit_bias){(int32_t)id, (float)bias};
    }
    out->sampling.biases = out->biases;
    out->sampling.n_biases = o->n_biases;
    return PIO_OK;
}

static pio_status apply_options(const cli_options *o, cli_speaker *out, pio_error *error) {
    unsigned long long whole = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->sampling.seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    pio_status status = apply_numbers(o, &out->sampling, error);
    if (!status && o->top_k) status = parse_whole("--top-k", o->top_k, INT32_MAX, &whole, error);
    if (!status && o->top_k) out->sampling.top_k = (int32_t)whole;
    if (!status && o->seed) status = parse_whole("--seed", o->seed, UINT64_MAX, &whole, error);
    if (!status && o->seed) out->sampling.seed = whole;
    return status ? status : apply_biases(o, out, error);
}

static pio_status check_utf8(const char *what, const char *text, pio_error *error) {
    json_t *string = text ? json_string(text) : NULL;
    if (text && !string) return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is not valid UTF-8: give it in UTF-8", what);
    json_decref(string);
    return PIO_OK;
}

static pio_status check_texts(const cli_options *options, pio_error *error) {
    pio_status status = check_utf8("the prompt", options->prompt, error);
    if (!status) status = check_utf8("--system", options->system, error);
    for (int i = 0; i < options->n_stops && !status; i++) status = check_utf8("--stop", options->stops[i], error);
    return status;
}

pio_status cli_check_speaking(const cli_options *options, pio_error *error) {
    cli_speaker nobody = {.sampling = pio_sampling_greedy()};
    pio_status status = apply_options(options, &nobody, error);
    return status ? status : pio_sampling_check(&nobody.sampling, INT32_MAX, error);
}

/* ---- opening ---- */

pio_status cli_speaker_open(const cli_options *options, cli_speaker *out, pio_error *error) {
    *out = (cli_speaker){.options = options};
    pio_model *model = NULL;
    pio_status status = check_texts(options, error);
    if (!status) status = cli_open_model(options, false, &model, error);
    if (status) return status;
    status = pio_speaker_create(model, &out->speaker, error);
    if (status) {
        pio_model_close(model);
        return status;
    }
    out->sampling = out->speaker->sampling;
    status = apply_options(options, out, error);
    if (!status) status = pio_sampling_check(&out->sampling, model->config.common.vocab_size, error);
    if (status) cli_speaker_close(out);
    return status;
}

void cli_speaker_close(cli_speaker *speaker) {
    pio_speaker_destroy(speaker->speaker);
    speaker->speaker = NULL;
}

/* ---- speaking ---- */

json_t *cli_chat_input(const cli_speaker *speaker, json_t *messages) {
    json_t *all = json_array();
    if (speaker->options->system)
        json_array_append_new(all, json_pack("{s:s, s:s}", "role", "system", "content", speaker->options->system));
    json_array_extend(all, messages);
    return json_pack("{s:o, s:b}", "messages", all, "add_generation_prompt", 1);
}

static bool print_text(void *user, const char *text, size_t bytes) {
    (void)user;
    return fwrite(text, 1, bytes, stdout) == bytes && !fflush(stdout);
}

static bool interrupted(void *user) {
    (void)user;
    return cli_interrupted();
}

static void print_stats(const pio_answer *answer) {
    const pio_request *r = &answer->request;
    double prompt_s = (double)r->prompt_ns / 1e9, decode_s = (double)r->decode_ns / 1e9;
    fprintf(stderr, "prompt: %d tokens (%d from the cache) in %.3f s; answer: %d tokens, %.1f tokens/s\n", r->n_prompt,
            r->n_reused, prompt_s, r->n_generated, decode_s > 0 ? r->n_generated / decode_s : 0.0);
}

pio_status cli_say(cli_speaker *speaker, json_t *input, pio_answer *answer, pio_error *error) {
    pio_token_ids ids = {0};
    *answer = (pio_answer){.sampling = speaker->sampling,
                           .max_tokens = speaker->options->max_tokens,
                           .stops = speaker->options->stops,
                           .n_stops = speaker->options->n_stops,
                           .on_text = print_text};
    pio_status status = pio_speaker_render(speaker->speaker, input, &ids, error);
    if (!status) status = pio_speaker_run(speaker->speaker, &ids, answer, 1, interrupted, NULL, error);
    free(ids.items);
    answer->request.prompt = NULL;
    if (!status && (putchar('\n') == EOF || fflush(stdout)))
        status = pio_fail(error, PIO_IO, "standard output cannot be written: %s", strerror(errno));
    if (!status && speaker->options->stats) print_stats(answer);
    if (status) pio_answer_free(answer);
    return status;
}
