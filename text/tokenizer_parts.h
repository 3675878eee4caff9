/* What a pio_tokenizer consists of; for the files text/tokenizer*.c. */
#ifndef PIO_TEXT_TOKENIZER_PARTS_H
#define PIO_TEXT_TOKENIZER_PARTS_H

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/splitter.h"
#include "text/tokenizer.h"

typedef enum pio_decoder_kind {
    PIO_DECODE_BYTES,         /* GPT-2's alphabet back to bytes, all tokens joined */
    PIO_DECODE_REPLACE,       /* `regex` by `text`, token by token */
    PIO_DECODE_BYTE_FALLBACK, /* runs of <0xHH> to the bytes */
    PIO_DECODE_FUSE,          /* all tokens joined */
    PIO_DECODE_STRIP,         /* up to `start` and `stop` times the character `text` from the ends of each token */
    PIO_DECODE_METASPACE,     /* the character `text` to a space, dropped from the first token if `drop_first` */
    PIO_DECODE_SUFFIX,        /* `text` to a space, in the last token to nothing */
} pio_decoder_kind;

typedef struct pio_decoder_step {
    pio_decoder_kind kind;
    pio_regex *regex;
    pio_text text;
    int32_t start, stop;
    bool drop_first;
} pio_decoder_step;

typedef struct pio_decoder {
    bool present; /* else tokens are joined with spaces */
    pio_decoder_step *steps;
    int32_t n_steps, steps_capacity;
} pio_decoder;

typedef struct pio_token_view {
    uint32_t at, n_bytes; /* in `output` */
} pio_token_view;

struct pio_tokenizer {
    pio_normalizer normalizer;
    pio_splitter splitter;
    pio_bpe bpe;
    pio_added_tokens added;
    pio_decoder decoder;
    int32_t vocab_size;
    int32_t *added_of;     /* [vocab_size]: index of an added token, -1: none */
    bool plain_views;      /* a vocabulary's token is its own bytes, only added tokens have views */
    pio_token_view *views; /* what pio_tokenizer_token_bytes gives: [vocab_size] or, plain, [added.n_tokens] */
    pio_text output;
};

/* text/tokenizer_file.c */
pio_status pio_tokenizer_read(pio_tokenizer *tokenizer, const char *json, size_t n_bytes, pio_error *error);

/* text/tokenizer_decode.c. Makes added_of, and the views where they are needed. */
pio_status pio_tokenizer_make_views(pio_tokenizer *tokenizer, pio_error *error);

#endif
