/* Any bytes as config.json: refused with a sentence, or every getter answers every key with a value in its range or a
 * sentence. */
#include <stdint.h>
#include <stdlib.h>

#include "io/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void require(int ok) {
    if (!ok) abort();
}

static void ask_everything(const pio_json_object *in, const char *key, pio_error *error) {
    int64_t whole, wholes[4];
    double real, reals[4];
    bool truth;
    const char *text, *texts[4];
    size_t n;
    if (pio_json_get_int(in, key, -1000, 1000000, &whole, error) == PIO_OK) require(whole >= -1000 && whole <= 1000000);
    if (pio_json_get_double(in, key, -0.5, 1e9, &real, error) == PIO_OK) require(real >= -0.5 && real <= 1e9);
    if (pio_json_get_int_or(in, key, 0, 9, 77, &whole, error) == PIO_OK)
        require((whole >= 0 && whole <= 9) || whole == 77);
    if (pio_json_get_ints(in, key, 0, 9, wholes, 4, &n, error) == PIO_OK) {
        require(n <= 4);
        for (size_t i = 0; i < n; i++) require(wholes[i] >= 0 && wholes[i] <= 9);
    }
    if (pio_json_get_doubles(in, key, 0, 1, reals, 4, &n, error) == PIO_OK) require(n <= 4);
    if (pio_json_get_strings(in, key, texts, 4, &n, error) == PIO_OK) require(n <= 4);
    bool is_text = pio_json_get_string(in, key, &text, error) == PIO_OK;
    bool is_truth = pio_json_get_bool(in, key, &truth, error) == PIO_OK;
    require(!(is_text && is_truth));
    require(pio_json_has(in, key) || (!is_text && !is_truth));
}

static void walk(pio_json_object in, int depth, pio_error *error) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)in.json, key, value) {
        ask_everything(&in, key, error);
        pio_json_object inner;
        if (depth < 10 && pio_json_get_object(&in, key, &inner, error) == PIO_OK && inner.json)
            walk(inner, depth + 1, error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    pio_json *json;
    pio_error error = {0};
    pio_status status = pio_json_parse("config.json", (const char *)data, n_bytes, &json, &error);
    require((status == PIO_OK) == (json != NULL) && (status == PIO_OK || (error.status == status && error.text[0])));
    if (json) walk(pio_json_root(json), 0, &error);
    pio_json_free(json);
    return 0;
}
