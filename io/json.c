#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

struct pio_json {
    json_t *root;
    char *name;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* What stands at `at` outside of strings and jansson would refuse: its length, and what replaces it. */
static size_t python_token(const char *at, const char *end, const char **replacement) {
    static const char *const words[][2] = {
        {"-Infinity", "\"-Infinity\""}, {"Infinity", "\"Infinity\""}, {"NaN", "\"NaN\""}};
    for (size_t i = 0; i < PIO_COUNT(words); i++) {
        size_t n = strlen(words[i][0]);
        if ((size_t)(end - at) >= n && memcmp(at, words[i][0], n) == 0) {
            *replacement = words[i][1];
            return n;
        }
    }
    return 0;
}

/* Copies JSON text, with Python's words as strings and ".0" behind whole numbers of more than 18 digits. A token grows
 * by 2 bytes and has at least 3 (or 19 digits), so twice the size is enough; the result is freed by the caller. */
static char *normalise(const char *text, size_t n_bytes, size_t *n_out) {
    if (n_bytes > SIZE_MAX / 2 - 8) return NULL;
    char *copy = malloc(n_bytes * 2 + 8), *to = copy;
    if (!copy) return NULL;
    const char *at = text, *end = text + n_bytes;
    if (n_bytes >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; /* editors' byte order mark */
    bool in_string = false;
    while (at < end) {
        const char *replacement, *start = at;
        size_t n;
        if (in_string) {
            if (*at == '"') in_string = false;
            if (*at == '\\' && end - at > 1) *to++ = *at++;
            *to++ = *at++;
        } else if (*at == '"') {
            in_string = true;
            *to++ = *at++;
        } else if (is_digit(*at)) {
            while (at < end && is_digit(*at)) at++;
            size_t n_digits = (size_t)(at - start);
            bool whole = at == end || (*at != '.' && *at != 'e' && *at != 'E');
            /* not the digits of a fraction or exponent */
            bool begins =
                start == text || (start[-1] != '.' && start[-1] != '+' && start[-1] != 'e' && start[-1] != 'E' &&
                                  !(start[-1] == '-' && start - text > 1 && (start[-2] == 'e' || start[-2] == 'E')));
            memcpy(to, start, n_digits);
            to += n_digits;
            if (whole && begins && n_digits > 18) {
                memcpy(to, ".0", 2);
                to += 2;
            }
        } else if ((n = python_token(at, end, &replacement)) > 0) {
            memcpy(to, replacement, n + 2);
            to += n + 2;
            at += n;
        } else {
            *to++ = *at++;
        }
    }
    *n_out = (size_t)(to - copy);
    return copy;
}

pio_status pio_json_parse(const char *name, const char *text, size_t n_bytes, pio_json **out, pio_error *error) {
    *out = NULL;
    pio_status status;
    size_t n;
    char *copy = normalise(text, n_bytes, &n);
    pio_json *json = calloc(1, sizeof *json);
    if (!copy || !json || !(json->name = strdup(name))) {
        status = pio_fail_memory(error, name, 2 * n_bytes);
        goto fail;
    }
    json_error_t reason;
    json->root = json_loadb(copy, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &reason);
    if (!json->root) {
        if (json_error_code(&reason) == json_error_out_of_memory || reason.line < 0) /* its other sign of it */
            status = pio_fail_memory(error, name, 2 * n_bytes);
        else
            status = pio_fail(error, PIO_CORRUPT,
                              "'%.400s' is not valid JSON (line %d, column %d: %.160s): correct or restore it", name,
                              reason.line, reason.column, reason.text);
        goto fail;
    }
    if (!json_is_object(json->root)) {
        status =
            pio_fail(error, PIO_CORRUPT, "'%.400s' does not hold a JSON object, {...}: correct or restore it", name);
        goto fail;
    }
    free(copy);
    *out = json;
    return PIO_OK;
fail:
    free(copy);
    pio_json_free(json);
    return status;
}

pio_status pio_json_load(const char *path, size_t limit_bytes, pio_json **out, pio_error *error) {
    *out = NULL;
    char *text;
    size_t n_bytes;
    pio_status status = pio_file_read_text(path, limit_bytes, &text, &n_bytes, error);
    if (status != PIO_OK) return status;
    status = pio_json_parse(path, text, n_bytes, out, error);
    free(text);
    return status;
}

void pio_json_free(pio_json *json) {
    if (!json) return;
    json_decref(json->root);
    free(json->name);
    free(json);
}

pio_json_object pio_json_root(const pio_json *json) {
    return (pio_json_object){.json = json->root, .file = json->name};
}

/* The member, or NULL when it is absent or null. */
static const json_t *member(const pio_json_object *in, const char *key) {
    const json_t *value = in->json ? json_object_get(in->json, key) : NULL;
    return value && !json_is_null(value) ? value : NULL;
}

bool pio_json_has(const pio_json_object *in, const char *key) {
    return member(in, key) != NULL;
}

static pio_status fail_absent(const pio_json_object *in, const char *key, pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "'%.400s': %s%s is missing: download the file again", in->file, in->prefix,
                    key);
}

/* "is <value>, but must be <wanted>". */
static pio_status fail_value(const pio_json_object *in, const char *key, const json_t *value, const char *wanted,
                             pio_error *error) {
    char shown[80];
    if (json_is_string(value)) {
        snprintf(shown, sizeof shown, "\"%.60s\"", json_string_value(value));
        for (char *c = shown; *c; c++) {
            if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e) *c = '?';
        }
    } else if (json_is_integer(value)) {
        snprintf(shown, sizeof shown, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        snprintf(shown, sizeof shown, "%.17g", json_real_value(value));
    } else {
        snprintf(shown, sizeof shown, "%s",
                 json_is_object(value)  ? "an object"
                 : json_is_array(value) ? "a list"
                 : json_is_true(value)  ? "true"
                 : json_is_false(value) ? "false"
                                        : "null");
    }
    return pio_fail(error, PIO_CORRUPT, "'%.400s': %s%s is %s, but must be %s", in->file, in->prefix, key, shown,
                    wanted);
}

pio_status pio_json_get_object(const pio_json_object *in, const char *key, pio_json_object *out, pio_error *error) {
    *out = (pio_json_object){.file = in->file};
    int n = snprintf(out->prefix, sizeof out->prefix, "%s%s.", in->prefix, key);
    if ((size_t)n >= sizeof out->prefix) memcpy(out->prefix + sizeof out->prefix - 5, "....", 5); /* cut, visibly */
    const json_t *value = member(in, key);
    if (value && !json_is_object(value)) return fail_value(in, key, value, "an object", error);
    out->json = value;
    return PIO_OK;
}

static pio_status take_int(const pio_json_object *in, const char *key, const json_t *value, int64_t min, int64_t max,
                           int64_t *out, pio_error *error) {
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "a whole number from %" PRId64 " to %" PRId64, min, max);
        return fail_value(in, key, value, wanted, error);
    }
    *out = json_integer_value(value);
    return PIO_OK;
}

