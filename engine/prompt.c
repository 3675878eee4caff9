#include "engine/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "engine/vision.h"
#include "models/preprocess.h"

/* A video among the parts, whose one place in the rendered text becomes a place a pair of frames. */
typedef struct video {
    double *seconds; /* [n_pairs]: the middle of each pair */
    int32_t n_pairs;
} video;

typedef struct maker {
    const pio_speaker *speaker;
    const pio_model *model;
    pio_prompt *prompt;
    const json_t *input; /* its min_pixels, max_pixels and max_frames go before the checkpoint's */
    video *videos;
    int32_t n_videos, videos_capacity;
} maker;

/* ---- pictures of parts ---- */

/* The value of the first of the keys that the part has; {"url": ...} is its url. */
static const json_t *source_of(const json_t *part, const char *const keys[], size_t n_keys) {
    for (size_t i = 0; i < n_keys; i++) {
        const json_t *value = json_object_get(part, keys[i]);
        if (value) return json_is_object(value) ? json_object_get(value, "url") : value;
    }
    return NULL;
}

static bool begins_with(const char *text, const char *beginning) {
    return !strncmp(text, beginning, strlen(beginning));
}

/* Base64 of a picture begins like that of one of its formats; any other text is a path. */
static bool is_base64(const char *text) {
    static const char *const beginnings[] = {"data:", "iVBORw0KGgo", "/9j/", "UklGR"};
    for (size_t i = 0; i < PIO_COUNT(beginnings); i++)
        if (begins_with(text, beginnings[i])) return true;
    return false;
}

static pio_status read_image(const json_t *source, pio_image *out, pio_error *error) {
    const char *text = json_string_value(source);
    *out = (pio_image){0};
    if (!text)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "a picture has no source: give {\"type\": \"image\", \"image\": a path, data: URL or base64}");
    if (begins_with(text, "http://") || begins_with(text, "https://"))
        return pio_fail(error, PIO_UNSUPPORTED, "'%.200s' is on the network: give a file or a data: URL", text);
    if (is_base64(text)) return pio_image_decode_base64("the picture", text, strlen(text), out, error);
    return pio_image_read(begins_with(text, "file://") ? text + strlen("file://") : text, out, error);
}

static pio_status read_limit(const json_t *input, const char *name, int64_t *limit, pio_error *error) {
    const json_t *given = json_object_get(input, name);
    if (!given || json_is_null(given)) return PIO_OK;
    *limit = (int64_t)json_integer_value(given);
    return *limit > 0 ? PIO_OK : pio_fail(error, PIO_INVALID_ARGUMENT, "%s is not a whole number of at least 1", name);
}

static pio_status read_limits(const json_t *input, pio_preprocess *settings, pio_error *error) {
    pio_status status = read_limit(input, "min_pixels", &settings->least_pixels, error);
    if (!status) status = read_limit(input, "max_pixels", &settings->most_pixels, error);
    if (status || settings->least_pixels <= settings->most_pixels) return status;
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "a picture cannot have at least %lld and at most %lld pixels: change min_pixels or max_pixels",
                    (long long)settings->least_pixels, (long long)settings->most_pixels);
}

/* A place for the newest picture. */
static pio_status push_picture(const maker *m, pio_picture **out, pio_error *error) {
    *out = PIO_PUSH(m->prompt, pictures);
    return *out ? PIO_OK : pio_fail_memory(error, "the pictures", sizeof **out);
}

static pio_status add_image(maker *m, const json_t *source, pio_error *error) {
    pio_preprocess settings;
    pio_image image;
    pio_picture *picture;
    pio_status status = pio_preprocess_read(m->model->directory, &settings, error);
    if (!status) status = read_limits(m->input, &settings, error);
    if (!status) status = read_image(source, &image, error);
    if (status) return status;
    status = push_picture(m, &picture, error);
    if (!status) status = pio_preprocess_picture(&settings, &image, picture, error);
    pio_image_free(&image);
    return status;
}

