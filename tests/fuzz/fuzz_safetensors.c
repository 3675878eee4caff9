/* Any bytes as a safetensors file: refused with a sentence, or every tensor lies inside and is found by its name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void require(int ok) {
    if (!ok) abort();
}

/* The header's length is written here, so that the fuzzer need not learn it: the first byte chooses how many bytes at
 * the end are data. */
static void with_right_length(const uint8_t *data, size_t n_bytes) {
    if (n_bytes < 1 || data[0] > n_bytes - 1) return;
    uint64_t header_bytes = n_bytes - 1 - data[0];
    uint8_t *file = malloc(8 + n_bytes - 1);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)(header_bytes >> 8 * i);
    if (n_bytes > 1) memcpy(file + 8, data + 1, n_bytes - 1);
    pio_safetensors *st;
    pio_error error = {0};
    pio_status status = pio_safetensors_parse("file", file, 8 + n_bytes - 1, &st, &error);
    require((status == PIO_OK) == (st != NULL) && (status == PIO_OK || (error.status == status && error.text[0])));
    uint64_t total = 0;
    unsigned sum = 0;
    for (size_t i = 0; st && i < pio_safetensors_n_tensors(st); i++) {
        const pio_stored_tensor *tensor = pio_safetensors_tensor(st, i);
        require(pio_safetensors_find(st, tensor->name) == tensor);
        char shape[64];
        require(strlen(pio_stored_tensor_shape(tensor, shape, sizeof shape)) < sizeof shape);
        const uint8_t *bytes = tensor->data;
        for (uint64_t b = 0; b < tensor->bytes; b++) sum += bytes[b]; /* AddressSanitizer watches */
        total += tensor->bytes;
    }
    require(!st || total == data[0]);
    require(sum != 0xffffffffu);
    pio_safetensors_close(st);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    pio_safetensors *st;
    if (pio_safetensors_parse("file", data, n_bytes, &st, NULL) == PIO_OK) pio_safetensors_close(st);
    with_right_length(data, n_bytes);
    return 0;
}
