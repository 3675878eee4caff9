/* Declarations of what the rows of all families name beside their functions: match(), scratch() and record(). */
#ifndef PIO_KERNELS_DECLARE_H
#define PIO_KERNELS_DECLARE_H

#include "kernels/kernel.h"

#define PIO_MATCH(name)   bool name(const pio_call *call)
#define PIO_SCRATCH(name) size_t name(const pio_call *call)
#define PIO_RECORD(name)  pio_status name(pio_recorder *recorder, const pio_call *call, pio_error *error)

#endif
