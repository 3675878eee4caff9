/* What a tool's JSON schema says of an argument's type. */
#ifndef PIO_MODELS_CHAT_SCHEMA_H
#define PIO_MODELS_CHAT_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    PIO_TYPE_NULL = 1 << 0,
    PIO_TYPE_INTEGER = 1 << 1,
    PIO_TYPE_NUMBER = 1 << 2,
    PIO_TYPE_BOOLEAN = 1 << 3,
    PIO_TYPE_OBJECT = 1 << 4,
    PIO_TYPE_ARRAY = 1 << 5,
    PIO_TYPE_STRING = 1 << 6,
};

/* The types that `parameters` (a schema of an object; may be NULL) allows for the property `key`, as a set of bits; 0:
 * it does not say. Looked at are type, enum, const, anyOf, oneOf, allOf, nullable, additionalProperties, and $ref
 * within the schema. */
uint32_t pio_schema_types(const json_t *parameters, const char *key);

/* Whether it names the property; *names_any: whether it names properties at all. */
bool pio_schema_has(const json_t *parameters, const char *key, bool *names_any);

#endif
