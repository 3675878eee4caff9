#include "tests/support/tokenizer_style.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "tests/support/test.h"

char *tokenizer_style_data(const char *name, size_t *n_bytes) {
    char path[512], *text;
    pio_error error = {0};
    snprintf(path, sizeof path, "%s/tokenizer/%s", PIO_TEST_DATA, name);
    if (pio_file_read_text(path, 64 << 20, &text, n_bytes, &error)) fail_msg("%s", error.text);
    return text;
}

char *tokenizer_style_json(const char *style, const char *tables, size_t *n_bytes) {
    char name[128];
    size_t n_head, n_tables;
    snprintf(name, sizeof name, "%s.head", style);
    char *head = tokenizer_style_data(name, &n_head);
    snprintf(name, sizeof name, "%s.tables", tables);
    char *rest = tokenizer_style_data(name, &n_tables);
    head = realloc(head, n_head + n_tables + 1);
    assert_non_null(head);
    memcpy(head + n_head, rest, n_tables + 1);
    free(rest);
    *n_bytes = n_head + n_tables;
    return head;
}

pio_tokenizer *tokenizer_style_open(const char *style, const char *tables) {
    size_t n;
    char *json = tokenizer_style_json(style, tables, &n);
    pio_error error = {0};
    pio_tokenizer *tokenizer;
    if (pio_tokenizer_parse(style, json, n, &tokenizer, &error)) fail_msg("%s", error.text);
    free(json);
    return tokenizer;
}
