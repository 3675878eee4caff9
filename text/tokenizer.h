/* A checkpoint's tokenizer, read from the tokenizer.json of its directory: text to token ids and back.
 *
 * Served are byte-pair encodings, byte-level ones (GPT-2, Llama 3, Qwen, GLM, DeepSeek, ...) and those over characters
 * with byte fallback; other models, and steps that no published byte-pair file uses, are refused by name. Ids equal
 * those of the reference implementation (tokenizers 0.23) with add_special_tokens off.
 *
 * Threads: an open tokenizer does not change; all functions but pio_tokenizer_close may run on it at once. Text in and
 * out is UTF-8 and not NUL-terminated. */
#ifndef PIO_TEXT_TOKENIZER_H
#define PIO_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/token_ids.h"
#include "text/utf8.h"

typedef struct pio_tokenizer pio_tokenizer;

/* Opens `directory`/tokenizer.json. PIO_NOT_FOUND, PIO_CORRUPT, PIO_UNSUPPORTED, PIO_LIMIT, PIO_IO, PIO_OUT_OF_MEMORY;
 * the sentence names the file, the value and the cure. */
pio_status pio_tokenizer_open(const char *directory, pio_tokenizer **out, pio_error *error);

/* The same from memory; `name` stands for the path in errors. */
pio_status pio_tokenizer_parse(const char *name, const char *json, size_t n_bytes, pio_tokenizer **out,
                               pio_error *error);

/* Accepts NULL. */
void pio_tokenizer_close(pio_tokenizer *tokenizer);

/* Appends the ids of a text to *ids. Added and special tokens in the text are recognised; no others are added.
 * PIO_INVALID_ARGUMENT: not UTF-8 (the byte is named); PIO_LIMIT: 1 GiB or more, or a pattern that tries too many ways
 * to match. On failure *ids is as before. */
pio_status pio_tokenizer_encode(const pio_tokenizer *tokenizer, const char *text, size_t n_bytes, pio_token_ids *ids,
                                pio_error *error);

/* Appends the text of ids to *text, special tokens included; bytes that form no character become U+FFFD, one for each
 * maximal part of a broken sequence. PIO_INVALID_ARGUMENT: an id outside the vocabulary (its place and range named). */
pio_status pio_tokenizer_decode(const pio_tokenizer *tokenizer, const int32_t *ids, size_t n_ids, pio_text *text,
                                pio_error *error);

/* The bytes that one token puts into the output, for streaming through a pio_utf8_gate; valid while the tokenizer is
 * open. Not a string: a token can be part of a character. Ids without a token have no bytes (NULL, 0). What a file's
 * decoder does at the beginning of a text (a space taken away) is not done here. */
const char *pio_tokenizer_token_bytes(const pio_tokenizer *tokenizer, int32_t id, size_t *n_bytes);

/* The id of a token by its text as tokenizer.json has it ("<|im_end|>"), or -1. */
int32_t pio_tokenizer_token_id(const pio_tokenizer *tokenizer, const char *token);

/* The id is that of an added token that is marked special; false for ids without a token. */
bool pio_tokenizer_is_special(const pio_tokenizer *tokenizer, int32_t id);

/* One more than the largest id; ids below it may lack a token. */
int32_t pio_tokenizer_vocab_size(const pio_tokenizer *tokenizer);

#endif
