#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "text/tokenizer_parts.h"

static void free_decoder(pio_decoder *decoder) {
    for (int32_t i = 0; i < decoder->n_steps; i++) {
        pio_regex_free(decoder->steps[i].regex);
        pio_text_free(&decoder->steps[i].text);
    }
    free(decoder->steps);
}

void pio_tokenizer_close(pio_tokenizer *tokenizer) {
    if (!tokenizer) return;
    pio_normalizer_free(&tokenizer->normalizer);
    pio_splitter_free(&tokenizer->splitter);
    pio_bpe_free(&tokenizer->bpe);
    pio_added_tokens_free(&tokenizer->added);
    free_decoder(&tokenizer->decoder);
    free(tokenizer->added_of);
    free(tokenizer->views);
    pio_text_free(&tokenizer->output);
    free(tokenizer);
}

pio_status pio_tokenizer_parse(const char *name, const char *json, size_t n_bytes, pio_tokenizer **out,
                               pio_error *error) {
    *out = NULL;
    pio_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer) return pio_fail_memory(error, "a tokenizer", sizeof *tokenizer);
    tokenizer->bpe.unk_id = -1;
    pio_status status = pio_tokenizer_read(tokenizer, json, n_bytes, error);
    if (status) {
        pio_tokenizer_close(tokenizer);
        pio_fail_prefix(error, "'%s'", name);
        return status;
    }
    *out = tokenizer;
    return PIO_OK;
}

pio_status pio_tokenizer_open(const char *directory, pio_tokenizer **out, pio_error *error) {
    *out = NULL;
    size_t n = strlen(directory) + sizeof "/tokenizer.json";
    char *path = malloc(n);
    if (!path) return pio_fail_memory(error, "a path", n);
    snprintf(path, n, "%s/tokenizer.json", directory);
    pio_file *file = NULL;
    pio_status status = pio_file_open(path, &file, error);
    if (!status) status = pio_file_populate(file, 0, pio_file_bytes(file), error);
    if (!status) status = pio_tokenizer_parse(path, pio_file_data(file), (size_t)pio_file_bytes(file), out, error);
    pio_file_close(file);
    free(path);
    return status;
}

int32_t pio_tokenizer_token_id(const pio_tokenizer *tokenizer, const char *token) {
    size_t n = strlen(token);
    for (int32_t i = 0; i < tokenizer->added.n_tokens; i++) {
        const pio_added_token *added = &tokenizer->added.tokens[i];
        if (added->n_content == n && !memcmp(added->content, token, n)) return added->id;
    }
    return pio_bpe_find(&tokenizer->bpe, token, n);
}

bool pio_tokenizer_is_special(const pio_tokenizer *tokenizer, int32_t id) {
    if (id < 0 || id >= tokenizer->vocab_size || tokenizer->added_of[id] < 0) return false;
    return tokenizer->added.tokens[tokenizer->added_of[id]].special;
}

int32_t pio_tokenizer_vocab_size(const pio_tokenizer *tokenizer) {
    return tokenizer->vocab_size;
}
