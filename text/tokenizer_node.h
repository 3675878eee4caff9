/* The small objects of tokenizer.json (normalizer, pre_tokenizer, decoder and their parts) as they stand there, before
 * they become steps. Keys may come in any order, so an object is read whole first. */
#ifndef PIO_TEXT_TOKENIZER_NODE_H
#define PIO_TEXT_TOKENIZER_NODE_H

#include "io/json_scan.h"
#include "text/tokenizer_parts.h"

typedef struct pio_node_string {
    const char *text; /* NULL: absent or null; in the reader's pool */
    size_t n_bytes;
} pio_node_string;

typedef enum pio_node_flag { PIO_NODE_ABSENT, PIO_NODE_FALSE, PIO_NODE_TRUE } pio_node_flag;

typedef struct pio_node {
    pio_node_string type, string_pattern, regex_pattern, content, behavior, replacement, prepend_scheme, prepend,
        suffix, delimiter;
    pio_node_flag invert, individual_digits, add_prefix_space, use_regex, split, strip_left, strip_right;
    uint64_t length, start, stop;
    bool has_length;
    struct pio_node *children; /* of a Sequence */
    int32_t n_children, children_capacity;
} pio_node;

/* Reads an object at the cursor; strings go to the pool. PIO_CORRUPT with the cursor's reason or a value's name. */
pio_status pio_node_read(pio_json_cursor *cursor, char **pool, pio_node *node, int depth, pio_error *error);
void pio_node_free(pio_node *node);

/* Appends the steps that a node stands for. */
pio_status pio_node_to_normalizer(const pio_node *node, pio_normalizer *normalizer, pio_error *error);
pio_status pio_node_to_splitter(const pio_node *node, pio_splitter *splitter, pio_error *error);
pio_status pio_node_to_decoder(const pio_node *node, pio_decoder *decoder, pio_error *error);

/* PIO_CORRUPT: "not valid JSON at byte N: reason; ..." */
pio_status pio_node_fail_json(const pio_json_cursor *cursor, pio_error *error);

/* A string, or null (*out empty); `key` is for errors. */
bool pio_node_read_string(pio_json_cursor *cursor, char **pool, const char *key, pio_node_string *out,
                          pio_status *status, pio_error *error);

/* true, false or null. */
bool pio_node_read_flag(pio_json_cursor *cursor, const char *key, pio_node_flag *out, pio_status *status,
                        pio_error *error);

#endif
