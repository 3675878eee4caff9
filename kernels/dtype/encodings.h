/* The numbers by which shaders know encodings: kernels/dtype/encoding.h. */
#ifndef PIO_KERNELS_DTYPE_ENCODINGS_H
#define PIO_KERNELS_DTYPE_ENCODINGS_H

#define PIO_ENCODING_S8  2
#define PIO_ENCODING_F16 3

#endif
