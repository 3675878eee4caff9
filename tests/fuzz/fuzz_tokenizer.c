/* Tokenizer files and texts: the input is a tokenizer.json, a line feed with a NUL behind it, and a text. Whatever it
 * is, it is refused or works; ids decode, and streaming them gives the same text. */
#include <stdlib.h>
#include <string.h>

#include "text/token_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void stream(const pio_tokenizer *tokenizer, const pio_token_ids *ids) {
    pio_utf8_gate gate = {0};
    pio_text out = {0};
    for (int32_t i = 0; i < ids->n_items; i++) {
        size_t n;
        const char *bytes = pio_tokenizer_token_bytes(tokenizer, ids->items[i], &n);
        if (pio_utf8_gate_push(&gate, bytes, n, &out, NULL)) abort();
    }
    if (pio_utf8_gate_finish(&gate, &out, NULL)) abort();
    if (pio_utf8_valid_prefix(out.bytes ? out.bytes : "", out.n_bytes) != out.n_bytes) abort();
    pio_text_free(&out);
}

static void use(const pio_tokenizer *tokenizer, const char *text, size_t n_bytes) {
    pio_token_ids ids = {0};
    pio_text back = {0}, line = {0};
    pio_error error = {0};
    if (!pio_tokenizer_encode(tokenizer, text, n_bytes, &ids, &error)) {
        if (pio_tokenizer_decode(tokenizer, ids.items, (size_t)ids.n_items, &back, &error) && error.status != PIO_LIMIT)
            abort(); /* what encoding made must decode */
        if (pio_utf8_valid_prefix(back.bytes ? back.bytes : "", back.n_bytes) != back.n_bytes) abort();
        stream(tokenizer, &ids);
    }
    pio_token_line_encode(tokenizer, text, n_bytes, &line, &error);
    pio_token_line_decode(tokenizer, text, n_bytes, &line, &error);
    for (int32_t id = -1; id <= pio_tokenizer_vocab_size(tokenizer) && id < 300; id++) {
        size_t n;
        pio_tokenizer_token_bytes(tokenizer, id, &n);
        pio_tokenizer_is_special(tokenizer, id);
    }
    free(ids.items);
    pio_text_free(&back);
    pio_text_free(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const char *json = (const char *)data, *text = memmem(data, n_bytes, "\n", 2);
    size_t n_json = text ? (size_t)(text - json) : n_bytes;
    pio_tokenizer *tokenizer;
    pio_error error = {0};
    if (pio_tokenizer_parse("fuzz", json, n_json, &tokenizer, &error)) {
        if (tokenizer || !error.text[0]) abort();
        return 0;
    }
    size_t n_text = text ? n_bytes - n_json - 2 : 0;
    char *copy = malloc(n_text + 1); /* so that reading behind the text is seen */
    if (!copy) abort();
    if (n_text) memcpy(copy, text + 2, n_text);
    copy[n_text] = 0;
    use(tokenizer, copy, n_text);
    free(copy);
    pio_tokenizer_close(tokenizer);
    return 0;
}