static pio_status take_double(const pio_json_object *in, const char *key, const json_t *value, double min, double max,
                              double *out, pio_error *error) {
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    if (!(number >= min && number <= max)) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "a number from %g to %g", min, max);
        return fail_value(in, key, value, wanted, error);
    }
    *out = number;
    return PIO_OK;
}

static pio_status take_string(const pio_json_object *in, const char *key, const json_t *value, const char **out,
                              pio_error *error) {
    if (!json_is_string(value)) return fail_value(in, key, value, "a string", error);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return fail_value(in, key, value, "a string without NUL", error);
    *out = json_string_value(value);
    return PIO_OK;
}

static pio_status take_bool(const pio_json_object *in, const char *key, const json_t *value, bool *out,
                            pio_error *error) {
    if (!json_is_boolean(value)) return fail_value(in, key, value, "true or false", error);
    *out = json_is_true(value);
    return PIO_OK;
}

pio_status pio_json_get_int(const pio_json_object *in, const char *key, int64_t min, int64_t max, int64_t *out,
                            pio_error *error) {
    const json_t *value = member(in, key);
    return value ? take_int(in, key, value, min, max, out, error) : fail_absent(in, key, error);
}

pio_status pio_json_get_int_or(const pio_json_object *in, const char *key, int64_t min, int64_t max, int64_t otherwise,
                               int64_t *out, pio_error *error) {
    *out = otherwise;
    const json_t *value = member(in, key);
    return value ? take_int(in, key, value, min, max, out, error) : PIO_OK;
}

