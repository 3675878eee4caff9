/* Settings in JSON: config.json and its companions. A getter checks type and range and names file and key when they do
 * not fit: "'config.json': text_config.head_dim is -1, but must be 1 to 1024".
 *
 * Reading is as strict as RFC 8259 (UTF-8, no key twice, at most 2048 levels), but for what Python writes and other
 * checkpoints therefore contain: NaN, Infinity and -Infinity become strings of the same name, so that they do no harm
 * in keys that nobody reads and are refused by every getter of numbers; whole numbers of more than 18 digits
 * (model_max_length of 10^30) become doubles. null counts as absent. Threads: a loaded file may be read from several
 * threads at once. */
#ifndef PIO_IO_JSON_H
#define PIO_IO_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pio_json pio_json;

/* An object in a loaded file, passed by value; valid as long as the file. `json` NULL: absent, every key is missing. */
typedef struct pio_json_object {
    const json_t *json;
    const char *file;
    char prefix[96]; /* "text_config.", for errors */
} pio_json_object;

/* Loads a file of at most `limit_bytes` whose outermost value is an object. PIO_NOT_FOUND, PIO_LIMIT, PIO_CORRUPT (with
 * line and column), PIO_IO, PIO_OUT_OF_MEMORY. */
pio_status pio_json_load(const char *path, size_t limit_bytes, pio_json **out, pio_error *error);

/* The same from memory; `name` stands for the path. */
pio_status pio_json_parse(const char *name, const char *text, size_t n_bytes, pio_json **out, pio_error *error);

/* Accepts NULL. */
void pio_json_free(pio_json *json);

pio_json_object pio_json_root(const pio_json *json);

/* The key is there and not null. */
bool pio_json_has(const pio_json_object *in, const char *key);

/* A member object; absent is no error (out->json is NULL), another type is one. */
pio_status pio_json_get_object(const pio_json_object *in, const char *key, pio_json_object *out, pio_error *error);

/* Required values: PIO_CORRUPT when absent, of another type or outside min..max (both included). */
pio_status pio_json_get_int(const pio_json_object *in, const char *key, int64_t min, int64_t max, int64_t *out,
                            pio_error *error);
pio_status pio_json_get_double(const pio_json_object *in, const char *key, double min, double max, double *out,
                               pio_error *error); /* takes whole numbers too */
pio_status pio_json_get_bool(const pio_json_object *in, const char *key, bool *out, pio_error *error);
pio_status pio_json_get_string(const pio_json_object *in, const char *key, const char **out, pio_error *error);

/* The same, but `otherwise` when absent (it need not lie in the range). */
pio_status pio_json_get_int_or(const pio_json_object *in, const char *key, int64_t min, int64_t max, int64_t otherwise,
                               int64_t *out, pio_error *error);
pio_status pio_json_get_double_or(const pio_json_object *in, const char *key, double min, double max, double otherwise,
                                  double *out, pio_error *error);
pio_status pio_json_get_bool_or(const pio_json_object *in, const char *key, bool otherwise, bool *out,
                                pio_error *error);
pio_status pio_json_get_string_or(const pio_json_object *in, const char *key, const char *otherwise, const char **out,
                                  pio_error *error);

/* Lists into an array of the caller: *n items, 0 when absent; a single value counts as a list of one. More than
 * `capacity` is PIO_CORRUPT like any wrong item. */
pio_status pio_json_get_ints(const pio_json_object *in, const char *key, int64_t min, int64_t max, int64_t *out,
                             size_t capacity, size_t *n, pio_error *error);
pio_status pio_json_get_doubles(const pio_json_object *in, const char *key, double min, double max, double *out,
                                size_t capacity, size_t *n, pio_error *error);
pio_status pio_json_get_strings(const pio_json_object *in, const char *key, const char **out, size_t capacity,
                                size_t *n, pio_error *error);

#endif