/* Frames `first` and `second` of the list as a picture; the size of all follows from the first of them. */
static pio_status add_pair(maker *m, const pio_preprocess *settings, const json_t *frames, int32_t n_frames,
                           int32_t first, int32_t second, pio_error *error) {
    pio_image images[2] = {0};
    pio_picture *picture;
    int32_t width = 0, height = 0;
    pio_status status = read_image(json_array_get(frames, (size_t)first), &images[0], error);
    if (!status) status = read_image(json_array_get(frames, (size_t)second), &images[1], error);
    if (!status)
        status = pio_preprocess_size(settings, n_frames, images[0].width, images[0].height, &width, &height, error);
    if (!status) status = push_picture(m, &picture, error);
    if (!status) status = pio_preprocess_cut(settings, &images[0], &images[1], width, height, picture, error);
    pio_image_free(&images[0]);
    pio_image_free(&images[1]);
    return status;
}

static pio_status add_frames(maker *m, const json_t *frames, double fps, int32_t *indices, pio_error *error) {
    int64_t most = INT32_MAX;
    pio_status status = read_limit(m->input, "max_frames", &most, error);
    if (status) return status;
    const int32_t n =
        pio_preprocess_sample((int32_t)json_array_size(frames), fps, (int32_t)PIO_MIN(most, INT32_MAX), indices);
    const int32_t n_pairs = PIO_CEIL_DIV(n, 2);
    pio_preprocess settings;
    video *v = PIO_PUSH(m, videos);
    if (v) v->seconds = malloc(sizeof *v->seconds * (size_t)n_pairs);
    if (!v || !v->seconds) return pio_fail_memory(error, "the frames", sizeof *v->seconds * (size_t)n_pairs);
    status = pio_preprocess_read_video(m->model->directory, &settings, error);
    if (!status) status = read_limits(m->input, &settings, error);
    for (int32_t i = 0; i < n_pairs && !status; i++) {
        const int32_t first = indices[2 * i], second = indices[PIO_MIN(2 * i + 1, n - 1)];
        v->seconds[v->n_pairs++] = (first / fps + second / fps) / 2;
        status = add_pair(m, &settings, frames, n, first, second, error);
    }
    return status;
}

static pio_status add_video(maker *m, const json_t *part, const json_t *frames, pio_error *error) {
    const json_t *given = json_object_get(part, "fps");
    const double fps = given ? json_number_value(given) : 2; /* 0 where it is no number */
    const size_t n = json_array_size(frames);
    if (!json_is_array(frames) || !n || n > INT32_MAX)
        return pio_fail(
            error, PIO_UNSUPPORTED,
            "a video is not a list of frames: give {\"type\": \"video\", \"video\": [pictures], \"fps\": 2}");
    if (!(fps >= 1e-3 && fps <= 1e6))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the fps of a video is %s%g, but must be 0.001 to 1000000",
                        given && !json_is_number(given) ? "no number, read as " : "", fps);
    int32_t *indices = malloc(sizeof *indices * n);
    if (!indices) return pio_fail_memory(error, "the frames", sizeof *indices * n);
    pio_status status = add_frames(m, frames, fps, indices, error);
    free(indices);
    return status;
}

/* ---- messages ---- */

/* What a part of a message is: the key of its value. */
typedef enum part_kind { PART_IMAGE, PART_VIDEO, PART_TEXT, PART_UNKNOWN } part_kind;

static part_kind kind_of(const json_t *part, const json_t **value) {
    static const char *const keys[PART_UNKNOWN][3] = {{"image", "image_url", "input_image"}, {"video"}, {"text"}};
    static const char *const types[PART_UNKNOWN][3] = {
        {"image", "image_url", "input_image"}, {"video"}, {"text", "input_text"}};
    const char *type = json_string_value(json_object_get(part, "type"));
    for (int kind = 0; kind < PART_UNKNOWN; kind++) {
        size_t n = 0;
        while (n < 3 && keys[kind][n]) n++;
        *value = source_of(part, keys[kind], n);
        if (*value) return (part_kind)kind;
        for (size_t i = 0; i < 3 && types[kind][i] && type; i++)
            if (!strcmp(type, types[kind][i])) return (part_kind)kind;
    }
    return PART_UNKNOWN;
}

