/* The only place where compiler extensions are named. */
#ifndef PIO_BASE_COMPILER_H
#define PIO_BASE_COMPILER_H

#if defined(__GNUC__)
#define PIO_PRINTF(format_index, first_arg) __attribute__((format(printf, format_index, first_arg)))
#define PIO_UNUSED                          __attribute__((unused))
#define PIO_ALWAYS_INLINE                   inline __attribute__((always_inline))
#define PIO_NOINLINE                        __attribute__((noinline))
#define PIO_ALIGNED(bytes)                  __attribute__((aligned(bytes)))
#define PIO_VECTOR(bytes)                   __attribute__((vector_size(bytes)))
#define PIO_LIKELY(x)                       __builtin_expect(!!(x), 1)
#define PIO_UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define PIO_PREFETCH(address)               __builtin_prefetch(address)
#define PIO_PREFETCH_L2(address)            __builtin_prefetch(address, 0, 2)
#define PIO_PRAGMA(text)                    _Pragma(#text)
#define PIO_ADD_OVERFLOWS(a, b, sum)        __builtin_add_overflow(a, b, sum)
#define PIO_MUL_OVERFLOWS(a, b, product)    __builtin_mul_overflow(a, b, product)
#else
#error "Inference-PIO needs GCC or Clang: other compilers lack the extensions of base/compiler.h"
#endif

/* Before a loop of at most n rounds that is to be unrolled. */
#ifdef __clang__
#define PIO_UNROLL(n) PIO_PRAGMA(unroll)
#else
#define PIO_UNROLL(n) PIO_PRAGMA(GCC unroll n)
#endif

#define PIO_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PIO_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define PIO_MAX(a, b)    ((a) > (b) ? (a) : (b))

/* Rounds x up to a multiple of `step`, and the number of steps that cover x. */
#define PIO_ROUND_UP(x, step) (((x) + (step)-1) / (step) * (step))
#define PIO_CEIL_DIV(x, step) (((x) + (step)-1) / (step))

#endif
