#include "text/chat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pio_chat_template {
    pio_template *plain;      /* NULL: there is one for conversations with tools alone */
    pio_template *with_tools; /* NULL: the first serves both */
    json_t *tokens;           /* an object: the special tokens */
    char *file;               /* that holds a list of templates */
};

enum { LARGEST_FILE_BYTES = 32 << 20 };

/* ---- files ---- */

/* Reads a file whole; PIO_NOT_FOUND where there is none. The layer of files is above this one. */
static pio_status read_file(const char *path, pio_text *out, pio_error *error) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return pio_fail(error, errno == ENOENT || errno == ENOTDIR ? PIO_NOT_FOUND : PIO_IO, "'%s' cannot be read: %s",
                        path, strerror(errno));
    pio_status status = PIO_OK;
    size_t n = 1;
    while (!status && n) {
        if (out->n_bytes > LARGEST_FILE_BYTES) {
            status = pio_fail(error, PIO_LIMIT, "'%s' has more than %d bytes", path, LARGEST_FILE_BYTES);
        } else if (!pio_text_reserve(out, 1 << 16)) {
            status = pio_fail_memory(error, path, 1 << 16);
        } else {
            n = fread(out->bytes + out->n_bytes, 1, 1 << 16, file);
            out->n_bytes += n;
        }
    }
    if (!status && ferror(file)) status = pio_fail(error, PIO_IO, "'%s' cannot be read: %s", path, strerror(errno));
    fclose(file);
    return status;
}

static bool make_path(char *path, size_t bytes, const char *directory, const char *name) {
    int n = snprintf(path, bytes, "%s/%s", directory, name);
    return n > 0 && (size_t)n < bytes;
}

/* A JSON object; NULL without an error where there is no such file. */
static pio_status read_object(const char *directory, const char *name, json_t **out, pio_error *error) {
    char path[4096];
    pio_text text = {0};
    *out = NULL;
    if (!make_path(path, sizeof path, directory, name))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the path '%.200s...' is too long", directory);
    pio_status status = read_file(path, &text, error);
    if (status == PIO_NOT_FOUND) return PIO_OK;
    if (!status) {
        json_error_t where;
        /* whole numbers beyond 64 bits, as of model_max_length, are of no interest here */
        *out = json_loadb(text.bytes, text.n_bytes, JSON_DECODE_INT_AS_REAL, &where);
        if (!*out && json_error_code(&where) == json_error_out_of_memory)
            status = pio_fail_memory(error, path, text.n_bytes);
        else if (!*out)
            status = pio_fail(error, PIO_CORRUPT, "'%s' is not JSON: line %d: %s", path, where.line, where.text);
        else if (!json_is_object(*out))
            status = pio_fail(error, PIO_CORRUPT, "'%s' does not hold a JSON object", path);
    }
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    pio_text_free(&text);
    return status;
}

/* ---- special tokens ---- */

/* Takes over the keys that end in "_token": texts, or objects with their text as "content". */
static pio_status add_tokens(json_t *tokens, json_t *from, pio_error *error) {
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value) {
        size_t n = strlen(key);
        if (n < 7 || strcmp(key + n - 6, "_token")) continue;
        json_t *text = json_is_object(value) ? json_object_get(value, "content") : value;
        if (!json_is_string(text) || json_object_get(tokens, key)) continue;
        if (json_object_set(tokens, key, text)) return pio_fail_memory(error, "special tokens", n);
    }
    return PIO_OK;
}

/* ---- templates ---- */

static pio_status compile(json_t *text, const char *name, pio_template **out, pio_error *error) {
    return pio_template_compile(json_string_value(text), json_string_length(text), name, out, error);
}

/* "chat_template" as a text or a list of {"name", "template"}. */
static pio_status compile_entry(pio_chat_template *chat, json_t *entry, const char *file, pio_error *error) {
    if (json_is_string(entry)) return compile(entry, file, &chat->plain, error);
    size_t i;
    json_t *item, *plain = NULL, *with_tools = NULL;
    json_array_foreach(entry, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        json_t *text = json_object_get(item, "template");
        if (!name || !json_is_string(text)) continue;
        if (!strcmp(name, "default")) plain = text;
        if (!strcmp(name, "tool_use")) with_tools = text;
    }
    if (!plain && !with_tools)
        return pio_fail(error, PIO_CORRUPT,
                        "'%s': chat_template is neither a text nor a list with a template named 'default'", file);
    if (!(chat->file = strdup(file))) return pio_fail_memory(error, "a chat template", strlen(file) + 1);
    pio_status status = plain ? compile(plain, file, &chat->plain, error) : PIO_OK;
    if (!status && with_tools) status = compile(with_tools, file, &chat->with_tools, error);
    return status;
}

