/* The way into memory that the host cannot write: workers fill pieces of host memory that the device can read, and
 * copies on the transfer queue take them to their place while the next pieces are filled.
 *
 * Each worker has a few pieces of its own and uses them in turn. Workers are numbered from 0; different ones may call
 * at once, as long as nobody else uses the device: what HAL objects want of their one thread, a lock gives. */
#ifndef PIO_ENGINE_UPLOAD_H
#define PIO_ENGINE_UPLOAD_H

#include "hal/hal.h"

typedef struct pio_upload pio_upload;

/* A range of a piece and where it goes. */
typedef struct pio_upload_range {
    pio_addr to;
    uint64_t at, bytes; /* in the piece */
} pio_upload_range;

/* The host memory that an upload takes. */
uint64_t pio_upload_bytes(int n_workers, uint64_t piece_bytes);

pio_status pio_upload_create(pio_device *device, int n_workers, uint64_t piece_bytes, pio_upload **out,
                             pio_error *error);

/* Waits for what is under way; accepts NULL, and after any failure. */
void pio_upload_destroy(pio_upload *upload);

/* The worker's next piece, once what it held is copied: 64-byte aligned, cached as other memory is. */
pio_status pio_upload_take(pio_upload *upload, int worker, void **piece, pio_error *error);

/* Starts copying ranges of the piece that the worker took last. Ranges without bytes are left out. */
pio_status pio_upload_send(pio_upload *upload, int worker, const pio_upload_range *ranges, int n, pio_error *error);

/* Waits until all that was sent is in its place. */
pio_status pio_upload_finish(pio_upload *upload, pio_error *error);

#endif
