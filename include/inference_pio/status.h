/* How functions report failure. Every function that can fail returns a pio_status; the sentence for a person is in a
 * pio_error that the caller owns. Nothing in the library exits, aborts or prints. */
#ifndef INFERENCE_PIO_STATUS_H
#define INFERENCE_PIO_STATUS_H

#include "inference_pio/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pio_status {
    PIO_OK = 0,
    PIO_INVALID_ARGUMENT, /* the caller's values are wrong */
    PIO_NOT_FOUND,        /* a file, tensor, device or name does not exist */
    PIO_CORRUPT,          /* a file's contents contradict its format */
    PIO_UNSUPPORTED,      /* well formed, but nothing here can serve it */
    PIO_OUT_OF_MEMORY,    /* host or device memory; the message says how much was asked for */
    PIO_IO,               /* the operating system refused a read or write */
    PIO_LIMIT,            /* a bound on length, depth, time or count was reached */
    PIO_CANCELLED,        /* the caller asked to stop */
    PIO_DEVICE_LOST,      /* final for the device: only destroy calls work afterwards */
    PIO_INTERNAL,         /* a bug in this project */
    PIO_STATUS_COUNT
} pio_status;

/* One sentence: what is wrong, with the file and the value, and the cure. */
typedef struct pio_error {
    pio_status status;
    char text[1024]; /* UTF-8, NUL-terminated */
} pio_error;

/* The status's name in lower case ("out of memory"); never NULL. */
PIO_API const char *pio_status_name(pio_status status);

#ifdef __cplusplus
}
#endif
#endif