static pio_status compile_file(pio_chat_template *chat, const char *path, pio_error *error) {
    pio_text text = {0};
    pio_status status = read_file(path, &text, error);
    if (!status && !text.n_bytes)
        status =
            pio_fail(error, PIO_CORRUPT,
                     "'%s' is empty: download it again, or remove it where tokenizer_config.json has a template", path);
    if (!status) status = pio_template_compile(text.bytes, text.n_bytes, path, &chat->plain, error);
    pio_text_free(&text);
    return status;
}

static pio_status open_directory(pio_chat_template *chat, const char *directory, json_t *config, pio_error *error) {
    char path[4096];
    if (!make_path(path, sizeof path, directory, "chat_template.jinja"))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the path '%.200s...' is too long", directory);
    pio_status status = compile_file(chat, path, error);
    if (status != PIO_NOT_FOUND) return status;
    json_t *own;
    status = read_object(directory, "chat_template.json", &own, error);
    json_t *entry = json_object_get(own, "chat_template");
    const char *file = entry ? "chat_template.json" : "tokenizer_config.json";
    if (!entry) entry = json_object_get(config, "chat_template");
    if (!status && entry && !json_is_null(entry)) {
        make_path(path, sizeof path, directory, file);
        status = compile_entry(chat, entry, path, error);
    } else if (!status) {
        status = pio_fail(error, PIO_NOT_FOUND,
                          "'%s' has no chat template: neither chat_template.jinja nor 'chat_template' in "
                          "chat_template.json or tokenizer_config.json",
                          directory);
    }
    json_decref(own);
    return status;
}

static pio_status new_chat(pio_chat_template **out, pio_error *error) {
    *out = calloc(1, sizeof **out);
    if (*out) (*out)->tokens = json_object();
    if (*out && (*out)->tokens) return PIO_OK;
    pio_chat_template_free(*out);
    *out = NULL;
    return pio_fail_memory(error, "a chat template", sizeof **out);
}

pio_status pio_chat_template_open(const char *checkpoint_dir, pio_chat_template **out, pio_error *error) {
    pio_chat_template *chat;
    json_t *config = NULL, *map = NULL;
    *out = NULL;
    pio_status status = new_chat(&chat, error);
    if (!status) status = read_object(checkpoint_dir, "tokenizer_config.json", &config, error);
    if (!status) status = read_object(checkpoint_dir, "special_tokens_map.json", &map, error);
    if (!status) status = open_directory(chat, checkpoint_dir, config, error);
    if (!status) status = add_tokens(chat->tokens, config, error);
    if (!status) status = add_tokens(chat->tokens, map, error);
    json_decref(config);
    json_decref(map);
    if (status)
        pio_chat_template_free(chat);
    else
        *out = chat;
    return status;
}

pio_status pio_chat_template_open_file(const char *path, pio_chat_template **out, pio_error *error) {
    pio_chat_template *chat;
    *out = NULL;
    pio_status status = new_chat(&chat, error);
    if (!status) status = compile_file(chat, path, error);
    if (status)
        pio_chat_template_free(chat);
    else
        *out = chat;
    return status;
}

static bool is_empty(json_t *tools) {
    return !tools || json_is_null(tools) || json_is_false(tools) || (json_is_array(tools) && !json_array_size(tools));
}

pio_status pio_chat_template_render(const pio_chat_template *chat, json_t *input, pio_text *out, pio_error *error) {
    if (!json_is_object(input))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "a conversation is a JSON object with 'messages'");
    const bool tools = chat->with_tools && !is_empty(json_object_get(input, "tools"));
    if (!tools && !chat->plain)
        return pio_fail(error, PIO_UNSUPPORTED,
                        "'%s' has a chat template for conversations with tools alone, 'tool_use': add one named "
                        "'default' to the list, or give tools",
                        chat->file);
    json_t *variables = json_copy(chat->tokens);
    if (!variables || json_object_update(variables, input)) {
        json_decref(variables);
        return pio_fail_memory(error, "the variables of a chat template", 0);
    }
    pio_status status = pio_template_render(tools ? chat->with_tools : chat->plain, variables, NULL, out, error);
    json_decref(variables);
    return status;
}

void pio_chat_template_free(pio_chat_template *chat) {
    if (!chat) return;
    pio_template_free(chat->plain);
    pio_template_free(chat->with_tools);
    json_decref(chat->tokens);
    free(chat->file);
    free(chat);
}