pio_status pio_json_get_double(const pio_json_object *in, const char *key, double min, double max, double *out,
                               pio_error *error) {
    const json_t *value = member(in, key);
    return value ? take_double(in, key, value, min, max, out, error) : fail_absent(in, key, error);
}

pio_status pio_json_get_double_or(const pio_json_object *in, const char *key, double min, double max, double otherwise,
                                  double *out, pio_error *error) {
    *out = otherwise;
    const json_t *value = member(in, key);
    return value ? take_double(in, key, value, min, max, out, error) : PIO_OK;
}

pio_status pio_json_get_bool(const pio_json_object *in, const char *key, bool *out, pio_error *error) {
    const json_t *value = member(in, key);
    return value ? take_bool(in, key, value, out, error) : fail_absent(in, key, error);
}

pio_status pio_json_get_bool_or(const pio_json_object *in, const char *key, bool otherwise, bool *out,
                                pio_error *error) {
    *out = otherwise;
    const json_t *value = member(in, key);
    return value ? take_bool(in, key, value, out, error) : PIO_OK;
}

pio_status pio_json_get_string(const pio_json_object *in, const char *key, const char **out, pio_error *error) {
    const json_t *value = member(in, key);
    return value ? take_string(in, key, value, out, error) : fail_absent(in, key, error);
}

pio_status pio_json_get_string_or(const pio_json_object *in, const char *key, const char *otherwise, const char **out,
                                  pio_error *error) {
    *out = otherwise;
    const json_t *value = member(in, key);
    return value ? take_string(in, key, value, out, error) : PIO_OK;
}

/* Counts the items of a list or single value and refuses more than the capacity. */
static pio_status list_length(const pio_json_object *in, const char *key, size_t capacity, const json_t **value,
                              size_t *n, pio_error *error) {
    *value = member(in, key);
    *n = !*value ? 0 : json_is_array(*value) ? json_array_size(*value) : 1;
    if (*n <= capacity) return PIO_OK;
    pio_status status = pio_fail(error, PIO_CORRUPT, "'%.400s': %s%s has %zu items, but at most %zu are supported",
                                 in->file, in->prefix, key, *n, capacity);
    *n = 0;
    return status;
}

static const json_t *list_item(const json_t *value, size_t index) {
    return json_is_array(value) ? json_array_get(value, index) : value;
}

pio_status pio_json_get_ints(const pio_json_object *in, const char *key, int64_t min, int64_t max, int64_t *out,
                             size_t capacity, size_t *n, pio_error *error) {
    const json_t *value;
    pio_status status = list_length(in, key, capacity, &value, n, error);
    for (size_t i = 0; i < *n && status == PIO_OK; i++)
        status = take_int(in, key, list_item(value, i), min, max, &out[i], error);
    return status;
}

pio_status pio_json_get_doubles(const pio_json_object *in, const char *key, double min, double max, double *out,
                                size_t capacity, size_t *n, pio_error *error) {
    const json_t *value;
    pio_status status = list_length(in, key, capacity, &value, n, error);
    for (size_t i = 0; i < *n && status == PIO_OK; i++)
        status = take_double(in, key, list_item(value, i), min, max, &out[i], error);
    return status;
}

pio_status pio_json_get_strings(const pio_json_object *in, const char *key, const char **out, size_t capacity,
                                size_t *n, pio_error *error) {
    const json_t *value;
    pio_status status = list_length(in, key, capacity, &value, n, error);
    for (size_t i = 0; i < *n && status == PIO_OK; i++)
        status = take_string(in, key, list_item(value, i), &out[i], error);
    return status;
}