static pio_status add_part(maker *m, const json_t *part, size_t message, pio_error *error) {
    const json_t *value;
    const part_kind kind = kind_of(part, &value);
    if (kind == PART_UNKNOWN || (kind == PART_TEXT && !json_is_string(value)))
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "message %zu has a part that is no text, picture or video: give {\"type\": \"text\", \"text\": "
                        "...}, or \"image\" or \"video\" in place of \"text\"",
                        message + 1);
    if (kind == PART_TEXT) return PIO_OK;
    if (!m->model->config.common.eyes.merge)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s' is a model without eyes: leave the pictures out",
                        m->model->directory);
    return kind == PART_IMAGE ? add_image(m, value, error) : add_video(m, part, value, error);
}

/* For a model without eyes, whose template may know texts alone: the parts in lines below each other. */
static pio_status join_parts(json_t *message, pio_error *error) {
    const json_t *part, *parts = json_object_get(message, "content");
    pio_text text = {0};
    size_t i;
    bool ready = true;
    json_array_foreach(parts, i, part) {
        const json_t *piece = json_object_get(part, "text");
        ready &= (!i || pio_text_append(&text, "\n", 1)) &&
                 pio_text_append(&text, json_string_value(piece), json_string_length(piece));
    }
    ready =
        ready && !json_object_set_new(message, "content", json_stringn(text.n_bytes ? text.bytes : "", text.n_bytes));
    pio_text_free(&text);
    return ready ? PIO_OK : pio_fail_memory(error, "a message", text.n_bytes);
}

/* Content is a text or a list of parts; none, as beside tool calls, is an empty text. */
static pio_status read_message(maker *m, json_t *message, size_t index, pio_error *error) {
    const json_t *part, *content = json_object_get(message, "content");
    size_t i;
    pio_status status = PIO_OK;
    if (!json_is_object(message))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "message %zu is no object with \"role\" and \"content\"",
                        index + 1);
    if (!content || json_is_null(content))
        return json_object_set_new(message, "content", json_string("")) ? pio_fail_memory(error, "a message", 1)
                                                                        : PIO_OK;
    if (json_is_string(content)) return PIO_OK;
    if (!json_is_array(content))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the content of message %zu is neither a text nor a list of parts",
                        index + 1);
    json_array_foreach(content, i, part) {
        if (!status) status = add_part(m, part, index, error);
    }
    return status || m->model->config.common.eyes.merge ? status : join_parts(message, error);
}

static pio_status read_messages(maker *m, const json_t *input, pio_error *error) {
    json_t *message;
    size_t i;
    pio_status status = PIO_OK;
    json_array_foreach(json_object_get(input, "messages"), i, message) {
        if (!status) status = read_message(m, message, i, error);
    }
    return status;
}

/* ---- places ---- */

/* "<|vision_start|><|video_pad|><|vision_end|>", as the checkpoint calls them. */
static void video_place(const maker *m, char *out, size_t bytes) {
    const pio_model_eyes *eyes = &m->model->config.common.eyes;
    const int32_t ids[3] = {eyes->start_token, eyes->video_token, eyes->end_token};
    size_t used = 0;
    for (int i = 0; i < 3; i++) {
        size_t n;
        const char *name = pio_tokenizer_token_bytes(m->speaker->tokenizer, ids[i], &n);
        used += (size_t)snprintf(out + PIO_MIN(used, bytes - 1), bytes - PIO_MIN(used, bytes - 1), "%.*s", (int)n,
                                 name ? name : "");
    }
}

/* Puts "<0.3 seconds>" and a place for each pair of frames where a video's place is. */
static pio_status spread_videos(const maker *m, const pio_text *from, pio_text *to, pio_error *error) {
    char place[512], piece[640];
    const char *at = from->bytes, *end = from->bytes + from->n_bytes;
    bool ready = true;
    video_place(m, place, sizeof place);
    const size_t n = strlen(place);
    for (int32_t v = 0; v < m->n_videos; v++) {
        const char *found = n ? memmem(at, (size_t)(end - at), place, n) : NULL;
        if (!found)
            return pio_fail(error, PIO_INVALID_ARGUMENT,
                            "the chat template has no place for video %d: its model was not made for videos", v + 1);
        ready &= pio_text_append(to, at, (size_t)(found - at));
        for (int32_t i = 0; i < m->videos[v].n_pairs; i++) {
            const int bytes = snprintf(piece, sizeof piece, "<%.1f seconds>%s", m->videos[v].seconds[i], place);
            ready &= pio_text_append(to, piece, (size_t)bytes);
        }
        at = found + n;
    }
    ready &= pio_text_append(to, at, (size_t)(end - at));
    return ready ? PIO_OK : pio_fail_memory(error, "the prompt", from->n_bytes);
}

