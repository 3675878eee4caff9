/* A conversation as a model takes it: token ids, and the pictures for which some of them stand. */
#ifndef PIO_ENGINE_PROMPT_H
#define PIO_ENGINE_PROMPT_H

#include <jansson.h>

#include "engine/answer.h"
#include "models/picture.h"

typedef struct pio_prompt {
    pio_token_ids ids;
    pio_picture *pictures; /* in the order of their tokens */
    int32_t n_pictures, pictures_capacity;
    const pio_picture **list; /* [n_pictures]: the same, as an answer takes them */
} pio_prompt;

/* The prompt of a chat: {"messages": [...], ...} through the template, or {"prompt": text} as it stands; then the
 * tokenizer, each place of a picture expanded to its tokens.
 *
 * A message's content is a text, nothing, or a list of parts, which a model without eyes gets as a text, a line each
 * (`input` is changed so). A part has "text", or is a picture or a video. One with "image" or "image_url" is a picture:
 * a file's path, a file:// URL, a data: URL or base64 text, alone or as {"url": ...}. One with "video" is a list of
 * such, its frames, taken at "fps" a second (2 where it does not say).
 *
 * "min_pixels", "max_pixels" (of a picture, or of all frames of a video) and "max_frames" in the input go before the
 * limits of the checkpoint.
 *
 * Refused in one sentence: what cannot be read as a picture, more or fewer places than pictures, and pictures for a
 * model without eyes. */
pio_status pio_prompt_make(const pio_speaker *speaker, json_t *input, pio_prompt *out, pio_error *error);

/* The answer is to be to this prompt's pictures, which it borrows. */
void pio_prompt_show(const pio_prompt *prompt, pio_answer *answer);

void pio_prompt_free(pio_prompt *prompt);

#endif
