/* Token ids as a person gives them: a list on the command line, or a JSON array in a file. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "apps/cli/cli.h"
#include "base/array.h"
#include "io/file.h"

enum { IDS_LIMIT_BYTES = 64 << 20 };

static pio_status add_id(pio_token_ids *ids, long long id, pio_error *error) {
    if (id < 0 || id > INT32_MAX)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "token id %lld at position %d is outside every vocabulary", id,
                        ids->n_items);
    int32_t *place = PIO_PUSH(ids, items);
    if (!place) return pio_fail_memory(error, "the token ids", sizeof *place * (size_t)ids->n_items);
    *place = (int32_t)id;
    return PIO_OK;
}

pio_status cli_parse_ids(const char *text, pio_token_ids *ids, pio_error *error) {
    pio_status status = PIO_OK;
    for (const char *at = text; *at && !status;) {
        char *end;
        errno = 0;
        long long id = strtoll(at, &end, 10);
        if (end == at || errno || (*end && *end != ','))
            return pio_fail(error, PIO_INVALID_ARGUMENT, "--ids takes whole numbers separated by commas, not '%.40s'",
                            at);
        status = add_id(ids, id, error);
        at = *end ? end + 1 : end;
        if (*end && !*at)
            return pio_fail(error, PIO_INVALID_ARGUMENT,
                            "--ids ends with a comma: give an id behind it or leave it out");
    }
    return status;
}

pio_status cli_read_ids(const char *path, pio_token_ids *ids, pio_error *error) {
    char *text;
    size_t bytes;
    pio_status status = pio_file_read_text(path, IDS_LIMIT_BYTES, &text, &bytes, error);
    if (status) return status;
    json_error_t where;
    json_t *array = json_loadb(text, bytes, 0, &where), *item;
    free(text);
    if (!json_is_array(array)) {
        json_decref(array);
        return pio_fail(error, PIO_CORRUPT, "'%s': not a JSON array of token ids%s%s", path, *where.text ? ": " : "",
                        where.text);
    }
    size_t i;
    json_array_foreach(array, i, item) {
        if (!status && !json_is_integer(item))
            status = pio_fail(error, PIO_CORRUPT, "'%s': entry %zu is not a whole number", path, i);
        if (!status) status = add_id(ids, json_integer_value(item), error);
    }
    json_decref(array);
    return status;
}