/* Each image token becomes as many as its picture has rows. */
static pio_status expand(const maker *m, const pio_token_ids *from, pio_error *error) {
    const pio_model_eyes *eyes = &m->model->config.common.eyes;
    pio_prompt *p = m->prompt;
    int32_t n_places = 0;
    for (int32_t i = 0; i < from->n_items; i++) {
        const bool place = eyes->merge && (from->items[i] == eyes->image_token || from->items[i] == eyes->video_token);
        const int32_t n = place && n_places < p->n_pictures ? pio_picture_tokens(&p->pictures[n_places]) : 1;
        n_places += place;
        if (!pio_array_reserve((void **)&p->ids.items, p->ids.n_items, n, &p->ids.items_capacity, sizeof(int32_t)))
            return pio_fail_memory(error, "the prompt", sizeof(int32_t) * (size_t)p->ids.n_items);
        for (int32_t k = 0; k < n; k++) p->ids.items[p->ids.n_items++] = from->items[i];
    }
    if (n_places == p->n_pictures) return PIO_OK;
    return pio_fail(
        error, PIO_INVALID_ARGUMENT,
        "the prompt has %d places for pictures and %d are given: leave image tokens out of the text, and give "
        "pictures as parts of a message",
        n_places, p->n_pictures);
}

static pio_status render(const maker *m, json_t *input, pio_token_ids *ids, pio_error *error) {
    pio_text text = {0}, spread = {0};
    const json_t *bare = json_object_get(input, "messages") ? NULL : json_object_get(input, "prompt");
    pio_status status = PIO_OK;
    if (!json_is_string(bare))
        status = pio_speaker_render_text(m->speaker, input, &text, error);
    else if (!pio_text_append(&text, json_string_value(bare), json_string_length(bare)))
        status = pio_fail_memory(error, "the prompt", json_string_length(bare));
    if (!status && m->n_videos) status = spread_videos(m, &text, &spread, error);
    const pio_text *whole = m->n_videos ? &spread : &text;
    if (!status) status = pio_tokenizer_encode(m->speaker->tokenizer, whole->bytes, whole->n_bytes, ids, error);
    pio_text_free(&text);
    pio_text_free(&spread);
    return status;
}

pio_status pio_prompt_make(const pio_speaker *speaker, json_t *input, pio_prompt *out, pio_error *error) {
    *out = (pio_prompt){0};
    maker m = {.speaker = speaker, .model = pio_engine_model(speaker->engine), .prompt = out, .input = input};
    pio_token_ids ids = {0};
    pio_status status = read_messages(&m, input, error);
    if (!status) status = render(&m, input, &ids, error);
    if (!status) status = expand(&m, &ids, error);
    if (!status) out->list = malloc(sizeof *out->list * ((size_t)out->n_pictures + 1));
    if (!status && !out->list) status = pio_fail_memory(error, "the pictures", sizeof *out->list);
    for (int32_t i = 0; i < out->n_pictures && !status; i++) out->list[i] = &out->pictures[i];
    for (int32_t i = 0; i < m.n_videos; i++) free(m.videos[i].seconds);
    free(m.videos);
    free(ids.items);
    if (status) pio_prompt_free(out);
    return status;
}

void pio_prompt_show(const pio_prompt *prompt, pio_answer *answer) {
    answer->pictures = prompt->list;
    answer->n_pictures = prompt->n_pictures;
}

void pio_prompt_free(pio_prompt *prompt) {
    for (int32_t i = 0; i < prompt->n_pictures; i++) pio_picture_free(&prompt->pictures[i]);
    free(prompt->pictures);
    free(prompt->list);
    free(prompt->ids.items);
    *prompt = (pio_prompt){0};
}
