/* The field types of argument structs, which C, CUDA and GLSL all include: 64-bit device addresses and 32-bit numbers.
 */
#ifndef PIO_KERNELS_DIALECT_ARGS_H
#define PIO_KERNELS_DIALECT_ARGS_H

#ifdef PIO_GLSL
#define pio_u64        uint64_t
#define pio_i32        int
#define pio_f32        float
#define PIO_ARGS(name) struct name
#else
#include <stdint.h>
typedef uint64_t pio_u64;
typedef int32_t pio_i32;
typedef float pio_f32;
#define PIO_ARGS(name)                                                                                                 \
    typedef struct name name;                                                                                          \
    struct name
#endif

/* A device address as a CPU kernel uses it: PIO_AT(const float, args->x)[i]. */
#define PIO_AT(type, address) ((type *)(uintptr_t)(address))

#endif
