/* Keys of a config, as tables of rows: whole numbers, and settings that are supported with one value alone. */
#ifndef PIO_MODELS_BLOCKS_NUMBERS_H
#define PIO_MODELS_BLOCKS_NUMBERS_H

#include "io/json.h"

/* One whole number of an object: key, range, and the value where the key is absent (PIO_REQUIRED: it must be there). */
typedef struct pio_number {
    const char *key;
    int64_t least, most, otherwise;
    int32_t *out;
} pio_number;

enum { PIO_REQUIRED = INT32_MIN };

/* Bounds that keep products of two within 64 bits, far above any published model. */
enum {
    PIO_MAX_WIDTH = 1 << 20,
    PIO_MAX_HEADS = 1024,
    PIO_MAX_HEAD_DIM = 1024,
    PIO_MAX_LAYERS = 512,
    PIO_MAX_EXPERTS = 4096,
    PIO_MAX_VOCAB = 1 << 24,
};

pio_status pio_numbers_read(const pio_json_object *in, const pio_number *numbers, size_t n, pio_error *error);

/* The one value of a key that is supported, which an absent key has too: `text`, or `flag` where that is NULL. */
typedef struct pio_setting {
    const char *key, *text;
    bool flag;
} pio_setting;

/* Refuses any other, by name. */
pio_status pio_settings_check(const pio_json_object *in, const pio_setting *settings, size_t n, pio_error *error);

#endif
