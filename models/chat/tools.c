#include "models/chat/tools.h"

#include <string.h>

static const json_t *function_of(const json_t *tool) {
    const json_t *function = json_object_get(tool, "function");
    return function ? function : tool;
}

static pio_status check_name(const char *source, size_t i, const json_t *function, pio_error *error) {
    const json_t *name = json_object_get(function, "name");
    const char *text = json_string_value(name);
    size_t n = json_string_length(name);
    if (!text || !n)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s: tool %zu has no name: give each tool a \"name\"", source, i);
    if (n > PIO_MAX_TOOL_NAME || strlen(text) != n || strpbrk(text, "<>\"\n"))
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "%s: the name of tool %zu, '%.60s', cannot be called: a name has at most %d bytes and none of "
                        "<, >, \", line breaks and NUL",
                        source, i, text, PIO_MAX_TOOL_NAME);
    return PIO_OK;
}

static pio_status check_tool(const char *source, const json_t *tools, size_t i, pio_error *error) {
    const json_t *tool = json_array_get(tools, i), *function = function_of(tool);
    if (!json_is_object(tool) || !json_is_object(function))
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "%s: tool %zu is not an object with a \"name\", or with such an object as \"function\"", source,
                        i);
    pio_status status = check_name(source, i, function, error);
    if (status) return status;
    const char *name = json_string_value(json_object_get(function, "name"));
    const json_t *type = json_object_get(tool, "type"), *parameters = json_object_get(function, "parameters");
    const json_t *properties = json_object_get(parameters, "properties");
    if (json_object_get(tool, "function") && type &&
        (!json_is_string(type) || strcmp(json_string_value(type), "function")))
        return pio_fail(error, PIO_UNSUPPORTED, "%s: the type of tool '%s' is not \"function\", the only one there is",
                        source, name);
    if ((parameters && !json_is_object(parameters) && !json_is_null(parameters)) ||
        (properties && !json_is_object(properties)))
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "%s: the parameters of tool '%s' are no JSON schema: an object, its \"properties\" an object "
                        "too",
                        source, name);
    for (size_t k = 0; k < i; k++) {
        const char *other = json_string_value(json_object_get(function_of(json_array_get(tools, k)), "name"));
        if (!strcmp(other, name))
            return pio_fail(error, PIO_INVALID_ARGUMENT, "%s: tools %zu and %zu have the same name, '%s'", source, k, i,
                            name);
    }
    return PIO_OK;
}

pio_status pio_tools_check(const char *source, const json_t *tools, pio_error *error) {
    if (!json_is_array(tools))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s: tools are a JSON array of objects, each with a \"name\"",
                        source);
    pio_status status = PIO_OK;
    for (size_t i = 0; i < json_array_size(tools) && !status; i++) status = check_tool(source, tools, i, error);
    return status;
}

pio_status pio_tools_parse(const char *source, const char *text, size_t n_bytes, json_t **out, pio_error *error) {
    json_error_t where;
    *out = NULL;
    json_t *tools = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &where);
    if (!tools && json_error_code(&where) == json_error_out_of_memory) return pio_fail_memory(error, source, n_bytes);
    if (!tools)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "%s is not JSON, line %d column %d: %s", source, where.line,
                        where.column, where.text);
    pio_status status = pio_tools_check(source, tools, error);
    if (status)
        json_decref(tools);
    else
        *out = tools;
    return status;
}

const json_t *pio_tools_find(const json_t *tools, const char *name, size_t n_bytes) {
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = function_of(json_array_get(tools, i)), *own = json_object_get(function, "name");
        if (json_string_length(own) == n_bytes && !memcmp(json_string_value(own), name, n_bytes)) return function;
    }
    return NULL;
}

size_t pio_tools_longest(const json_t *tools, const char *text, size_t n_bytes) {
    size_t longest = 0;
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *own = json_object_get(function_of(json_array_get(tools, i)), "name");
        size_t n = json_string_length(own);
        if (n > longest && n <= n_bytes && !memcmp(json_string_value(own), text, n)) longest = n;
    }
    return longest;
}
